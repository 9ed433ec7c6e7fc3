"""fhirclient 4.4.0 (SMART Health IT) against a running server: it parses strictly into R4 models, so
whatever it reads has only elements that R4 knows, of R4's types.

    with_fhirclient.py BASE TOKEN       TOKEN may write (system/*.cruds)
"""

import sys

from fhirclient import client, server
from fhirclient.auth import FHIROAuth2Auth
from fhirclient.models import (binary, bundle, capabilitystatement, codeableconcept, diagnosticreport,
                               documentreference, fhirreference, imagingstudy, observation, operationoutcome,
                               patient)
from requests.exceptions import HTTPError

base, token = sys.argv[1:3]
passed = 0


def check(holds, words):
    global passed
    if not holds:
        sys.exit(f"FAIL fhirclient: {words}")
    passed += 1


def refused(status, words, work, kinds=Exception):
    try:
        work()
    except kinds as failure:
        reply = getattr(failure, "response", None)
        check(reply is not None and reply.status_code == status, f"{words}: {failure!r}")
        # What the server tells is an OperationOutcome to the client's model.
        return operationoutcome.OperationOutcome(reply.json())
    sys.exit(f"FAIL fhirclient: {words}: nothing was raised")


def connect(token):
    smart = client.FHIRClient(settings={"app_id": "conformance", "api_base": base})
    smart.server.get_capability()
    smart.server.auth = FHIROAuth2Auth(state={"app_id": "conformance", "aud": base, "access_token": token})
    return smart.server


ours = connect(token)
check(isinstance(ours.capabilityStatement, capabilitystatement.CapabilityStatement), "discovery")
check(ours.capabilityStatement.fhirVersion == "4.0.1", "the version")
refused(401, "a wrong token", lambda: imagingstudy.ImagingStudy.read("x", connect("nonsense")))

search = imagingstudy.ImagingStudy.where({"_count": "7"})
first = search.perform(ours)
pages = list(search.perform_iter(ours))
found = [entry.resource for page in pages for entry in page.entry]
check(len(pages) > 1 and len(found) == first.total == len({one.id for one in found}), "a search in pages")
mammograms = imagingstudy.ImagingStudy.where({"modality": "MG"}).perform_resources(ours)
check(mammograms and all("MG" in [m.code for m in one.modality] for one in mammograms), "by modality")
some = imagingstudy.ImagingStudy.read(mammograms[0].id, ours)
check(some.as_json() == mammograms[0].as_json(), "a read gives what the search gave")
person = some.subject.resolved(patient.Patient) or patient.Patient.read_from(some.subject.reference, ours)
check(person.id == some.subject.reference.split("/")[1], "the patient")
for kind in (diagnosticreport.DiagnosticReport, documentreference.DocumentReference):
    # Strict parsing of each page is the check.
    all_of_them = list(kind.where({"_count": "50"}).perform_resources_iter(ours))
    check(len(all_of_them) > 10, f"{kind.__name__}: {len(all_of_them)} parsed")
manifest = next(one for one in all_of_them if one.id.endswith("-mado-fhir"))
document = bundle.Bundle(ours.request_json(manifest.content[0].attachment.url))
check(document.type == "document" and document.entry[0].resource.resource_type == "Composition", "a manifest")
kos = next(one for one in all_of_them if one.id.endswith("-mado-kos"))
content = binary.Binary(ours.request_json(kos.content[0].attachment.url))
check(content.contentType == "application/dicom", "a KOS as Binary")
raw = ours.request_data(kos.content[0].attachment.url, headers={"Accept": "application/dicom"})
check(raw[128:132] == b"DICM", "a KOS as it is")
refused(404, "a read of nothing", lambda: imagingstudy.ImagingStudy.read("there-is-none", ours))

new = observation.Observation({"status": "final", "code": {"text": "written by fhirclient (synthetic)"}})
new.subject = fhirreference.FHIRReference({"reference": f"Patient/{person.id}"})
new.valueString = "one"
answer = new.create(ours)
kept = observation.Observation(answer)
check(kept.id and kept.meta.versionId == "1", "create")
kept.origin_server = ours
kept.valueString = "two"
check(kept.update()["meta"]["versionId"] == "2", "update")
# The client has no If-Match of its own: its session carries the header.
ours.session.headers["If-Match"] = 'W/"1"'
kept.valueString = "three"
outcome = refused(412, "an update of a version that was", kept.update)
check("If-Match" in outcome.issue[0].diagnostics, "the conflict says why")
del ours.session.headers["If-Match"]
check(observation.Observation.read(kept.id, ours).valueString == "two", "the conflict changed nothing")
wrong = observation.Observation({"status": "nonsense", "code": {"text": "x"}})
outcome = refused(422, "a resource that is not valid", lambda: wrong.create(ours))
check("Observation.status" in outcome.issue[0].expression, "the refusal names the element")
kept.delete(ours)
refused(410, "a read of what was deleted", lambda: observation.Observation.read(kept.id, ours))
print(f"fhirclient: {passed} checks hold")
