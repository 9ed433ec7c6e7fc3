#!/usr/bin/env python3
"""Writes the guide's examples from what a running demo serves.

    ig/tools/examples.py --url URL --token TOKEN [--check | --write]

--url       a server started by `vesalius demo`: its archive is synthetic, and the same every time
--token     a token of the role imaging-it
--check     compare ig/input/examples/ with what the server gives, and fail otherwise
--write     replace ig/input/examples/; then run ig/tools/compile.py --write

One example of each type and profile, of one patient where that patient has it, and what they refer
to. Logical ids are made of the node's own key: they become names that count. The address of the
server becomes the guide's. What differs from run to run (versions, dates of change, digests of
documents that hold ids) is left out. A reference to what is no example leads `elsewhere`.
"""

import argparse
import json
import re
import sys
import urllib.request
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "input/examples"
CANONICAL = "https://vesalius.example/fhir"
# No example shows more than this many characters: instances of a long series repeat each other.
LONGEST = 9_000
# Published texts: they are the guide itself, or tables of the server.
TEXTS = {"ConceptMap", "CodeSystem", "StructureDefinition", "ImplementationGuide", "ValueSet", "CapabilityStatement",
         "OperationDefinition", "SearchParameter",
         "Subscription"}


class Server:
    def __init__(self, url, token):
        self.url, self.token = url.rstrip("/"), token

    def get(self, path):
        url = path if path.startswith("http") else f"{self.url}/fhir/{path}"
        request = urllib.request.Request(url, headers={
            "Authorization": f"Bearer {self.token}", "Accept": "application/fhir+json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def all(self, kind):
        page = self.get(f"{kind}?_count=1000")
        while True:
            yield from (entry["resource"] for entry in page.get("entry", []) if entry["search"]["mode"] == "match")
            follows = [link["url"] for link in page["link"] if link["relation"] == "next"]
            if not follows:
                return
            page = self.get(follows[0])


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


# Logical ids, made of the node's key, with what some of them end in; and what is made of them.
ID = re.compile(r"\b[0-9a-f]{32}\b(?:-[a-z0-9-]+)?")
OID = re.compile(r"urn:oid:2\.25\.[0-9]{20,}")
DAY = "2026-11-22T00:00:00Z"


def masked(resource):
    """What a resource says, whatever the ids: to choose the same one on every server."""
    text = json.dumps(stable(resource), sort_keys=True, ensure_ascii=False)
    return ID.sub("", OID.sub("", text))


def told(resource, resources):
    """The same, and what the resources say that it refers to."""
    others = sorted(masked(resources[one]) for one in references(resource) if one in resources)
    return "\n".join([masked(resource), *others])


def stable(resource):
    """Without what differs from run to run."""
    resource = json.loads(json.dumps(resource))
    for name in ("versionId", "lastUpdated"):
        resource.get("meta", {}).pop(name, None)
    if not resource.get("meta", True):
        del resource["meta"]
    for content in resource.get("content", []) if isinstance(resource.get("content"), list) else []:
        attachment = content.get("attachment", {})
        for name in ("hash", "size"):
            attachment.pop(name, None)
        if "creation" in attachment:
            attachment["creation"] = DAY
    # Documents are rendered: their date is that of the ingest.
    if resource["resourceType"] in ("DocumentReference", "List") and "date" in resource:
        resource["date"] = DAY
    return resource


def subject(resource):
    for name in ("subject", "patient"):
        if isinstance(resource.get(name), dict):
            return resource[name].get("reference")
    return f"Patient/{resource['id']}" if resource["resourceType"] == "Patient" else None


def choose(resources):
    """The examples, by address."""
    groups, patients = {}, {}
    for address, resource in resources.items():
        text = told(resource, resources)
        if len(masked(resource)) > LONGEST:
            continue
        profiles = tuple(resource.get("meta", {}).get("profile", []))
        group = (resource["resourceType"], profiles)
        groups.setdefault(group, []).append((len(text), text, address))
        if who := subject(resource):
            patients.setdefault(who, set()).add(group)
    # Whose record shows most; of several the one whose own resource says most.
    said = {who: masked(resources[who]) for who in patients if who in resources}
    best = max(said, key=lambda who: (len(patients[who]), said[who]))
    chosen = []
    for group in sorted(groups):
        own = [row for row in groups[group] if subject(resources[row[2]]) == best]
        chosen.append(max(own or groups[group])[2])
    # The persons that they are about; what else they refer to is elsewhere.
    for address in list(chosen):
        who = subject(resources[address])
        if who in resources and who not in chosen:
            chosen.append(who)
    return chosen


def kebab(kind):
    return re.sub(r"(?<!^)([A-Z])", r"-\1", kind).lower()


def examples(server):
    statement = server.get("metadata")
    resources = {}
    for row in statement["rest"][0]["resource"]:
        searched = any(code["code"] == "search-type" for code in row["interaction"])
        if searched and row["type"] not in TEXTS:
            for resource in server.all(row["type"]):
                resources[f"{row['type']}/{resource['id']}"] = resource
    chosen = choose(resources)
    names, counts = {}, {}
    for address in chosen:
        kind = address.split("/")[0]
        counts[kind] = counts.get(kind, 0) + 1
        names[address] = f"example-{kebab(kind)}-{counts[kind]}"
    made, others = {}, {}
    for address in chosen:
        resource = stable(resources[address])
        resource["id"] = names[address]
        text = json.dumps(resource, indent=1, ensure_ascii=False)
        # An id may begin another one: a study's, its order's.
        for other in sorted(names, key=len, reverse=True):
            kind, identifier = other.split("/")
            text = text.replace(f'"{other}"', f'"{kind}/{names[other]}"')
            text = text.replace(f"/{other}", f"/{kind}/{names[other]}")
        text = text.replace(f"{server.url}/fhir", CANONICAL).replace(server.url, CANONICAL.removesuffix("/fhir"))
        for pattern, name in ((OID, "urn:oid:2.25.{}"), (ID, "elsewhere-{}")):
            for found in pattern.findall(text):
                others.setdefault(found, name.format(len(others) + 1))
                text = text.replace(found, others[found])
        resource = json.loads(text)
        made[f"{resource['resourceType']}-{names[address]}.json"] = json.dumps(resource, indent=1, ensure_ascii=False) + "\n"
    return made


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--url", required=True)
    arguments.add_argument("--token", required=True)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--write", action="store_true")
    arguments = arguments.parse_args()
    made = examples(Server(arguments.url, arguments.token))
    kinds = {name.split("-example-")[0] for name in made}
    print(f"{len(made)} examples of {len(kinds)} types, {sum(map(len, made.values()))} characters")
    if arguments.write:
        EXAMPLES.mkdir(parents=True, exist_ok=True)
        for path in EXAMPLES.glob("*.json"):
            path.unlink()
        for name, text in made.items():
            (EXAMPLES / name).write_text(text, encoding="utf-8")
    if arguments.check:
        kept = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.json")}
        wrong = sorted(name for name in kept.keys() | made.keys() if kept.get(name) != made.get(name))
        if wrong:
            sys.exit(f"ig/input/examples/ is not what the server gives: {wrong}; run ig/tools/examples.py --write")
        print("ig/input/examples/: what the server gives")


if __name__ == "__main__":
    main()
