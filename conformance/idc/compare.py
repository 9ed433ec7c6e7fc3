#!/usr/bin/env python3
"""Holds an ingest of the IDC index against pandas.

    python3 compare.py BINARY DATA FOLDER

BINARY is `vesalius`, DATA a data folder into which FOLDER/idc_index.parquet was ingested with the
mapping `idc` (SQLite). Facets come from the product's own counts (`vesalius count`); body part,
manufacturer and model as the file writes them come from the stored attributes, because the facets
normalise them. Prints a line per comparison; exit status 0 when every group is equal.
"""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

binary, data, folder = sys.argv[1:4]
here = Path(__file__).parent
expected = json.loads(
    subprocess.run([sys.executable, here / "expect.py", folder], check=True, capture_output=True).stdout
)

# What a facet calls a value of the table.
SEX = {"F": "female", "M": "male", "O": "other"}
FACETS = {
    "collection": ("collection", lambda value: value),
    "modality": ("modality", lambda value: value),
    "sop_class": ("sop-class", lambda value: value),
    "licence": ("licence", lambda value: value),
    "sex_resolved": ("sex", lambda value: SEX.get(value, value)),
    "year_resolved": ("year", lambda value: value),
}
arguments = [part for _, (facet, _) in FACETS.items() for part in ("--by", facet)]
lines = subprocess.run(
    [binary, "--data", data, "--json", "count", *arguments], check=True, capture_output=True
).stdout.splitlines()
counted, totals = {}, None
for line in map(json.loads, lines):
    if line["event"] != "count":
        continue
    counts = {name: line[name] for name in ("patients", "studies", "series", "images")}
    if "facet" in line:
        counted.setdefault(line["facet"], {})[line["term"]] = counts
    else:
        totals = counts

failed = 0


def compare(name, mine, theirs):
    global failed
    differing = [key for key in sorted(set(mine) | set(theirs)) if mine.get(key) != theirs.get(key)]
    failed += bool(differing)
    print(f"{name}: {len(theirs)} groups, {len(differing)} differ")
    for key in differing[:5]:
        print(f"  {key!r}: {mine.get(key)} instead of {theirs.get(key)}")


compare("totals", totals, {name: expected["totals"][name] for name in totals})
for name, (facet, term) in FACETS.items():
    # A series with two SOP classes in one cell counts for each; an absent value has no term.
    theirs = {term(key): counts for key, counts in expected[name].items() if key}
    mine = {key: counts for key, counts in counted[facet].items() if key != "unknown"}
    compare(name, mine, theirs)

store = sqlite3.connect(f"file:{data}/vesalius.db?mode=ro", uri=True)
groups = {"body_part": "BodyPartExamined", "manufacturer": "Manufacturer", "model": "ManufacturerModelName"}
for name, keyword in groups.items():
    tallies = {}
    rows = store.execute(
        "SELECT COALESCE(json_extract(attributes, ?), ''), patient, study, images FROM series",
        (f"$.{keyword}",),
    )
    for value, patient, study, images in rows:
        tally = tallies.setdefault(value, [set(), set(), 0, 0])
        tally[0].add(patient)
        tally[1].add(study)
        tally[2] += 1
        tally[3] += images
    mine = {
        value: {"patients": len(p), "studies": len(s), "series": n, "images": i}
        for value, (p, s, n, i) in tallies.items()
    }
    # DICOM text has no meaning in surrounding blanks (PS3.5 6.2): they are trimmed on the way in.
    theirs = {}
    for key, counts in expected[name].items():
        if key.strip() in theirs:
            theirs[key.strip()] = {c: theirs[key.strip()][c] + counts[c] for c in counts}
        else:
            theirs[key.strip()] = counts
    compare(name, mine, theirs)

found = Counter(dict(store.execute("SELECT code, SUM(count) FROM finding GROUP BY code")))
for code in ("age-odd", "date-odd", "sex-odd", "body-part-missing", "transfer-syntaxes", "not-human"):
    compare(f"finding {code}", {code: found[code]}, {code: expected["findings"][code]})

print(f"{'all equal' if not failed else f'{failed} comparisons differ'}")
sys.exit(bool(failed))
