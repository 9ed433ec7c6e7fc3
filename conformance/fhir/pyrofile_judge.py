"""Validates each line of a file with pyrofile-validator against base R4, offline.

An extension whose definition the judge does not have is an error to it. The definitions of HL7
Europe Imaging and IHE MADO are read from the folder that VESALIUS_REFERENCE names; without it
their unknown extensions are let pass, by URL, and nothing else is. Ours are those of `ig/compiled`.
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

from pyrofile_validator import Validator
from pyrofile_validator.config import ValidatorConfig

OURS = (
    "http://hl7.eu/fhir/imaging/StructureDefinition/",
    "http://hl7.eu/fhir/extensions/StructureDefinition/",
    # Elements of R5 in R4, as HL7 Europe Imaging names them.
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-",
    "https://profiles.ihe.net/RAD/MADO/StructureDefinition/",
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/",
)
# The narrative of a section is an element of R4 (composition.html); pyrofile-validator 0.3.0 takes
# `text` for one of domain resources only, and refuses each official example for it.
SECTION_TEXT = re.compile(r"Unknown element Composition\.section(\[\d+\])?\.text$")

# `CapabilityStatement.format` takes every media type and the short forms `json`, `xml` and `ttl`
# (BCP 13); pyrofile-validator 0.3.0 knows `json` alone.
FORMAT = re.compile(r"^Code 'xml' is not in required ValueSet _r4b_format_")

config = ValidatorConfig()
reference = os.environ.get("VESALIUS_REFERENCE")
folder = tempfile.mkdtemp()
package = Path(folder) / "extensions" / "package"
package.mkdir(parents=True)
(package / "package.json").write_text(
    json.dumps({"name": "extensions", "version": "1.0.0", "fhirVersions": ["4.0.1"]})
)
compiled = Path(__file__).resolve().parents[2] / "ig/compiled/StructureDefinition.ndjson"
for line in compiled.read_text(encoding="utf-8").splitlines():
    definition = json.loads(line)
    if definition["type"] == "Extension":
        (package / f"StructureDefinition-{definition['id']}.json").write_text(line, encoding="utf-8")
config.local_package_paths = [str(package.parent)]
if reference:
    for guide in (
        "hl7-eu-imaging-r4", "hl7-eu-extensions-1.2.0", "ihe-rad-mado", "xver-r5-r4-standin"
    ):
        for path in (Path(reference) / "eehrxf" / guide / "extensions").glob("*.json"):
            (package / path.name).write_bytes(path.read_bytes())
validator = Validator(config)
errors = 0
passed = 0
known = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for number, line in enumerate(filter(str.strip, lines), 1):
        resource = json.loads(line)
        report = validator.validate_resource(resource)
        for issue in report.issues:
            if issue.severity.value.lower() not in ("error", "fatal"):
                continue
            if issue.code == "terminology.required" and FORMAT.match(issue.message):
                known += 1
                continue
            if issue.code == "extension.unknown" and any(url in issue.message for url in OURS):
                passed += 1
                continue
            if issue.code == "element.unknown" and SECTION_TEXT.search(issue.message):
                known += 1
                continue
            errors += 1
            print(f"{number}: {resource['resourceType']}/{resource.get('id', '')}: "
                  f"{issue.path}: {issue.code}: {issue.message}")
if passed:
    print(f"{passed} extensions of HL7 Europe, IHE and R5 without definition let pass", file=sys.stderr)
if known:
    print(f"{known} texts of sections and formats that the judge does not know let pass", file=sys.stderr)
print("complete")
sys.exit(1 if errors else 0)
