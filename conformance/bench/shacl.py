"""Times pySHACL on the documents and shapes of our gate: `shacl.py ROOT EXPORT COUNT`."""
import glob
import os
import sys
import time

import pyshacl
from rdflib import Graph, Namespace

SH = Namespace("http://www.w3.org/ns/shacl#")
RIGHTS = "http://publications.europa.eu/resource/authority/access-right/"


def main():
    root, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    background = Graph().parse(os.path.join(folder, "background.nt"), format="nt")
    levels = {}
    for code, name in (("PUBLIC", "public"), ("RESTRICTED", "restricted"), ("NON_PUBLIC", "non-public")):
        shapes = Graph()
        for part in ("common", name):
            shapes.parse(f"{root}/catalogue/shapes/healthdcat-ap-r8-{part}.ttl", format="turtle")
        levels[code] = shapes
    documents = [Graph().parse(path, format="nt") for path in sorted(glob.glob(f"{folder}/dataset/*.nt"))]
    took, violations = 0.0, 0
    for number in range(count):
        data = documents[number % len(documents)]
        code = next(code for code in levels if any(str(o) == RIGHTS + code for o in data.objects()))
        start = time.perf_counter()
        _, report, _ = pyshacl.validate(data + background, shacl_graph=levels[code], inference="none",
                                        advanced=True, allow_warnings=True)
        took += time.perf_counter() - start
        violations += sum(1 for result in report.objects(None, SH.result)
                          if report.value(result, SH.resultSeverity) == SH.Violation)
    print(f"pySHACL: {count} datasets, {violations} violations, {took * 1e3 / count:.0f} ms each")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
