"""What the HAPI/HL7 validator says of cases, in one process of Java for all that are new to it.

    hapi.py FOLDER CASES OUT GUIDE...     FOLDER: the judge as hapi/pom.xml builds it

A verdict is kept beside the judge, by the digest of the case and of everything that it depends on
(the judge's sources, the definitions and their errata), so that a second run asks for what
has changed; the definitions are corrected by errata.toml first. OUT gets the judge's lines, then `complete`.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ERRATA = Path(__file__).resolve().parent / "errata.toml"


def state(folder, guides):
    digest = hashlib.sha256()
    for path in sorted([ERRATA, folder / "pom.xml", *(folder / "src").rglob("*.java")]):
        digest.update(path.read_bytes())
    for guide in guides:
        for path in sorted(guide.rglob("*.json")):
            # Examples are cases, not definitions.
            if path.parent.name != "examples":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def main():
    folder, cases, out = map(Path, sys.argv[1:4])
    guides = [Path(guide) for guide in sys.argv[4:]]
    kept = folder / "verdicts" / state(folder, guides)
    kept.mkdir(parents=True, exist_ok=True)
    known, asked = {}, {}
    for line in cases.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        case = json.loads(line)
        key = hashlib.sha256(json.dumps([case["profiles"], case["resource"]]).encode()).hexdigest()
        known[case["case"]] = key
        if not (kept / key).exists():
            asked.setdefault(key, case)
    with tempfile.TemporaryDirectory() as work:
        new, told, errata = (Path(work) / name for name in ("cases", "told", "errata.json"))
        errata.write_text(json.dumps(tomllib.loads(ERRATA.read_text(encoding="utf-8"))), encoding="utf-8")
        with new.open("w", encoding="utf-8") as lines:
            for key, case in asked.items():
                lines.write(json.dumps(case | {"case": key}, ensure_ascii=False) + "\n")
        if asked:
            classes = f"{folder / 'target/classes'}:{(folder / 'classpath.txt').read_text().strip()}"
            with told.open("w", encoding="utf-8") as lines:
                subprocess.run(["java", f"-Xmx{os.environ.get('HAPI_MEMORY', '3g')}", "-cp", classes, "judge.Judge",
                                str(errata), *map(str, guides), "--", str(new)], stdout=lines, check=True)
            rows = told.read_text(encoding="utf-8").rstrip("\n").split("\n")
            if rows[-1:] != ["complete"]:
                sys.exit("hapi broke off")
            said = {key: [] for key in asked}
            for row in map(json.loads, rows[:-1]):
                said[row["case"]].append(row)
            for key, rows in said.items():
                part = kept / f"{key}.part"
                part.write_text(json.dumps(rows), encoding="utf-8")
                part.rename(kept / key)
    with out.open("w", encoding="utf-8") as lines:
        for name, key in known.items():
            for row in json.loads((kept / key).read_text(encoding="utf-8")):
                lines.write(json.dumps(row | {"case": name}, ensure_ascii=False) + "\n")
        lines.write("complete\n")
    print(f"hapi: {len(known)} cases, {len(asked)} of them new")


if __name__ == "__main__":
    main()
