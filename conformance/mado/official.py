"""Study A of IHE MADO through both encodings, by every value that the official files hold: known to
the product's own reader or not.

    official.py BASE TOKEN FOLDER       BASE ends with /fhir; FOLDER: the official data

Bundle → KOS → Bundle, by `$mado-convert`: every leaf (a path and a value; series and instances by
their UIDs, references by the type that they lead to) that is lost, added or changed must be of a row
of differences.toml. KOS → Bundle, for both official files: every value of the data set, as pydicom
reads it, must stand somewhere in the Bundle, or be of a row. Every row has as many as it says.
"""

import base64
import collections
import json
import pathlib
import re
import sys
import tomllib
import urllib.request
from io import BytesIO

import pydicom

HERE = pathlib.Path(__file__).resolve().parent
FHIR, DICOM = "application/fhir+json", "application/dicom"
BUNDLE = "examples/mado-1.2.250.1.59.40211.22756022.2.1.101-bundle.json"
BINARY = "examples/mado-kos-1.2.250.1.59.40211.22756022.2.1.101-binary.json"
KOS = "dicom/MADO_KOS_A.dcm"


def convert(base, token, content, media, accept):
    request = urllib.request.Request(f"{base}/$mado-convert", data=content, method="POST")
    for name, value in (("Authorization", f"Bearer {token}"), ("Content-Type", media), ("Accept", accept)):
        request.add_header(name, value)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read()


def leaves_of_bundle(bundle):
    """Paths and values; references as the type that they lead to."""
    types = {entry.get("fullUrl"): entry["resource"]["resourceType"] for entry in bundle["entry"]}
    found = collections.Counter()

    def walk(path, value):
        if isinstance(value, dict):
            for key, below in value.items():
                if key in ("div", "fullUrl", "resourceType", "id"):
                    continue
                if key == "reference":
                    below = types.get(below) or re.sub(r"/.*", "", below)
                walk(f"{path}.{key}" if path else key, below)
        elif isinstance(value, list):
            for item in value:
                key = item.get("uid") if isinstance(item, dict) else None
                key = key or (item.get("url") if isinstance(item, dict) and path.endswith("extension") else None)
                walk(f"{path}[{key}]" if key else path, item)
        else:
            found[path, str(value)] += 1

    for entry in bundle["entry"]:
        resource = entry["resource"]
        walk(resource["resourceType"], resource)
    walk("Bundle", {key: value for key, value in bundle.items() if key != "entry"})
    return found


# What a data set says of itself and not of the study.
FORM = {"RelationshipType", "ValueType", "ContinuityOfContent", "CodingSchemeDesignator", "CodeMeaning",
        "CodingSchemeVersion", "SpecificCharacterSet", "MappingResource", "TemplateIdentifier", "CodingSchemeUID",
        "CodingSchemeName", "CodingSchemeResponsibleOrganization", "MappingResourceUID"}


def values_of(content):
    """Paths and values of a data set, but for names of concepts and units."""
    found = collections.Counter()

    def walk(path, data_set):
        for element in data_set:
            keyword = element.keyword or str(element.tag)
            here = f"{path}.{keyword}".lstrip(".")
            if keyword in FORM or keyword in ("ConceptNameCodeSequence", "MeasurementUnitsCodeSequence"):
                continue
            if element.VR == "SQ":
                concept = lambda item: (item.get("ConceptNameCodeSequence") or [None])[0]
                for item in element.value:
                    name = concept(item)
                    walk(f"{here}[{name.CodeMeaning}]" if name else here, item)
            elif str(element.value):
                found[here, str(element.value)] += 1

    walk("", pydicom.dcmread(BytesIO(content), force=True))
    return found


def stands(value, text):
    """Whether a Bundle holds a value of a data set, in the form that FHIR gives it."""
    forms = [value, value.replace("^", " ").strip()]
    if re.fullmatch(r"\d{8}", value):
        forms.append(f"{value[:4]}-{value[4:6]}-{value[6:]}")
    if match := re.fullmatch(r"(\d\d)(\d\d)(\d\d)(\.\d+)?", value):
        forms.append(":".join(match.groups()[:3]))
    if match := re.fullmatch(r"([+-]\d\d)(\d\d)", value):
        forms.append(":".join(match.groups()))
    if "^" in value:
        return all(part in text for part in value.split("^") if part)
    return any(form in text for form in forms)


def compare(what, before, after, rows):
    """The differences that no row explains, and rows that explain another number of them."""
    left = [("lost", path, value) for (path, value), count in (before - after).items() for _ in range(count)]
    left += [("added", path, value) for (path, value), count in (after - before).items() for _ in range(count)]
    wrong = []
    for row in rows:
        mine = [one for one in left if one[0] == row["is"] and re.fullmatch(row["path"], one[1])]
        left = [one for one in left if one not in mine]
        if len(mine) != row["count"]:
            wrong.append(f"{what}: {row['path']}: {len(mine)} {row['is']}, the row says {row['count']}")
    wrong += [f"{what}: {how} {path} = {value[:100]}" for how, path, value in left]
    print(f"{what}: {sum((before & after).values())} leaves the same, "
          f"{sum((before - after).values())} lost or changed, {sum((after - before).values())} added, as explained"
          if not wrong else f"{what}: {len(wrong)} not as explained")
    return wrong


def main():
    base, token = sys.argv[1].rstrip("/"), sys.argv[2]
    folder = pathlib.Path(sys.argv[3]) / "eehrxf/ihe-rad-mado"
    table = tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))
    rows = lambda way: [row for row in table["difference"] if way in row["of"]]
    bundle = (folder / BUNDLE).read_bytes()
    kos = convert(base, token, bundle, FHIR, DICOM)
    back = convert(base, token, kos, DICOM, FHIR)
    wrong = compare("Bundle → KOS → Bundle", leaves_of_bundle(json.loads(bundle)), leaves_of_bundle(json.loads(back)),
                    rows("bundle"))
    binary = base64.b64decode(json.loads((folder / BINARY).read_text())["data"])
    for way, content in (("kos", (folder / KOS).read_bytes()), ("converter", binary)):
        text = convert(base, token, content, DICOM, FHIR).decode()
        values = values_of(content)
        there = collections.Counter({leaf: count for leaf, count in values.items() if stands(leaf[1], text)})
        wrong += compare(f"KOS ({way}) → Bundle", values, there, rows(way))
    for words in wrong[:int(sys.argv[4]) if len(sys.argv) > 4 else 40]:
        print(f"WRONG {words}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
