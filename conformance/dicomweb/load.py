#!/usr/bin/env python3
"""Loads a folder of DICOM files into Orthanc over REST, and says what Orthanc serves.

    load.py load   URL FOLDER...   POST every file to /instances; prints what became of them
    load.py served URL             JSON: {"served": {sop: {"study", "series"}}, "unserved": {...}}
    load.py delete URL STUDY_UID   deletes a study
    load.py drop   URL SOP_UID     deletes an instance

Only Python's standard library. "Served" is asked instance by instance over WADO-RS, so it is
independent of how the product asks.
"""

import base64
import collections
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path


def request(method, url, data=None, accept="application/json"):
    user = os.environ.get("VESALIUS_DICOMWEB_USER", "")
    pair = f"{user}:{os.environ.get('VESALIUS_DICOMWEB_PASSWORD', '')}".encode()
    headers = {"Accept": accept}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    asked = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as failure:
        return failure.code, failure.read()


def load(url, folders):
    outcome = collections.Counter()
    for folder in folders:
        root = Path(folder)
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            if file.is_file() and not file.suffix == ".py":
                status, body = request("POST", f"{url}/instances", file.read_bytes())
                try:
                    word = json.loads(body).get("Status", "")
                except (ValueError, AttributeError):
                    word = ""
                outcome[f"{status} {word}".strip()] += 1
    print(json.dumps({"event": "loaded", **outcome}))


def served(url):
    """Every instance that Orthanc knows, and whether WADO-RS serves its metadata."""
    status, body = request("GET", f"{url}/instances?expand")
    assert status == 200, status
    parents, result = {}, {"served": {}, "unserved": {}}
    for instance in json.loads(body):
        sop = instance["MainDicomTags"]["SOPInstanceUID"]
        series_id = instance["ParentSeries"]
        if series_id not in parents:
            _, series = request("GET", f"{url}/series/{series_id}")
            series = json.loads(series)
            _, study = request("GET", f"{url}/studies/{series['ParentStudy']}")
            study = json.loads(study)
            parents[series_id] = (
                study["MainDicomTags"]["StudyInstanceUID"],
                series["MainDicomTags"]["SeriesInstanceUID"],
            )
        study, series = parents[series_id]
        path = f"dicom-web/studies/{study}/series/{series}/instances/{sop}/metadata"
        status, _ = request("GET", f"{url}/{path}", accept="application/dicom+json")
        kind = "served" if status == 200 else "unserved"
        result[kind][sop] = {"study": study, "series": series, "status": status}
    print(json.dumps(result))


def find(url, level, key, uid):
    query = json.dumps({"Level": level, "Query": {key: uid}}).encode()
    status, body = request("POST", f"{url}/tools/find", query)
    assert status == 200, (status, body)
    return json.loads(body)


def delete(url, kind, level, key, uid):
    for found in find(url, level, key, uid):
        status, _ = request("DELETE", f"{url}/{kind}/{found}")
        print(json.dumps({"event": "deleted", "uid": uid, "status": status}))


def main():
    command, url, *rest = sys.argv[1:]
    url = url.rstrip("/")
    if command == "load":
        load(url, rest)
    elif command == "served":
        served(url)
    elif command == "delete":
        delete(url, "studies", "Study", "StudyInstanceUID", rest[0])
    elif command == "drop":
        delete(url, "instances", "Instance", "SOPInstanceUID", rest[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
