"""Our SHACL engine beside pySHACL on the same documents; `shacl.sh` says how.

    shacl.py list EXPORT COUNT     chooses documents: `EXPORT/list`
    shacl.py judge ROOT EXPORT     lets pySHACL hold them: `EXPORT/theirs.json`, `theirs.tsv`
    shacl.py compare ROOT EXPORT   compares times and verdicts; prints one JSON object

A verdict is document, focus, path, component, severity and value, as in
`conformance/catalogue/compare.py`, which explains the two traits of rdflib that are left out.
"""
import collections
import glob
import json
import logging
import os
import sys
import time

RIGHTS = "http://publications.europa.eu/resource/authority/access-right/"
LEVELS = {"PUBLIC": "public", "RESTRICTED": "restricted", "NON_PUBLIC": "non-public"}


def choose(folder, count):
    """A quarter valid ones, under slugs of their own; the others with faults, evenly taken."""
    valid = sorted(glob.glob(f"{folder}/dataset/*.nt"))
    faults = sorted(glob.glob(f"{folder}/faults/*.nt"))
    os.makedirs(f"{folder}/copies", exist_ok=True)
    lines, good = [], min(count, max(count // 4, count - len(faults)))
    for number in range(good):
        path = valid[number % len(valid)]
        slug, text = os.path.basename(path)[:-3], open(path, encoding="utf-8").read()
        level = next(LEVELS[code] for code in LEVELS if f"{RIGHTS}{code}>" in text)
        copy = f"{folder}/copies/d{number:05}.nt"
        with open(copy, "w", encoding="utf-8") as out:
            out.write("".join(sorted(line.replace(f"/dataset/{slug}", f"/dataset/d{number:05}") + "\n"
                                     for line in text.splitlines())))
        lines.append(f"{level} {copy}")
    rest = count - good
    lines += [f"{path[:-3].rsplit('.', 1)[1]} {path}" for path in
              (faults[place * len(faults) // rest] for place in range(rest))]
    with open(f"{folder}/list", "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


def judge(root, folder):
    import pyshacl
    import rdflib
    from rdflib import BNode, Graph, Namespace
    # rdflib would read the broken boolean `-1.x` as `false`.
    rdflib.NORMALIZE_LITERALS = False
    logging.getLogger("rdflib.term").setLevel(logging.CRITICAL)
    sh = Namespace("http://www.w3.org/ns/shacl#")
    term = lambda value: "-" if value is None else value.n3()
    background = Graph().parse(f"{folder}/background.nt", format="nt")
    shapes = {level: Graph().parse(f"{root}/catalogue/shapes/healthdcat-ap-r8-common.ttl")
                            .parse(f"{root}/catalogue/shapes/healthdcat-ap-r8-{level}.ttl")
              for level in LEVELS.values()}
    took, unjudged, load = [], [], os.getloadavg()[0]
    with open(f"{folder}/theirs.tsv", "w", encoding="utf-8") as out:
        for place, line in enumerate(open(f"{folder}/list", encoding="utf-8")):
            level, path = line.rstrip("\n").split(" ", 1)
            whole = Graph().parse(path, format="nt")
            subjects = set(whole.subjects()) | set(whole.objects())
            for triple in background:
                whole.add(triple)
            began = time.perf_counter()
            try:
                _, report, _ = pyshacl.validate(whole, shacl_graph=shapes[level], inference="none", advanced=True)
            except TypeError:
                # pySHACL 0.40.1 cannot compare an ill-typed literal (sh:lessThanOrEquals) and dies.
                unjudged.append(place)
                continue
            took.append(time.perf_counter() - began)
            for result in report.objects(None, sh.result):
                focus = report.value(result, sh.focusNode)
                if focus not in subjects:
                    continue
                path = report.value(result, sh.resultPath)
                columns = [term(focus), "-" if path is None or isinstance(path, BNode) else str(path),
                           str(report.value(result, sh.sourceConstraintComponent))[len(sh):],
                           str(report.value(result, sh.resultSeverity))[len(sh):],
                           term(report.value(result, sh.value))]
                out.write("\t".join([str(place), *(c.replace("\t", " ").replace("\n", " ") for c in columns)]) + "\n")
    with open(f"{folder}/theirs.json", "w", encoding="utf-8") as out:
        json.dump({"documents": len(took), "seconds": round(sum(took), 2), "unjudged": unjudged, "load": load}, out)


def verdicts(path):
    found = collections.defaultdict(set)
    for line in open(path, encoding="utf-8"):
        place, *key = line.rstrip("\n").split("\t")
        found[int(place)].add(tuple(key))
    return found


def compare(folder):
    ours, theirs = verdicts(f"{folder}/ours.tsv"), verdicts(f"{folder}/theirs.tsv")
    times = [json.load(open(f"{folder}/{name}.json", encoding="utf-8")) for name in ("ours", "again")]
    judged = json.load(open(f"{folder}/theirs.json", encoding="utf-8"))
    boolean = "^^<http://www.w3.org/2001/XMLSchema#boolean>"
    differences, violated, results = 0, 0, 0
    for place in range(times[0]["documents"]):
        if place in judged["unjudged"]:
            continue
        expected, mine = theirs[place], set()
        for focus, path, component, severity, value in ours[place]:
            # Paths that are no single property have no name of their own in a report of ours.
            key = (focus, path, component, severity, value)
            bare = (focus, "-", component, severity, value)
            mine.add(bare if key not in expected and bare in expected else key)
        results += len(expected)
        violated += any(key[3] == "Violation" for key in expected)
        missing = {key for key in expected - mine if not key[4].endswith(boolean)}
        extra = {key for key in mine - expected if not key[4].endswith(boolean)
                 and not (key[2].startswith("LessThan") and key[4].startswith('"-1.x"'))}
        if missing or extra:
            differences += 1
            print(f"{place}: only pySHACL {sorted(missing)[:3]} only ours {sorted(extra)[:3]}", file=sys.stderr)
    each = sum(one["seconds"] / one["documents"] for one in times) / 2
    their = judged["seconds"] / judged["documents"]
    print(json.dumps({
        "bench": "shacl", "at_least": 20, "ratio": round(their / each, 1), "ours": times,
        "pyshacl_ms_each": round(their * 1000, 1), "pyshacl_documents": judged["documents"],
        "unjudged_by_pyshacl": len(judged["unjudged"]), "documents_with_violations": violated,
        "verdicts": results, "differences": differences, "load": judged["load"], "load_after": os.getloadavg()[0]}))
    return 1 if differences else 0


if __name__ == "__main__":
    if sys.argv[1] == "list":
        choose(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "judge":
        judge(sys.argv[2], sys.argv[3])
    else:
        sys.exit(compare(sys.argv[3]))
