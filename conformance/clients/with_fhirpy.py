"""fhirpy 2.3.1 against a running server.

    with_fhirpy.py BASE TOKEN       TOKEN may write (system/*.cruds)

Discovery, bearer token, read, search in pages, includes, create, update, version conflict, deletion,
refusals: the client must get what it asks for, and its own exception where it asks for what is wrong.
"""

import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import (AuthorizationError, ForbiddenError, MultipleResourcesFound, OperationOutcome,
                                    ResourceNotFound)

base, token = sys.argv[1:3]
passed = 0


def check(holds, words):
    global passed
    if not holds:
        sys.exit(f"FAIL fhirpy: {words}")
    passed += 1


def refused(kinds, words, work):
    try:
        work()
    except kinds as failure:
        check(True, words)
        return failure
    sys.exit(f"FAIL fhirpy: {words}: nothing was raised")


def client(token=token, **headers):
    return SyncFHIRClient(url=base, authorization=f"Bearer {token}", extra_headers=headers or None)


ours = client()
statement = ours.execute("metadata", method="get")
check(statement["fhirVersion"] == "4.0.1", "the CapabilityStatement")
refused(AuthorizationError, "a wrong token", lambda: client("nonsense").resources("ImagingStudy").fetch())
refused(AuthorizationError, "no token", lambda: SyncFHIRClient(url=base).resources("ImagingStudy").fetch())

studies = ours.resources("ImagingStudy")
total = studies.count()
paged = studies.limit(7).fetch_all()
check(len(paged) == total == len({one.id for one in paged}), f"{total} studies in pages of 7: {len(paged)}")
mammograms = studies.search(modality="MG").sort("-started").limit(5).fetch()
check(mammograms and all("MG" in [m["code"] for m in one["modality"]] for one in mammograms), "by modality, sorted")
begun = [one["started"] for one in mammograms]
check(begun == sorted(begun, reverse=True), f"sorted: {begun}")
some = mammograms[0]
read = ours.reference("ImagingStudy", some.id).to_resource()
check(read == some, "a read gives what the search gave")
patient = read["subject"].to_resource()
check(patient.resource_type == "Patient", "the reference to the patient resolves")
bundle = studies.search(_id=some.id).include("ImagingStudy", "patient").fetch_raw()
check({e["resource"].resource_type for e in bundle["entry"]} == {"ImagingStudy", "Patient"}, "_include")
everything = patient.execute("$everything", method="get")
check(any(e["resource"]["id"] == some.id for e in everything["entry"]), "Patient/$everything")
check(not studies.search(modality="XX").fetch(), "a search that finds nothing")
refused(ResourceNotFound, "a read of nothing", lambda: ours.reference("ImagingStudy", "there-is-none").to_resource())

created = ours.resource("Observation", status="final", subject=patient.to_reference(),
                        code={"text": "written by fhirpy (synthetic)"}, valueString="one")
created.save()
check(created.id and created["meta"]["versionId"] == "1", "create")
created["valueString"] = "two"
created.save()
check(created["meta"]["versionId"] == "2", "update")
stale = client(**{"If-Match": 'W/"1"'}).resource("Observation", **dict(created.serialize()))
stale["valueString"] = "three"
# The client calls every 412 so.
failure = refused(MultipleResourcesFound, "an update of a version that was", stale.save)
check("If-Match" in str(failure), f"the conflict says why: {failure}")
created.refresh()
check(created["valueString"] == "two", "the conflict changed nothing")
check(ours.resources("Observation").search(_id=created.id).count() == 1, "what was written is found")
wrong = ours.resource("Observation", status="nonsense", code={"text": "x"})
failure = refused(OperationOutcome, "a resource that is not valid", wrong.save)
check("Observation.status" in str(failure), f"the refusal names the element: {failure}")
derived = ours.resource("ImagingStudy", **dict(read.serialize()))
refused((OperationOutcome, ForbiddenError), "writing what the archive derives", derived.save)
created.delete()
refused((OperationOutcome, ResourceNotFound), "a read of what was deleted",
        lambda: ours.reference("Observation", created.id).to_resource())
check(len(ours.resources("Observation").search(_id=created.id).fetch()) == 0, "what was deleted is not found")
print(f"fhirpy: {passed} checks hold")
