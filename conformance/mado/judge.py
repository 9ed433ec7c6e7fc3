#!/usr/bin/env python3
"""Holds the manifests of a running server to IHE MADO and to each other, from outside.

    judge.py BASE TOKEN [--studies N] [--ndjson FILE]

BASE ends with /fhir. The flow of a consumer: ITI-67 search, both references of a study, ITI-68 of
each, the WADO-RS address. pydicom and dcmtk (dcmdump, dsrdump) read the KOS; the profiles of
VESALIUS_REFERENCE, where it is set, give cardinalities and fixed values. Planted defects show
that the judge sees what it looks for. --ndjson writes what was fetched, for other judges.
"""
import argparse
import base64
import copy
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import pydicom

FAULTS = []


def fault(where, what):
    FAULTS.append(f"{where}: {what}")


def expect(holds, where, what):
    if not holds:
        fault(where, what)


class Server:
    def __init__(self, base, token):
        self.base, self.token = base.rstrip("/"), token

    def get(self, url, accept="application/fhir+json", body=None, media=None):
        url = url if url.startswith("http") else f"{self.base}/{url}"
        request = urllib.request.Request(url, data=body)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", accept)
        if media:
            request.add_header("Content-Type", media)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers.get_content_type(), answer.read()

    def json(self, url):
        return json.loads(self.get(url)[1])

    def all(self, url):
        while url:
            bundle = self.json(url)
            for entry in bundle.get("entry", []):
                if entry["search"]["mode"] == "match":
                    yield entry["resource"]
            url = next((l["url"] for l in bundle["link"] if l["relation"] == "next"), None)


# ---- cardinalities, fixed values and patterns of the profiles ----------------------------------

def is_within(value, pattern):
    """Whether a value has everything that a pattern has."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(is_within(value.get(k), v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(is_within(v, p) for v in value) for p in pattern)
    return value == pattern


def children(parent, name):
    """The values of an element; of a choice by whatever type."""
    if not isinstance(parent, dict):
        return []
    if name.endswith("[x]"):
        stem = name[:-3]
        found = [v for k, v in parent.items() if k.startswith(stem) and k[len(stem):len(stem) + 1].isupper()]
    else:
        found = [parent[name]] if name in parent else [parent["_" + name]] if "_" + name in parent else []
    return [one for value in found for one in (value if isinstance(value, list) else [value])]


class Profile:
    """Elements of a snapshot that stand in no slice, and slices that a fixed url, a pattern or a
    fixed child tells apart."""

    def __init__(self, path):
        snapshot = json.loads(path.read_text())
        self.name = snapshot["id"]
        self.elements = snapshot["snapshot"]["element"]

    @staticmethod
    def value_of(element):
        for key, value in element.items():
            if key.startswith(("fixed", "pattern")):
                return key.startswith("fixed"), value
        return None

    def check(self, resource):
        for element in self.elements:
            if ":" in element["id"] or "." not in element["id"]:
                continue
            parents = [resource]
            steps = element["id"].split(".")[1:]
            for step in steps[:-1]:
                parents = [child for parent in parents for child in children(parent, step)]
            for parent in parents:
                found = children(parent, steps[-1])
                self.count(element, found)
                rule = self.value_of(element)
                for value in found:
                    if rule and not (value == rule[1] if rule[0] else is_within(value, rule[1])):
                        fault(self.name, f"{element['id']} is not {rule[1]}")
        for element in self.elements:
            if element["id"].count(":") == 1 and element["id"].rsplit(":", 1)[1].count(".") == 0:
                self.slice(element, resource)

    def count(self, element, found):
        low, high = element.get("min", 0), element.get("max", "*")
        expect(len(found) >= low, self.name, f"{element['id']}: {len(found)} of at least {low}")
        if high != "*":
            expect(len(found) <= int(high), self.name, f"{element['id']}: {len(found)} of at most {high}")

    def slice(self, element, resource):
        # What tells the slice: its own pattern, or fixed and pattern values right below it, or
        # the url of the extension that it is typed by.
        tells = []
        own = self.value_of(element)
        if own:
            tells.append(([], own[1]))
        for below in self.elements:
            if below["id"].startswith(element["id"] + ".") and ":" not in below["id"][len(element["id"]):]:
                rule = self.value_of(below)
                if rule:
                    tells.append((below["id"][len(element["id"]) + 1:].split("."), rule[1]))
        for kind in element.get("type", []):
            if kind.get("code") == "Extension":
                tells += [(["url"], url) for url in kind.get("profile", [])[:1]]
        if not tells:
            return
        def is_it(value):
            for steps, wanted in tells:
                values = [value]
                for step in steps:
                    values = [child for one in values for child in children(one, step)]
                if not any(is_within(one, wanted) for one in values):
                    return False
            return True
        parents = [resource]
        steps = element["id"].split(":")[0].split(".")[1:]
        for step in steps[:-1]:
            parents = [child for parent in parents for child in children(parent, step)]
        for parent in parents:
            self.count(element, [value for value in children(parent, steps[-1]) if is_it(value)])


def profiles():
    reference = os.environ.get("VESALIUS_REFERENCE")
    if not reference:
        print("skipped without VESALIUS_REFERENCE: the cardinalities of the profiles")
        return {}
    found = {}
    eehrxf = pathlib.Path(reference) / "eehrxf"
    for kind, name in [
        ("Bundle", "ihe-rad-mado/profiles/StructureDefinition-MadoFhirBundle.json"),
        ("Composition", "ihe-rad-mado/profiles/StructureDefinition-MadoComposition.json"),
        ("ImagingStudy", "ihe-rad-mado/profiles/StructureDefinition-MadoImagingStudy.json"),
        ("Patient", "ihe-rad-mado/profiles/StructureDefinition-MadoPatient.json"),
        ("Device", "ihe-rad-mado/profiles/StructureDefinition-MadoCreator.json"),
        ("Organization", "ihe-rad-mado/profiles/StructureDefinition-MadoCreatorOrganization.json"),
        ("ServiceRequest", "ihe-rad-mado/profiles/StructureDefinition-MadoRequestedProcedure.json"),
        ("Endpoint", "ihe-rad-mado/profiles/StructureDefinition-MadoWadoEndpoint.json"),
        ("application/fhir+json", "ihe-rad-mado/profiles/StructureDefinition-MadoFhirDocumentReference.json"),
        ("application/dicom", "ihe-rad-mado/profiles/StructureDefinition-MadoDicomKosDocumentReference.json"),
        ("List", "ihe-iti-mhd-4.2.3/profiles/StructureDefinition-IHE.MHD.Minimal.SubmissionSet.json"),
    ]:
        found[kind] = Profile(eehrxf / name)
    return found


# ---- one study ------------------------------------------------------------------------------

def check_bundle(bundle, rules):
    where = bundle.get("id", "Bundle")
    if "Bundle" in rules:
        rules["Bundle"].check(bundle)
    entries = bundle.get("entry", [])
    expect(bundle.get("type") == "document", where, "is no document")
    expect(entries and entries[0]["resource"]["resourceType"] == "Composition", where, "Composition is not first")
    urls = [entry.get("fullUrl", "") for entry in entries]
    expect(len(urls) == len(set(urls)), where, "a fullUrl stands twice")
    expect(all(url.startswith("urn:uuid:") for url in urls), where, "a fullUrl is no urn:uuid")
    text = json.dumps(bundle)
    for part in text.split('"reference": "')[1:]:
        expect(part.split('"', 1)[0] in urls, where, f"{part[:60]} leads nowhere")
    for entry in entries:
        resource = entry["resource"]
        rule = rules.get(resource["resourceType"])
        is_viewer = "text/html" in resource.get("payloadMimeType", [])
        if rule and not is_viewer:
            rule.check(resource)
    study = [e["resource"] for e in entries if e["resource"]["resourceType"] == "ImagingStudy"]
    if len(study) != 1:
        fault(where, "one ImagingStudy")
        return {}
    study = study[0]
    own = [i for i in study["identifier"] if i.get("system") == "urn:dicom:uid" and i.get("value", "").startswith("urn:oid:")]
    expect(len(own) == 1, where, "one Study Instance UID")
    for order in study.get("basedOn", []):
        types = {c["code"] for c in order["identifier"]["type"]["coding"]}
        expect(types >= {"ACSN", "121022"} and order["identifier"].get("system"), where, "an accession number without types or system")
    says = any(c.get("text") or any(x.get("display") for x in c.get("coding", [])) for c in study.get("procedureCode", []))
    expect(says, where, "mado-reqproc-1")
    return {s["uid"]: {i["uid"]: i["sopClass"]["code"].removeprefix("urn:oid:") for i in s["instance"]} for s in study["series"]}


def check_kos(data, where):
    """pydicom's and dcmtk's reading: the instances of the evidence, by series."""
    try:
        kos = pydicom.dcmread(io.BytesIO(data))
        kos.walk(lambda _, element: element.value)
    except Exception as failure:  # whatever pydicom throws is a verdict
        fault(where, f"pydicom: {failure}")
        return {}, None
    for tool, options in [("dcmdump", []), ("dsrdump", ["-Ec"])]:
        if shutil.which(tool):
            with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
                file.write(data)
                file.flush()
                run = subprocess.run([tool, *options, file.name], capture_output=True, text=True)
                expect(run.returncode == 0, where, f"{tool}: {run.stderr.strip()[-200:]}")
    for keyword in ["PatientID", "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence", "TypeOfPatientID",
                    "TimezoneOffsetFromUTC", "AccessionNumber", "IssuerOfAccessionNumberSequence",
                    "ReferencedRequestSequence", "InstitutionName", "Manufacturer", "StudyDate"]:
        expect(keyword in kos, where, f"no {keyword}")
    evidence = {}
    for study in kos.CurrentRequestedProcedureEvidenceSequence:
        expect(study.StudyInstanceUID == kos.StudyInstanceUID, where, "evidence of another study")
        for series in study.ReferencedSeriesSequence:
            evidence[series.SeriesInstanceUID] = {
                sop.ReferencedSOPInstanceUID: str(sop.ReferencedSOPClassUID) for sop in series.ReferencedSOPSequence}
            expect("RetrieveLocationUID" in series, where, "no Retrieve Location UID")
    flat = {uid: sop for series in evidence.values() for uid, sop in series.items()}
    def references(items):
        found = {}
        for item in items:
            for sop in item.get("ReferencedSOPSequence", []):
                found[sop.ReferencedSOPInstanceUID] = str(sop.ReferencedSOPClassUID)
            if item.get("ValueType") == "CONTAINER":
                found |= references(item.get("ContentSequence", []))
        return found
    root = [item for item in kos.ContentSequence if item.ValueType != "CONTAINER"]
    library = [item for item in kos.ContentSequence if item.ValueType == "CONTAINER"]
    expect(references(root) == flat, where, "the root of the content does not list the evidence (TID 2010)")
    expect(references(library) == flat, where, "the image library does not list the evidence (TID 1600)")
    return evidence, kos


def capability(server):
    reference = os.environ.get("VESALIUS_REFERENCE")
    if not reference:
        return
    ours = {r["type"]: r for r in server.json("metadata")["rest"][0]["resource"]}
    missing = []
    for name in ["ihe-iti-mhd-4.2.3/capabilitystatements/CapabilityStatement-IHE.MHD.DocumentResponder.json",
                 "ihe-rad-mado/capabilitystatements/CapabilityStatement-IHE.RAD.MADO.DocumentResponder.json"]:
        for row in json.loads((pathlib.Path(reference) / "eehrxf" / name).read_text())["rest"][0]["resource"]:
            own = ours.get(row["type"], {})
            known = {p["name"].lower() for p in own.get("searchParam", [])}
            missing += [f"{row['type']}?{p['name']}" for p in row.get("searchParam", []) if p["name"].lower() not in known]
            codes = {i["code"] for i in own.get("interaction", [])}
            missing += [f"{row['type']} {i['code']}" for i in row.get("interaction", []) if i["code"] not in codes]
    expect(not missing, "CapabilityStatement", f"missing of MHD and MADO Document Responder: {missing}")


def planted(bundle, data, rules):
    """Each defect must be seen."""
    def seen(what, check):
        before = len(FAULTS)
        check()
        found = len(FAULTS) > before
        del FAULTS[before:]
        if not found:
            fault("planted", f"{what} was not seen")
    def study(b):
        return b["entry"][1]["resource"]
    changes = {
        "type": lambda b: b.update(type="collection"),
        "order": lambda b: b["entry"].reverse(),
        "open reference": lambda b: study(b)["subject"].update(reference="urn:uuid:none"),
        "procedure": lambda b: study(b).pop("procedureCode"),
    }
    if rules:
        changes |= {
            "no title": lambda b: b["entry"][0]["resource"].pop("title"),
            "no author": lambda b: b["entry"][0]["resource"].update(author=b["entry"][0]["resource"]["author"][:1]),
            "no uid": lambda b: study(b).update(identifier=[{"system": "x", "value": "y"}]),
            "no endpoint": lambda b: study(b)["series"][0].pop("endpoint"),
            "no instance": lambda b: study(b)["series"][0].pop("instance") and study(b)["series"][0].update(instance=[]),
            "no numberOfSeries": lambda b: study(b).pop("numberOfSeries"),
            "endpoint off": lambda b: next(e["resource"] for e in b["entry"] if e["resource"]["resourceType"] == "Endpoint").update(status="off"),
            "no identifier": lambda b: b.pop("identifier"),
        }
    for what, change in changes.items():
        broken = copy.deepcopy(bundle)
        change(broken)
        seen(what, lambda: check_bundle(broken, rules))
    kos = pydicom.dcmread(io.BytesIO(data))
    del kos.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    if not kos.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence:
        del kos.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    file = io.BytesIO()
    kos.save_as(file)
    seen("an instance less in the KOS", lambda: check_kos(file.getvalue(), "planted"))
    seen("a cut KOS", lambda: check_kos(data[: len(data) * 2 // 3], "planted"))
    return len(changes) + 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("token")
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--ndjson")
    args = parser.parse_args()
    server, rules = Server(args.base, args.token), profiles()
    capability(server)
    references = list(server.all("DocumentReference?_count=7"))
    total = server.json("DocumentReference?_summary=count")["total"]
    expect(total == len(references) == len({r["id"] for r in references}), "ITI-67", f"total {total}, {len(references)} found")
    # Reports are documents, too; they are judged with the other resources.
    references = [r for r in references if any("Mado" in profile for profile in r["meta"].get("profile", []))]
    by_id = {f"DocumentReference/{r['id']}": r for r in references}
    keep, done, instances, defects = [], 0, 0, 0
    for reference in references:
        media = reference["content"][0]["attachment"]["contentType"]
        if media in rules:
            rules[media].check(reference)
        other = by_id.get(reference["relatesTo"][0]["target"]["reference"])
        expect(other and other["relatesTo"][0]["target"]["reference"] == f"DocumentReference/{reference['id']}",
               reference["id"], "transforms leads nowhere")
        if media != "application/fhir+json" or done >= args.studies:
            continue
        done += 1
        where = reference["id"]
        uid = reference["context"]["related"][0]["identifier"]["value"]
        found = server.json("DocumentReference?study-instance-uid=" + urllib.parse.quote(f"urn:dicom:uid|{uid}"))
        # The study's reports are found by it too.
        manifests = {e["resource"]["id"] for e in found["entry"] if "-mado-" in e["resource"]["id"]}
        expect(manifests == {reference["id"], other["id"]}, where, "not found by study UID")
        documents = {}
        for one in (reference, other):
            attachment = one["content"][0]["attachment"]
            got, data = server.get(attachment["url"], accept=attachment["contentType"])
            expect(got == attachment["contentType"], one["id"], f"content type {got}")
            if "size" in attachment:
                digest = base64.b64encode(hashlib.sha1(data).digest()).decode()
                expect(attachment["size"] == len(data) and attachment["hash"] == digest, one["id"], "size or hash")
            documents[attachment["contentType"]] = data
        bundle = json.loads(documents["application/fhir+json"])
        listed = check_bundle(bundle, rules)
        evidence, kos = check_kos(documents["application/dicom"], other["id"])
        expect(listed == evidence, where, "the encodings list different instances")
        if kos is not None:
            oid = f"urn:oid:{kos.SOPInstanceUID}"
            for value in (bundle["identifier"]["value"], reference["masterIdentifier"]["value"], other["masterIdentifier"]["value"]):
                expect(value == oid, where, f"identifier {value} is not {oid}")
        whole = server.json(reference["context"]["related"][0]["reference"])
        archive = {s["uid"]: {i["uid"] for i in s["instance"]} for s in whole["series"]}
        expect(archive == {s: set(i) for s, i in listed.items()}, where, "other instances than the study")
        addresses = [e["resource"]["address"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Endpoint"]
        expect(all(address.startswith("http") for address in addresses), where, "no WADO-RS address")
        # Each encoding converts to the other.
        _, made = server.get("$mado-convert", "application/dicom", documents["application/fhir+json"], "application/fhir+json")
        expect(check_kos(made, where + " converted")[0] == evidence, where, "converted to DICOM it lists others")
        _, made = server.get("$mado-convert", "application/fhir+json", documents["application/dicom"], "application/dicom")
        expect(check_bundle(json.loads(made), rules) == listed, where, "converted to FHIR it lists others")
        instances += sum(len(one) for one in listed.values())
        keep += [reference, other, bundle]
        if not defects:
            defects = planted(bundle, documents["application/dicom"], rules)
    lists = list(server.all("List?_count=50"))
    expect(len(lists) * 2 == len(references), "ITI-66", f"{len(lists)} sets for {len(references)} documents")
    for one in lists:
        if "List" in rules:
            rules["List"].check(one)
        expect(all(entry["item"]["reference"] in by_id for entry in one["entry"]), one["id"], "an item leads nowhere")
    if args.ndjson:
        with open(args.ndjson, "w") as file:
            for one in keep + lists:
                file.write(json.dumps(one) + "\n")
    for one in sorted(set(FAULTS))[:40]:
        print(one)
    print(f"{len(references)} references, {done} studies with {instances} instances in both encodings, "
          f"{defects} planted defects, {len(FAULTS)} faults")
    sys.exit(1 if FAULTS or not done or not defects else 0)


if __name__ == "__main__":
    main()
