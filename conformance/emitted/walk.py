"""Fetches everything that a running server emits, and writes it as cases for the judges.

    walk.py BASE TOKEN --label NAME [--each N] [--write TOKEN | --research] > cases.ndjson

BASE ends with /fhir. What there is to fetch is read from the CapabilityStatement: each type that is
searched, in pages to the end, and by id; documents by the addresses in DocumentReferences; histories;
each operation; Bundles of every kind; an OperationOutcome of every refusal. With a token that may
write (--write), resources are written, changed and deleted on the way (the data folder must be one
that may be thrown away). --each keeps at most N resources of a type: those with the smallest digest
of their address, so that the same archive gives the same sample.

What is found by search is read again by id, and must be the same. Prints a line a case: {"case",
"profiles", "resource"}. Ends with status 1 when an address does not answer as it must.
"""

import argparse
import base64
import collections
import hashlib
import http.client
import json
import pathlib
import sys
import time
import urllib.parse

FHIR = "application/fhir+json"
# Documents are whole, or they are none; a Subscription is short.
WHOLE = ("Bundle", "Binary", "Subscription")
EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "profiles" / "examples"


class Walk:
    def __init__(self, base, token, label):
        at = urllib.parse.urlsplit(base)
        self.base, self.host, self.token, self.label = base, at.netloc, token, label
        self.prefix = at.path
        self.line = None
        self.cases, self.faults, self.requests = {}, [], 0
        # Addresses of resources by type, in the order in which they were met.
        self.known = collections.defaultdict(dict)

    # ── HTTP ───────────────────────────────────────────────────────────────────────────────────

    def ask(self, path, expect=200, method="GET", body=None, token=..., **headers):
        """Status, headers and body of an address of the server."""
        at = urllib.parse.urlsplit(path)
        if at.netloc and at.netloc != self.host:
            raise ValueError(f"{path} is not of {self.host}")
        path = (at.path if at.netloc else self.prefix + at.path) + (f"?{at.query}" if at.query else "")
        wanted = {"Accept": FHIR}
        token = self.token if token is ... else token
        if token:
            wanted["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            wanted["Content-Type"] = FHIR
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.requests += 1
        for attempt in (1, 2):
            try:
                self.line = self.line or http.client.HTTPConnection(self.host, timeout=300)
                self.line.request(method, path, body=body.encode() if isinstance(body, str) else body, headers=wanted)
                reply = self.line.getresponse()
                content = reply.read()
                break
            except (http.client.HTTPException, OSError):
                # A connection that was kept may have been closed meanwhile.
                self.line = None
                if attempt == 2:
                    raise
        if expect is not None and reply.status not in (expect if isinstance(expect, tuple) else (expect,)):
            self.fault(f"{method} {path}: {reply.status} instead of {expect}: {content[:200]!r}")
        return reply.status, reply.headers, content

    def json(self, path, expect=200, **more):
        """The resource at an address, or nothing, where there is a fault."""
        status, headers, content = self.ask(path, expect, **more)
        if not headers.get_content_type().endswith("json"):
            self.fault(f"{path}: {status} as {headers.get_content_type()}")
            return None
        return json.loads(content)

    def fault(self, words):
        self.faults.append(words)

    # ── what is judged ─────────────────────────────────────────────────────────────────────────

    def keep(self, name, resource):
        """A case: once for each content."""
        if not isinstance(resource, dict) or "resourceType" not in resource:
            self.fault(f"{name}: no resource")
            return
        text = json.dumps(resource, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name in self.cases and self.cases[name][0] != digest:
            name = f"{name} ({digest[:8]})"
        self.cases[name] = (digest, resource)

    def keep_found(self, resource):
        """A resource with an address of its own."""
        kind, id_ = resource.get("resourceType"), resource.get("id")
        if not id_:
            self.fault(f"a {kind} without id stands in a Bundle")
            return
        self.known[kind].setdefault(id_, resource)
        self.keep(f"{kind}/{id_}", resource)

    def entries(self, bundle):
        for entry in bundle.get("entry", []):
            resource = entry.get("resource")
            if resource and resource["resourceType"] != "OperationOutcome":
                self.keep_found(resource)

    # ── searches, reads, histories ─────────────────────────────────────────────────────────────

    def pages(self, path, whole):
        """The entries of all pages; the first `whole` of them are judged as Bundles, too."""
        met, count = set(), 0
        for number in range(100_000):
            bundle = self.json(path)
            if not bundle or bundle["resourceType"] != "Bundle":
                return
            if number < whole:
                self.keep(f"GET {path.removeprefix(self.base)}", bundle)
            self.entries(bundle)
            count += sum(one["search"]["mode"] == "match" for one in bundle.get("entry", []) if "search" in one)
            links = {link["relation"]: link["url"] for link in bundle.get("link", [])}
            if "next" not in links:
                if bundle.get("total", count) != count:
                    self.fault(f"{path}: total {bundle['total']}, {count} matches on the pages")
                return
            path = links["next"]
            if path in met:
                self.fault(f"{path}: the next page is one that was")
                return
            met.add(path)

    def types(self):
        statement = self.json("/metadata")
        self.keep("GET /metadata", statement)
        self.statement = statement
        return {one["type"]: one for one in statement["rest"][0]["resource"]}

    def walk(self, each):
        served = self.types()
        self.served = served
        for kind, row in served.items():
            codes = {one["code"] for one in row["interaction"]}
            # Subscriptions and histories are for care.
            if self.is_research and kind == "Subscription":
                continue
            if "search-type" in codes:
                self.pages(f"/{kind}?_count=200", 0)
                counted = self.json(f"/{kind}?_summary=count")
                self.keep(f"GET /{kind}?_summary=count", counted)
                # Secondary use counts what it may not read, by the disclosure rule.
                if counted and not self.is_research and counted["total"] != len(self.known[kind]):
                    self.fault(f"{kind}: {counted['total']} counted, {len(self.known[kind])} found")
                # One page with everything that can come along.
                first = self.json(f"/{kind}?_count=3&_include=*&_revinclude=*")
                if first:
                    self.keep(f"GET /{kind}?_count=3&_include=*&_revinclude=*", first)
                    self.entries(first)
            if "history-type" in codes and not self.is_research:
                history = self.json(f"/{kind}/_history?_count=5")
                if history and history.get("entry"):
                    self.keep(f"GET /{kind}/_history?_count=5", history)
        self.read_again(each)
        self.subsets()
        self.documents(each)
        self.operations(each)
        if not self.is_research:
            self.refusals()

    def sampled(self, kind, each):
        ids = sorted(self.known[kind], key=lambda id_: hashlib.sha256(f"{kind}/{id_}".encode()).digest())
        return ids if each is None else ids[:each]

    def read_again(self, each):
        """What a search gives is what a read gives."""
        for kind in list(self.known):
            if "read" not in {one["code"] for one in self.served.get(kind, {}).get("interaction", [])}:
                self.fault(f"{kind} stands in Bundles, and the CapabilityStatement does not serve it")
                continue
            for id_ in self.sampled(kind, min(each or 50, 50)):
                read = self.json(f"/{kind}/{id_}")
                if read != self.known[kind][id_]:
                    self.keep(f"GET /{kind}/{id_}", read)
                    self.fault(f"{kind}/{id_}: a read gives another resource than a search")

    def subsets(self):
        """Parts of resources: tagged, with what they must have, and nothing that was not asked for."""
        for kind, row in self.served.items():
            if self.is_research and kind == "Subscription":
                continue
            for id_ in self.sampled(kind, 3):
                whole = self.json(f"/{kind}/{id_}")
                for query, named in (("_summary=true", None), ("_summary=data", None), ("_summary=text", ("text",)),
                                     ("_elements=identifier,subject", ("identifier", "subject"))):
                    path = f"/{kind}/{id_}?{query}"
                    part = self.json(path)
                    if not part or not whole or part == whole and kind in WHOLE:
                        continue
                    tags = part.get("meta", {}).get("tag", [])
                    if not any(tag["code"] == "SUBSETTED" and tag["system"].endswith("v3-ObservationValue") for tag in tags):
                        self.fault(f"{path}: not tagged SUBSETTED")
                    for name in set(part) - set(whole):
                        self.fault(f"{path}: {name} is not of the whole")
                    if "text" in part and query == "_summary=data":
                        self.fault(f"{path}: has a narrative")
                    for name in named or ():
                        if name in whole and name not in part:
                            self.fault(f"{path}: {name} was asked for")
                    # A part claims profiles that the whole holds to.
                    part["meta"].pop("profile", None)
                    self.keep(f"GET {path}", part)

    def documents(self, each):
        """ITI-68: what DocumentReferences point at, as resource."""
        for id_ in self.sampled("DocumentReference", None):
            reference = self.known["DocumentReference"][id_]
            chosen = each is None or id_ in set(self.sampled("DocumentReference", each * 2))
            for content in reference.get("content", []):
                url = content["attachment"].get("url", "")
                if not url:
                    continue
                if not url.startswith(self.base + "/"):
                    if url.startswith("http"):
                        continue
                    self.fault(f"DocumentReference/{id_}: {url} is no full URL")
                elif chosen:
                    kind = url.removeprefix(self.base + "/").split("/")[0]
                    resource = self.json(url)
                    self.keep(f"GET {url.removeprefix(self.base)}", resource)
                    if kind == "Bundle" and resource:
                        self.closed(url, resource)

    def closed(self, name, bundle):
        """The references of a document lead to its entries."""
        there = {entry.get("fullUrl") for entry in bundle.get("entry", [])}

        def references(value):
            if isinstance(value, dict):
                if isinstance(value.get("reference"), str):
                    yield value["reference"]
                for below in value.values():
                    yield from references(below)
            elif isinstance(value, list):
                for below in value:
                    yield from references(below)

        for one in set(references(bundle["entry"][0]["resource"])):
            if one.startswith("#"):
                continue
            absolute = one if ":" in one.split("/")[0] else f"{self.base}/{one}"
            if absolute not in there:
                self.fault(f"{name}: the Composition names {one}, which is no entry")

    def operations(self, each):
        few = min(each or 20, 20)
        for id_ in self.sampled("DiagnosticReport", each):
            status, headers, content = self.ask(f"/DiagnosticReport/{id_}/$fhir-report", expect=(200, 404))
            document = json.loads(content)
            self.keep(f"GET /DiagnosticReport/{id_}/$fhir-report", document)
        for id_ in self.sampled("Patient", few):
            path = f"/Patient/{id_}/$everything"
            bundle = self.json(f"{path}?_count=20")
            if bundle:
                self.keep(f"GET {path}?_count=20", bundle)
            self.pages(path, 0)
        for kind in self.known:
            for id_ in self.sampled(kind, 2):
                told = self.json(f"/{kind}/{id_}/$validate", expect=(200, 404))
                self.keep(f"GET /{kind}/{id_}/$validate", told)
        for map_ in list(self.known["ConceptMap"].values()):
            group = map_["group"][0]
            code = urllib.parse.quote(group["element"][0]["code"])
            system = urllib.parse.quote(group["source"], safe="")
            path = f"/ConceptMap/{map_['id']}/$translate?system={system}&code={code}"
            self.keep(f"GET {path}", self.json(path))
        for system in list(self.known["CodeSystem"].values()):
            for concept in system.get("concept", [])[:2]:
                query = urllib.parse.urlencode({"system": system["url"], "code": concept["code"]})
                path = f"/CodeSystem/$lookup?{query}"
                self.keep(f"GET {path}", self.json(path, expect=(200, 404)))
        self.export()

    def export(self):
        """A bulk export holds what searches found."""
        if "export" not in {one["name"] for one in self.statement["rest"][0].get("operation", [])}:
            return
        types = ["ImagingStudy", "Patient", "DiagnosticReport"]
        status, headers, content = self.ask(
            f"/Patient/$export?_type={','.join(types)}", expect=(202, 403), Prefer="respond-async")
        self.keep("GET /Patient/$export", json.loads(content) if content else
                  {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]})
        if status != 202:
            return
        place = headers["Content-Location"]
        for _ in range(600):
            status, headers, content = self.ask(place, expect=(200, 202), Accept="application/json")
            if status != 202:
                break
            time.sleep(0.5)
        manifest = json.loads(content)
        found = collections.Counter()
        for file in manifest["output"]:
            _, _, lines = self.ask(file["url"], Accept="application/fhir+ndjson")
            for line in lines.decode().splitlines():
                resource = json.loads(line)
                found[resource["resourceType"]] += 1
                if found[resource["resourceType"]] <= 200:
                    own = self.known[resource["resourceType"]].get(resource["id"])
                    if own != resource:
                        self.keep(f"$export {resource['resourceType']}/{resource['id']}", resource)
        for kind in types:
            if found[kind] != len(self.known[kind]):
                self.fault(f"$export: {found[kind]} of type {kind}, and searches gave {len(self.known[kind])}")
        _, _, content = self.ask(place, method="DELETE", expect=202)
        self.keep("DELETE $export-status", json.loads(content))

    # ── refusals ───────────────────────────────────────────────────────────────────────────────

    def refused(self, status, path, **more):
        name = f"{more.get('method', 'GET')} {path} → {status}"
        answer = self.json(path, expect=status, **more)
        if answer:
            if answer["resourceType"] != "OperationOutcome":
                self.fault(f"{name}: {answer['resourceType']} instead of an OperationOutcome")
            self.keep(name, answer)

    def refusals(self):
        strict = {"Prefer": "handling=strict"}
        study = self.sampled("ImagingStudy", 1)
        for status, path, more in [
            (400, "/ImagingStudy?started=yesterday", {}),
            (400, "/ImagingStudy?nonsense=1", strict),
            (400, "/ImagingStudy?_sort=nonsense", strict),
            (400, "/ImagingStudy?_count=x", {}),
            (400, "/ImagingStudy?_summary=x", {}),
            (400, "/ImagingStudy?%ff", {}),
            (400, "/ImagingStudy?started:text=x", strict),
            (404, "/ImagingStudy/there-is-none", {}),
            (404, "/Nonsense", {}),
            (404, "/Nonsense/1/$x", {}),
            (404, "/ImagingStudy/$nonsense", {}),
            (401, "/ImagingStudy", {"token": None}),
            (401, "/ImagingStudy", {"token": "nonsense"}),
            (406, "/ImagingStudy", {"Accept": "image/png"}),
            ((405, 403), "/ImagingStudy", {"method": "PATCH", "body": []}),
            (405, "/metadata", {"method": "POST", "body": {}}),
            (415, "/ImagingStudy/_search", {"method": "POST", "body": "{}", "Content_Type": "text/csv"}),
            ((405, 403), "/Patient", {"method": "POST", "body": {"resourceType": "Patient"}}),
            (400, "/CodeSystem/$lookup", {}),
            (400, "/ConceptMap/$translate", {}),
            ((400, 422), "/$mado-convert", {"method": "POST", "body": {"resourceType": "Bundle", "type": "document"}}),
            (400, "/$export", {}),
            (404, "/$export-status/nonsense", {}),
            (404, "/Subscription/nonsense", {}),
            (404, "/Patient/there-is-none/$everything", {}),
            (404, "/DiagnosticReport/there-is-none/$fhir-report", {}),
        ]:
            self.refused(status, path, **more)
        for id_ in study:
            self.refused(400, f"/ImagingStudy/{id_}?_summary=count")
        # What is wrong with a resource is told in one outcome, warnings too.
        for name in sorted(EXAMPLES.glob("*.json")):
            resource = json.loads(name.read_text(encoding="utf-8"))
            if resource["resourceType"] not in self.served:
                continue
            resource["colour"] = "blue"
            resource.pop("status", None)
            told = self.json(f"/{resource['resourceType']}/$validate", method="POST", body=resource)
            self.keep(f"POST /{resource['resourceType']}/$validate {name.stem}", told)

    # ── writing ────────────────────────────────────────────────────────────────────────────────

    def write(self, token):
        """Each kind of answer to a write; whatever is written belongs to a patient of the archive."""
        reading, self.token = self.token, token
        patients = self.sampled("Patient", 1)
        if patients:
            self.written(patients[0])
        self.token = reading

    def written(self, patient):
        subject = {"reference": f"Patient/{patient}"}
        observation = {"resourceType": "Observation", "status": "final", "subject": subject,
                       "code": {"text": "synthetic"}, "valueString": "one"}
        representation = {"Prefer": "return=representation"}
        kept = self.json("/Observation", 201, method="POST", body=observation, **representation)
        self.keep("POST /Observation", kept)
        place = f"/Observation/{kept['id']}"
        told = self.json(place, 200, method="PUT", body=kept | {"valueString": "two"}, Prefer="return=OperationOutcome")
        self.keep("PUT /Observation/…", told)
        self.keep(f"GET {place} (2)", self.json(place))
        self.keep(f"GET {place}/_history/1", self.json(f"{place}/_history/1"))
        self.refused(412, place, method="PUT", body=kept | {"valueString": "three"}, If_Match='W/"1"')
        self.refused(400, place, method="PUT", body=kept | {"id": "another"})
        self.refused(422, "/Observation", method="POST", body={"resourceType": "Observation", "status": "nonsense"})
        self.refused(422, "/Observation", method="POST", body=observation | {"subject": {"reference": "Patient/unknown"}})
        self.refused(400, "/Observation", method="POST", body="{", Content_Type=FHIR)
        self.refused(415, "/Observation", method="POST", body="x", Content_Type="text/plain")
        self.refused((405, 403), f"/ImagingStudy/{(self.sampled('ImagingStudy', 1) or ['x'])[0]}", method="DELETE")
        self.ask(place, 204, method="DELETE")
        self.refused(410, place)
        self.keep(f"GET {place}/_history", self.json(f"{place}/_history"))
        for kind in ("batch", "transaction"):
            bundle = {"resourceType": "Bundle", "type": kind, "entry": [
                {"fullUrl": "urn:uuid:0e0a7c1e-3b7e-4a5e-8f3e-0d5c4f1e2a3b", "resource": observation,
                 "request": {"method": "POST", "url": "Observation"}},
                {"request": {"method": "GET", "url": f"Patient/{patient}"}},
                {"request": {"method": "GET", "url": "Observation?_count=1"}},
            ]}
            for wanted in ("minimal", "representation", "OperationOutcome"):
                answer = self.json("/", 200, method="POST", body=bundle, Prefer=f"return={wanted}")
                self.keep(f"POST / {kind} return={wanted}", answer)
        bundle["entry"].append({"request": {"method": "DELETE", "url": "Nonsense/1"}})
        self.refused((400, 404, 422), "/", method="POST", body=bundle)
        bundle["type"] = "batch"
        self.keep("POST / batch with a refusal", self.json("/", 200, method="POST", body=bundle))
        subscription = {"resourceType": "Subscription", "status": "requested", "reason": "synthetic",
                        "criteria": "ImagingStudy?modality=MG",
                        "channel": {"type": "rest-hook", "endpoint": "https://hook.invalid/fhir", "payload": FHIR}}
        status, headers, content = self.ask("/Subscription", (201, 400, 403, 422), method="POST", body=subscription)
        told = json.loads(content)
        self.keep("POST /Subscription", told)
        if status == 201:
            self.keep("GET /Subscription/…", self.json(f"/Subscription/{told['id']}"))
            self.keep("GET /Subscription", self.json("/Subscription"))
            self.ask(f"/Subscription/{told['id']}", (200, 204), method="DELETE")
        self.keep("GET /_history", self.json("/_history?_count=50"))
        self.manifests()

    def manifests(self):
        """Each manifest encoding becomes the other."""
        for kind, media, accept in (("Bundle", FHIR, "application/dicom"), ("Binary", "application/dicom", FHIR)):
            name = next((n for n in self.cases if n.startswith(f"GET /{kind}/") and "-mado-" in n), None)
            if not name:
                continue
            document = self.cases[name][1]
            if document["resourceType"] != kind:
                continue
            body = json.dumps(document) if kind == "Bundle" else base64.b64decode(document["data"])
            # Of a study of which only counts are known there is no KOS.
            counted = kind == "Bundle" and not any(n.startswith("GET /Binary/") and "-mado-kos" in n for n in self.cases)
            status, headers, content = self.ask("/$mado-convert", 400 if counted else 200, method="POST", body=body,
                                                Content_Type=media, Accept=accept)
            if counted:
                self.keep("POST /$mado-convert → 400", json.loads(content))
                continue
            if status == 200 and accept == FHIR:
                self.keep("POST /$mado-convert", json.loads(content))
            elif status == 200:
                back = self.ask("/$mado-convert", 200, method="POST", body=content,
                                Content_Type="application/dicom", Accept=FHIR)[2]
                self.keep("POST /$mado-convert, and back", json.loads(back))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("base")
    arguments.add_argument("token")
    arguments.add_argument("--label", required=True)
    arguments.add_argument("--each", type=int)
    arguments.add_argument("--write", metavar="TOKEN")
    arguments.add_argument("--research", action="store_true", help="secondary use: little may be visible")
    arguments = arguments.parse_args()
    walk = Walk(arguments.base.rstrip("/"), arguments.token, arguments.label)
    walk.is_research = arguments.research
    walk.walk(arguments.each)
    if arguments.write:
        walk.write(arguments.write)
    by_kind = collections.defaultdict(list)
    for name, (digest, resource) in walk.cases.items():
        by_kind[resource["resourceType"]].append((hashlib.sha256(name.encode()).digest(), name, resource))
    kept = 0
    for kind, cases in sorted(by_kind.items()):
        cases.sort(key=lambda case: case[0])
        # A Bundle or outcome is of one kind of answer each: they are few, and all looked at.
        plain = [case for case in cases if not case[1].startswith(("GET", "POST", "PUT", "DELETE"))]
        others = [case for case in cases if case[1].startswith(("GET", "POST", "PUT", "DELETE"))]
        for _, name, resource in plain[: arguments.each] + others:
            kept += 1
            print(json.dumps({"case": f"{arguments.label}: {name}", "profiles": [], "resource": resource},
                             ensure_ascii=False))
        print(f"  {arguments.label}: {kind}: {len(cases)} met, {min(len(plain), arguments.each or len(plain)) + len(others)} judged",
              file=sys.stderr)
    print(f"  {arguments.label}: {walk.requests} requests, {kept} cases, {len(walk.faults)} faults", file=sys.stderr)
    for words in walk.faults[:40]:
        print(f"  FAULT {words}", file=sys.stderr)
    if not arguments.research and kept < 20:
        sys.exit("there is next to nothing to judge")
    sys.exit(1 if walk.faults else 0)


if __name__ == "__main__":
    main()
