"""Writes every official example instance of a type that can be written to a running server, and
compares its answer with the verdict of the HAPI/HL7 validator.

    write.py BASE TOKEN FOLDER VERDICTS TABLE

BASE ends with /fhir; FOLDER is the official data (`eehrxf/GUIDE/examples`); VERDICTS the lines of
`profiles/hapi.py` for them, each case named GUIDE/FILE; TABLE is differences.toml. What HAPI holds
valid must be taken, what it refuses must be refused; every difference is a row of the table with its
reason, and every row must differ.

An example is brought as a client would bring it: by PUT below its id; a Bundle that is a batch or a
transaction to the base, after all others; a collection, document or searchset as Bundle. Where an example names a
patient (the archive's are not written), it is given one of the archive, the same for the same
reference. What was taken is read again, and must be what was sent, but for `meta.versionId` and
`meta.lastUpdated`.
"""

import collections
import copy
import json
import pathlib
import re
import sys
import tomllib
import urllib.error
import urllib.request

FHIR = "application/fhir+json"
PROCESSED = ("batch", "transaction")
GUIDES = ("hl7-eu-imaging-r4", "ihe-rad-mado", "hl7-eu-base-2.0.0-ballot", "eu-health-data-api",
          "ihe-iti-mhd-4.2.3", "hl7-eu-extensions-1.2.0")


class Server:
    def __init__(self, base, token):
        self.base, self.token = base.rstrip("/"), token

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"{self.base}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        for name, value in (("Authorization", f"Bearer {self.token}"), ("Accept", FHIR), ("Content-Type", FHIR)):
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                content = reply.read()
                return reply.status, json.loads(content) if content else {}
        except urllib.error.HTTPError as failure:
            return failure.code, json.loads(failure.read() or b"{}")


def references(value):
    """Every object with a `reference`."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def with_patients(resource, patients, given):
    """The resource with references to patients of this archive; how many were changed."""
    resource = copy.deepcopy(resource)
    changed = 0
    for one in references(resource):
        match = re.fullmatch(r"(?:https?://.*/)?Patient/([^/]+)(?:/_history/.*)?", one["reference"])
        if match:
            given.setdefault(match.group(1), patients[len(given) % len(patients)])
            one["reference"] = f"Patient/{given[match.group(1)]}"
            changed += 1
    return resource, changed


def told(outcome):
    issues = [issue for issue in outcome.get("issue", []) if issue["severity"] in ("error", "fatal")]
    return "; ".join(f"{' '.join(issue.get('expression', []))}: {issue.get('diagnostics', '')}" for issue in issues[:2])


def same(sent, read):
    read = copy.deepcopy(read)
    for own in ("versionId", "lastUpdated"):
        for one in (sent, read):
            one.get("meta", {}).pop(own, None)
    for one in (sent, read):
        if not one.get("meta", True):
            del one["meta"]
    return sent == read


def main():
    server = Server(*sys.argv[1:3])
    folder = pathlib.Path(sys.argv[3]) / "eehrxf"
    refused_by_hapi = collections.defaultdict(list)
    judged = set()
    for line in pathlib.Path(sys.argv[4]).read_text(encoding="utf-8").splitlines()[:-1]:
        row = json.loads(line)
        judged.add(row["case"])
        if row.get("severity") in ("error", "fatal"):
            refused_by_hapi[row["case"]].append(f"{row['where']}: {row['message']}")
    table = {row["case"]: row for row in tomllib.loads(pathlib.Path(sys.argv[5]).read_text(encoding="utf-8"))["difference"]}
    _, statement = server.ask("GET", "/metadata")
    rest = statement["rest"][0]
    written = {one["type"] for one in rest["resource"] if {"create", "update"} & {i["code"] for i in one["interaction"]}}
    _, found = server.ask("GET", "/Patient?_count=20")
    patients = [entry["resource"]["id"] for entry in found["entry"]]
    given, wrong, counts, left = {}, [], collections.Counter(), collections.Counter()
    used = set()
    examples = sorted(path for guide in GUIDES for path in (folder / guide / "examples").glob("*.json"))
    # What a transaction replaces or names is there before it.
    for path in sorted(examples, key=lambda path: json.loads(path.read_text(encoding="utf-8")).get("type") in PROCESSED):
        name = f"{path.parent.parent.name}/{path.name}"
        example = json.loads(path.read_text(encoding="utf-8"))
        kind = example["resourceType"]
        if kind not in written:
            left[kind] += 1
            continue
        if name not in judged:
            wrong.append(f"{name}: HAPI did not judge it")
            continue
        # Documents are kept as they were signed.
        is_bundle = kind == "Bundle"
        is_processed = is_bundle and example.get("type") in PROCESSED
        sent, changed = (example, 0) if is_bundle and not is_processed else with_patients(example, patients, given)
        if is_processed:
            status, answer = server.ask("POST", "/", sent)
        elif "id" in sent:
            status, answer = server.ask("PUT", f"/{kind}/{sent['id']}", sent)
        else:
            status, answer = server.ask("POST", f"/{kind}", sent)
        is_taken = status in (200, 201)
        is_valid = not refused_by_hapi[name]
        if status >= 500:
            wrong.append(f"{name}: {status}")
        if is_taken and not is_processed and "id" in sent:
            _, read = server.ask("GET", f"/{kind}/{sent['id']}")
            if not same(copy.deepcopy(sent), read):
                wrong.append(f"{name}: what is read is not what was sent")
        verdict = "taken" if is_taken else f"refused ({status})"
        counts[f"{'valid' if is_valid else 'invalid'} by HAPI, {'taken' if is_taken else 'refused'}"] += 1
        if not is_taken:
            print(f"  {name}: refused, {status}: {told(answer)[:300]}")
        row = table.get(name)
        if is_taken != is_valid:
            used.add(name)
            if row is None or row["answer"] != ("taken" if is_taken else "refused"):
                hapi = refused_by_hapi[name][:2]
                wrong.append(f"{name}: {verdict}; HAPI: {hapi or 'valid'}; {told(answer) if not is_taken else ''}")
            else:
                counts["differences that are explained"] += 1
    wrong += [f"{name}: a row of the table, and no difference" for name in sorted(set(table) - used)]
    print(f"  not of a type that is written: {', '.join(f'{kind} {count}' for kind, count in sorted(left.items()))}")
    for words, count in sorted(counts.items()):
        print(f"  {words}: {count}")
    for words in wrong:
        print(f"WRONG {words}")
    sys.exit(1 if wrong or not counts else 0)


if __name__ == "__main__":
    main()
