#!/usr/bin/env python3
"""Our SHACL engine against pySHACL: the same shapes (catalogue/shapes/), the same faulty documents,
the same verdicts.

    compare.py EXPORT [EVERY]

EXPORT was written by the integration test with VESALIUS_TEST_EXPORT: `faults/*.nt`,
`all.components.nt` (components-data.ttl), `background.nt` and `verdicts.tsv` (our results). EVERY n takes every n-th document. A verdict is
focus, path, component, severity and value. Exit status 0: no difference.
"""
import collections
import glob
import logging
import os
import sys

import pyshacl
import rdflib
from rdflib import BNode, Graph, Namespace

# rdflib would read the broken boolean `-1.x` as `false`.
rdflib.NORMALIZE_LITERALS = False
SH = Namespace("http://www.w3.org/ns/shacl#")
logging.getLogger("rdflib.term").setLevel(logging.CRITICAL)
HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = os.path.join(HERE, "..", "..", "catalogue", "shapes")


def term(value):
    return "-" if value is None else value.n3()


def main():
    export, every = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    background = Graph().parse(os.path.join(export, "background.nt"), format="nt")
    shapes = {level: Graph().parse(os.path.join(SHAPES, "healthdcat-ap-r8-common.ttl"))
                            .parse(os.path.join(SHAPES, f"healthdcat-ap-r8-{level}.ttl"))
              for level in ("public", "restricted", "non-public")}
    ours = collections.defaultdict(collections.Counter)
    with open(os.path.join(export, "verdicts.tsv"), encoding="utf-8") as lines:
        for line in lines:
            name, _, focus, path, component, severity, value = line.rstrip("\n").split("\t")
            ours[name][focus, path, component, severity, value] += 1
    shapes["components"] = Graph().parse(os.path.join(HERE, "components-shapes.ttl"))
    differences = documents = results = unjudged = 0
    for file in sorted(glob.glob(os.path.join(export, "faults", "*.nt")))[::every] + [
            os.path.join(export, "all.components.nt")]:
        name, level = os.path.basename(file)[:-3].rsplit(".", 1)
        whole = Graph().parse(file, format="nt")
        subjects = set(whole.subjects()) | set(whole.objects())
        for triple in background if level != "components" else ():
            whole.add(triple)
        try:
            _, report, _ = pyshacl.validate(whole, shacl_graph=shapes[level], inference="none",
                                            advanced=True)
        except TypeError:
            # pySHACL 0.40.1 cannot compare an ill-typed literal (sh:lessThanOrEquals) and dies.
            unjudged += 1
            continue
        theirs = collections.Counter()
        for result in report.objects(None, SH.result):
            focus = report.value(result, SH.focusNode)
            if level != "components" and focus not in subjects:
                continue
            path = report.value(result, SH.resultPath)
            theirs[term(focus), "-" if path is None or isinstance(path, BNode) else str(path),
                   str(report.value(result, SH.sourceConstraintComponent))[len(SH):],
                   str(report.value(result, SH.resultSeverity))[len(SH):],
                   term(report.value(result, SH.value))] += 1
        # Paths that are no single property have no name of their own in a report of ours.
        mine = collections.Counter()
        for (focus, path, component, severity, value), count in ours[name].items():
            key = (focus, path, component, severity, value)
            if key not in theirs and (focus, "-", component, severity, value) in theirs:
                key = (focus, "-", component, severity, value)
            mine[key] += count
        documents += 1
        results += sum(theirs.values())
        # Two property shapes with the same constraint and message are one line of our report.
        missing, extra = set(theirs) - set(mine), set(mine) - set(theirs)
        # Two traits of rdflib, not of SHACL: a broken boolean is read as `false`, and an
        # ill-typed literal is ordered, where SHACL 1.0 section 4.5.4 wants a result.
        boolean = "^^<http://www.w3.org/2001/XMLSchema#boolean>"
        missing = {key for key in missing if not key[4].endswith(boolean)}
        extra = {key for key in extra if not key[4].endswith(boolean)
                 and not (key[2].startswith("LessThan") and key[4].startswith('"-1.x"'))}
        if missing or extra:
            differences += 1
            if differences <= 10:
                print(f"{name}: only pySHACL {sorted(missing)[:5]}\n    only ours {sorted(extra)[:5]}")
    print(f"{documents} documents, {results} results of pySHACL, {differences} documents differ, "
          f"{unjudged} that pySHACL cannot judge")
    return 1 if differences or not documents else 0


if __name__ == "__main__":
    sys.exit(main())
