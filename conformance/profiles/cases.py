"""Cases for the judges: right resources and planted defects, or the JSON files of a folder.

    cases.py                 the examples and defects beside this file
    cases.py FOLDER|FILE     every JSON resource of a folder, or each line of an NDJSON file

Prints one case a line: {"case", "profiles", "resource"}.
"""

import copy
import json
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def patched(resource, patch):
    """JSON Patch (RFC 6902), as far as the table uses it."""
    resource = copy.deepcopy(resource)

    def place(path):
        target = resource
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
        for step in steps[:-1]:
            target = target[int(step)] if isinstance(target, list) else target[step]
        last = steps[-1]
        if isinstance(target, list):
            last = len(target) if last == "-" else int(last)
        return target, last

    def add(path, value):
        target, key = place(path)
        if isinstance(target, list):
            target.insert(key, value)
        else:
            target[key] = value

    def remove(path):
        target, key = place(path)
        return target.pop(key)

    for change in patch:
        if change["op"] == "add":
            add(change["path"], change["value"])
        elif change["op"] == "remove":
            remove(change["path"])
        elif change["op"] == "replace":
            remove(change["path"])
            add(change["path"], change["value"])
        elif change["op"] == "move":
            add(change["path"], remove(change["from"]))
        else:
            raise ValueError(change["op"])
    return resource


def defects():
    return tomllib.loads((HERE / "defects.toml").read_text(encoding="utf-8"))["defect"]


def planted():
    right = {path.stem: json.loads(path.read_text(encoding="utf-8"))
             for path in sorted((HERE / "examples").glob("*.json"))}
    for name, resource in right.items():
        yield f"right: {name}", resource
    for defect in defects():
        yield defect["name"], patched(right[defect["base"]], json.loads(defect["patch"]))


def of(place):
    place = Path(place)
    if place.is_file():
        for number, line in enumerate(place.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
            if line.strip():
                resource = json.loads(line)
                if "resource" in resource and "case" in resource:
                    yield resource["case"], resource["resource"]
                else:
                    yield f"{number}: {resource.get('resourceType')}/{resource.get('id', '')}", resource
        return
    for path in sorted(place.rglob("*.json")):
        resource = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(resource, dict) and "resourceType" in resource:
            yield str(path.relative_to(place)), resource


if __name__ == "__main__":
    for name, resource in of(sys.argv[1]) if len(sys.argv) > 1 else planted():
        print(json.dumps({"case": name, "profiles": [], "resource": resource}, ensure_ascii=False))
