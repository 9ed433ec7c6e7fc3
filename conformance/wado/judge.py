#!/usr/bin/env python3
"""Judges the images that a server hands out against the files that it read.

    judge.py --url URL --token TOKEN --folder FOLDER [--peer ORTHANC] [--through]

Real clients are the judges: dicomweb-client asks, pydicom reads what comes back. Every instance is
compared with its file byte for byte, metadata element by element, bulk data and frames with what
pydicom cuts out of the file; searches with the files, with the FHIR facade's counts and with what
Orthanc answers for the same files. With --through the server hands on what that Orthanc serves.
"""

import argparse
import io
import json
import math
import re
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import pydicom
import requests
from dicomweb_client import DICOMwebClient
from pydicom.encaps import generate_frames
from pydicom.uid import UID

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.replace_un_with_known_vr = False

args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
args.add_argument("--url", required=True)
args.add_argument("--token", required=True)
args.add_argument("--folder", required=True)
args.add_argument("--peer")
args.add_argument("--through", action="store_true")
args = args.parse_args()
base = args.url + "/dicom-web"
session = requests.Session()
session.headers["Authorization"] = "Bearer " + args.token
passed = failed = 0
MULTI = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def check(holds, words, *more):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print(("ok    " if holds else "FAIL  ") + words, *(more if not holds else ()))
    return holds


def get(path, accept=None, **more):
    url = path if path.startswith("http") else base + path
    return session.get(url, headers={"Accept": accept} if accept else {}, timeout=60, **more)


def parts(response):
    """The parts of a multipart: media type and bytes."""
    boundary = re.search(r'boundary="?([^";]+)', response.headers["Content-Type"]).group(1).encode()
    body = b"\r\n" + response.content
    assert body.rstrip().endswith(b"\r\n--" + boundary + b"--"), "no final boundary"
    found = []
    for piece in body.split(b"\r\n--" + boundary)[1:-1]:
        head, data = piece.split(b"\r\n\r\n", 1)
        found.append((re.search(rb"(?i)content-type: *([^\r\n]*)", head).group(1).decode(), data))
    return found


# ---- the files ----------------------------------------------------------------------------------

files = defaultdict(list)      # SOPInstanceUID -> [(path, bytes)]
for path in sorted(Path(args.folder).rglob("*")):
    if path.is_file():
        try:
            found = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            files[str(found.SOPInstanceUID).strip()].append((path, path.read_bytes()))
        except Exception:
            continue

# ---- searches -----------------------------------------------------------------------------------

client = DICOMwebClient(url=base, session=session)


def everything(search, **more):
    rows, offset = [], 0
    while True:
        page = search(limit=200, offset=offset, **more)
        rows += page
        if len(page) < 200:
            return rows
        offset += 200


def value(row, tag):
    values = row.get(tag, {}).get("Value", [])
    return values[0] if values else None


studies = everything(client.search_for_studies)
series = everything(client.search_for_series)
instances = everything(client.search_for_instances)
count = session.get(args.url + "/fhir/ImagingStudy?_summary=count").json()["total"]
check(len(studies) == count, f"QIDO-RS finds {len(studies)} studies, FHIR {count}")
check(len({value(s, "0020000D") for s in studies}) == len(studies), "no study is found twice")
check(sum(value(s, "00201208") for s in studies) == len(instances), f"{len(instances)} instances, as the studies count")
check(sum(value(s, "00201206") for s in studies) == len(series), f"{len(series)} series, as the studies count")
sops = {value(i, "00080018") for i in instances}
check(sops <= set(files), "every instance has its file", sops - set(files))
places = {value(i, "00080018"): (value(i, "0020000D"), value(i, "0020000E")) for i in instances}
wrong = [row["0020000D"]["Value"][0] for row in studies if not row["00081190"]["Value"][0].startswith(base)]
check(not wrong, "RetrieveURL is ours")

fhir = {}
page = args.url + "/fhir/ImagingStudy?_count=100"
while page:
    bundle = session.get(page).json()
    for entry in bundle.get("entry", []):
        study = entry["resource"]
        uid = [i["value"] for i in study["identifier"] if i.get("system") == "urn:dicom:uid"][0][8:]
        fhir[uid] = (study["numberOfSeries"], study["numberOfInstances"])
    page = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
mine = {value(s, "0020000D"): (value(s, "00201206"), value(s, "00201208")) for s in studies}
check(mine == fhir, "series and instances of each study as FHIR counts them")

by_modality = defaultdict(set)
for one in series:
    by_modality[value(one, "00080060")].add(value(one, "0020000D"))
for modality, expected in sorted((m, s) for m, s in by_modality.items() if m):
    found = {value(s, "0020000D") for s in everything(client.search_for_studies, search_filters={"ModalitiesInStudy": modality})}
    check(found == expected, f"ModalitiesInStudy={modality}: {len(found)} studies", found ^ expected)


def named(row):
    name = value(row, "00100010")
    return (name or {}).get("Alphabetic", "")


def expect(query, holds):
    found = {value(s, "0020000D") for s in get("/studies?limit=5000&" + query).json()}
    expected = {value(s, "0020000D") for s in studies if holds(s)}
    check(found == expected, f"{query}: {len(found)} studies", found ^ expected)


def year(s):
    return (value(s, "00080020") or "")[:4]


expect("StudyDate=20040101-20051231", lambda s: "2004" <= year(s) <= "2005")
expect("StudyDate=-20001231", lambda s: "0" < year(s) <= "2000")
expect("StudyDate=20100101-", lambda s: year(s) >= "2010")
expect("PatientName=comp*", lambda s: named(s).lower().startswith("comp"))
expect("PatientName=*%5E*", lambda s: "^" in named(s))
expect("PatientSex=F", lambda s: value(s, "00100040") == "F")
expect("StudyTime=120000-", lambda s: (value(s, "00080030") or "0") >= "12")
for tag, keyword in (("00100020", "PatientID"), ("00080050", "AccessionNumber"), ("00200010", "StudyID")):
    for wanted in sorted({value(s, tag) for s in studies if value(s, tag)})[:5]:
        expect(f"{keyword}={requests.utils.quote(wanted)}", lambda s: value(s, tag) == wanted)
        expect(f"{tag}={requests.utils.quote(wanted[:2])}*", lambda s: (value(s, tag) or "").startswith(wanted[:2]))
uids = [value(s, "0020000D") for s in studies[:3]]
expect("StudyInstanceUID=" + ",".join(uids), lambda s: value(s, "0020000D") in uids)
check(get("/studies?PatientID=nobody").json() == [], "nothing found is an empty array")
pages = [value(s, "0020000D") for at in range(0, len(studies), 7) for s in get(f"/studies?limit=7&offset={at}").json()]
check(pages == [value(s, "0020000D") for s in studies], "pages are the whole, in order")
told = get("/studies?limit=1&fuzzymatching=true").headers.get("Warning", "")
check("299" in told and "fuzzymatching" in told and "additional results" in told, "what is not supported is told", told)
check("additional" not in get("/studies?limit=5000").headers.get("Warning", ""), "and nothing where all is there")
full = get("/studies?limit=1&includefield=all").json()[0]
check(len(full) > len(studies[0]), "includefield=all returns more")

# ---- objects ------------------------------------------------------------------------------------


def is_part_10(data):
    return data[128:132] == b"DICM"


def same_file(sent, sop):
    """Whether the bytes are one of the files of the instance."""
    for _, data in files[sop]:
        if sent == data:
            return True
        # A file without preamble or meta information gets both: what stands behind is the file.
        if not is_part_10(data) and is_part_10(sent):
            if sent.endswith(data[4:] if data[:4] == b"DICM" else data) or data.endswith(sent[-len(data) + 400:] or b"?"):
                return True
    return False


def peer(path):
    return requests.get(args.peer + path, auth=("peer", "peer-secret"), timeout=60)


unlike, sent, left_out = [], 0, 0
for study in studies:
    uid = value(study, "0020000D")
    answer = get(f"/studies/{uid}", MULTI)
    if args.through and answer.status_code == 404 and peer(f"/dicom-web/studies/{uid}").status_code == 404:
        # Orthanc 1.10 finds no study that two patients share.
        left_out += value(study, "00201208")
        continue
    if answer.status_code != 200:
        unlike.append((uid, answer.status_code, answer.text[:200]))
        continue
    arrived = parts(answer)
    if len(arrived) != value(study, "00201208"):
        unlike.append((uid, len(arrived)))
    for media, data in arrived:
        sent += 1
        found = pydicom.dcmread(io.BytesIO(data), force=True)
        sop = str(found.SOPInstanceUID)
        if args.through:
            # A server may write the file meta information anew: the data set is the same.
            ok = places.get(sop, ("",))[0] == uid
        else:
            ok = same_file(data, sop) and places[sop][0] == uid
        if not ok or not media.startswith("application/dicom"):
            unlike.append((sop, media, len(data)))
check(not unlike and sent + left_out == len(instances) and sent > 0.9 * len(instances),
      f"{sent} instances are the files, byte for byte" if not args.through
      else f"{sent} instances arrive; {left_out} are of studies that Orthanc itself answers with 404", unlike[:5])

one = instances[0]
study, of_series, sop = value(one, "0020000D"), value(one, "0020000E"), value(one, "00080018")
at = f"/studies/{study}/series/{of_series}/instances/{sop}"
alone = get(at, "application/dicom")
check(alone.headers["Content-Type"].startswith("application/dicom"), "an instance comes alone when asked so")
check(str(client.retrieve_instance(study, of_series, sop).SOPInstanceUID) == sop, "dicomweb-client retrieves an instance")
check({str(d.SOPInstanceUID) for d in client.retrieve_series(study, of_series)} ==
      {s for s, p in places.items() if p == (study, of_series)}, "dicomweb-client retrieves a series")
check(client.retrieve_study_metadata(study)[0]["0020000D"]["Value"] == [study], "dicomweb-client retrieves metadata")
if args.through:
    ids = requests.post(args.peer + "/tools/lookup", data=sop, auth=("peer", "peer-secret")).json()
    theirs = peer(f"/instances/{ids[0]['ID']}/file").content
    check(alone.content == theirs, "an instance is what Orthanc has, byte for byte", len(alone.content), len(theirs))
else:
    check(alone.content in [data for _, data in files[sop]], "and is the file")
    for spec, expected in (("bytes=0-99", alone.content[:100]), ("bytes=-10", alone.content[-10:]), ("bytes=200-", alone.content[200:])):
        part = session.get(base + at, headers={"Accept": "application/dicom", "Range": spec})
        check(part.status_code == 206 and part.content == expected, f"range {spec}", part.status_code, len(part.content))
    part = session.get(base + at, headers={"Accept": "application/dicom", "Range": f"bytes={len(alone.content)}-"})
    check(part.status_code == 416 and part.headers["Content-Range"] == f"bytes */{len(alone.content)}", "a range outside is 416")
    again = session.get(base + at, headers={"Accept": "application/dicom", "If-None-Match": alone.headers["ETag"]})
    check(again.status_code == 304 and not again.content, "what the reader has is 304")
    head = session.head(base + at, headers={"Accept": "application/dicom"})
    check(head.status_code == 200 and int(head.headers["Content-Length"]) == len(alone.content), "HEAD tells the length")
    other = get(at, 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90')
    kept = alone.headers["Content-Type"].split("transfer-syntax=")[1]
    check(other.status_code == 406 and kept in other.json()["detail"], "another transfer syntax is 406 and says which there is", other.text)

# ---- metadata, bulk data, frames ----------------------------------------------------------------


def texts(element):
    values = element.value if element.VM > 1 else [element.value]
    return [str(v).strip("\0 ") for v in values]


def differ(file, json_set, bulk, way=""):
    """What differs between a data set of a file and its DICOM JSON."""
    found = []
    for element in file:
        tag, vr = f"{element.tag:08X}", element.VR
        if element.tag.element == 0 or element.tag.group == 2 or element.tag in (0x00080005, 0xFFFCFFFC):
            continue
        if element.tag > 0x7FE00010:
            continue
        told = json_set.get(tag)
        if told is None:
            found.append((way + tag, "absent"))
            continue
        if told["vr"] == "SQ":
            if vr not in ("SQ", "UN"):
                found.append((way + tag, vr))
            elif vr == "SQ":
                items = told.get("Value", [])
                if len(items) != len(element.value or []):
                    found.append((way + tag, "items"))
                for number, (a, b) in enumerate(zip(element.value or [], items)):
                    found += differ(a, b, bulk, f"{way}{tag}/{number + 1}/")
            continue
        if "BulkDataURI" in told:
            bulk.append((told["BulkDataURI"], element))
        elif "InlineBinary" in told:
            import base64
            data = base64.b64decode(told["InlineBinary"])
            if isinstance(element.value, bytes) and data != element.value:
                found.append((way + tag, "bytes"))
        elif vr in ("OB", "OW", "UN", "OF", "OD", "OL", "OV"):
            if element.value:
                found.append((way + tag, "no value"))
        else:
            values = told.get("Value", [])
            for mine, theirs in zip(values, element.value if element.VM > 1 else [element.value]):
                if vr == "PN":
                    want = str(theirs).split("=")
                    got = [(mine or {}).get(k, "") for k in ("Alphabetic", "Ideographic", "Phonetic")]
                    ok = [w.strip() for w in want] == [g.strip() for g in got[:len(want)]]
                elif isinstance(mine, (int, float)):
                    try:
                        ok = math.isclose(float(mine), float(theirs), rel_tol=1e-9, abs_tol=1e-12)
                    except (TypeError, ValueError):
                        ok = False
                elif vr == "AT":
                    ok = int(mine, 16) == int(theirs)
                else:
                    ok = (mine or "").strip() == str(theirs if theirs is not None else "").strip().rstrip("\0").strip()
                if not ok:
                    found.append((way + tag, vr, mine, str(theirs)[:60]))
    return found


NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
if not args.through:
    wrong, compared, fetched, cut, uncut, shown, unshown, number_of, odd = [], 0, 0, 0, 0, 0, 0, 0, 0
    # A large archive repeats itself: some 200 of its instances are compared in depth.
    step = max(1, len(instances) // 200)
    for study in studies:
        uid = value(study, "0020000D")
        answer = get(f"/studies/{uid}/metadata")
        if answer.status_code != 200:
            wrong.append((uid, answer.status_code))
            continue
        for told in answer.json():
            number_of += 1
            if number_of % step:
                continue
            sop = value(told, "00080018")
            path, data = files[sop][0]
            try:
                file = pydicom.dcmread(path, force=True)
                for element in file.iterall():
                    element.value
            except Exception:
                continue
            bulk = []
            differences = differ(file, told, bulk)
            if differences and len(files[sop]) == 1:
                wrong.append((path.name, differences[:3]))
            compared += 1
            try:
                pydicom.dataset.Dataset.from_json(told, lambda *_: b"")
            except ValueError:
                # A file whose IS is no number gives JSON whose IS is none.
                odd += 1
            syntax = str(getattr(file.file_meta, "TransferSyntaxUID", "1.2.840.10008.1.2"))
            here = f"/studies/{uid}/series/{places[sop][1]}/instances/{sop}"
            for uri, element in bulk:
                answer = get(uri, "application/octet-stream")
                if answer.status_code == 200 and isinstance(element.value, bytes) and len(files[sop]) == 1:
                    fetched += 1
                    # Big endian leaves as little endian.
                    if syntax != "1.2.840.10008.1.2.2" and answer.content != element.value:
                        if syntax in NATIVE and not element.value.startswith(answer.content):
                            wrong.append((path.name, uri, len(answer.content), len(element.value)))
                elif answer.status_code not in (200, 406):
                    wrong.append((path.name, uri, answer.status_code))
            if "PixelData" not in file or len(files[sop]) > 1:
                continue
            frames = int(file.get("NumberOfFrames", 1) or 1)
            if syntax in NATIVE:
                bits = file.Rows * file.Columns * file.get("SamplesPerPixel", 1) * file.BitsAllocated
                if "422" in file.PhotometricInterpretation:
                    bits = bits // 3 * 2
                size = -(-bits // 8)
                expected = [file.PixelData[i * size:(i + 1) * size] for i in range(frames)]
            else:
                try:
                    expected = list(generate_frames(file.PixelData, number_of_frames=frames))
                except Exception:
                    expected = []
            for number in {1, frames}:
                answer = get(f"{here}/frames/{number}")
                if answer.status_code != 200:
                    uncut += 1
                    if answer.status_code >= 500:
                        wrong.append((path.name, "frame", number, answer.status_code))
                    continue
                (media, content), = parts(answer)
                cut += 1
                want = expected[number - 1] if number <= len(expected) else None
                if syntax == "1.2.840.10008.1.2.2" and file.BitsAllocated > 8 and want:
                    want = bytes(b for i in range(0, len(want), 2) for b in want[i + 1::-1][:2]) if False else \
                        b"".join(want[i:i + 2][::-1] for i in range(0, len(want), 2))
                if want is not None and content != want and syntax != "1.2.840.10008.1.2.1.99":
                    wrong.append((path.name, "frame", number, media, len(content), len(want)))
            answer = get(f"{here}/rendered", "image/png")
            if answer.status_code == 200:
                from PIL import Image
                picture = Image.open(io.BytesIO(answer.content))
                picture.load()
                shown += 1
                if picture.size != (file.Columns, file.Rows):
                    wrong.append((path.name, "rendered", picture.size))
                small = Image.open(io.BytesIO(get(f"{here}/rendered?viewport=20,20&window=100,200,sigmoid", "image/jpeg").content))
                if max(small.size) != 20:
                    wrong.append((path.name, "viewport", small.size))
            else:
                unshown += 1
                if answer.status_code != 406 and not (answer.status_code == 410 and "end" in answer.text):
                    wrong.append((path.name, "rendered", answer.status_code, answer.text[:100]))
    check(not wrong and odd <= 2 and number_of == len(instances) and compared > 0.9 * len(instances) // step, f"metadata of {compared} instances are those of the files, {fetched} bulk "
          f"values and {cut} frames too ({uncut} not cut out); {shown} rendered, {unshown} not", *wrong[:12])

# ---- Orthanc's own answers ----------------------------------------------------------------------

if args.peer:
    theirs = {}
    for row in peer("/dicom-web/studies?limit=0&includefield=00201206&includefield=00201208").json():
        theirs[value(row, "0020000D")] = row
    common = [s for s in studies if value(s, "0020000D") in theirs]
    check(len(common) >= 0.9 * min(len(studies), len(theirs)), f"{len(common)} studies are in Orthanc too, of {len(theirs)} there")
    unlike = []
    for mine in common:
        other = theirs[value(mine, "0020000D")]
        for tag in ("00080020", "00080050", "00100020", "00100040", "00200010"):
            a, b = value(mine, tag), value(other, tag)
            if (a or "") != (b or "") and not (tag == "00100040" and b not in ("M", "F", "O")):
                unlike.append((value(mine, "0020000D")[-12:], tag, a, b))
        for tag in ("00201206", "00201208"):
            if value(other, tag) is not None and int(value(other, tag)) != value(mine, tag):
                unlike.append((value(mine, "0020000D")[-12:], tag, value(mine, tag), value(other, tag)))
    # Of a study whose instances disagree each server takes another one's word.
    check(len(unlike) <= 0.1 * len(common), f"attributes are those that Orthanc answers ({len(unlike)} differ)", *unlike[:10])
    for one in unlike:
        print("      differs:", *one)

# ---- hostile requests ---------------------------------------------------------------------------

long = "1." * 40_000
rows = [("GET", path, {}) for path in (
    "", "/", "/studies/", "/studies/..", "/studies/../../etc/passwd", "/studies/%2e%2e%2f%2e%2e", "/studies/1.2%00", "/studies/1.2%0d%0aX:1",
    "/studies/" + long[:8000], "/studies/'%20OR%201=1--", "/studies/1.2/series/../..", "/studies/1.2/series/1.3/instances/1.4/frames/0",
    f"{at}/frames/0", f"{at}/frames/-1", f"{at}/frames/1,", f"{at}/frames/4294967295", f"{at}/frames/99999999999999999999",
    f"{at}/frames/" + ",".join(["1"] * 4000), f"{at}/frames/a", f"{at}/frames/1/2", f"{at}/bulkdata", f"{at}/bulkdata/../../x", f"{at}/bulkdata/zzzzzzzz",
    f"{at}/bulkdata/7FE00010/1", f"{at}/bulkdata/7FE00010/4294967295/00100010", f"{at}/bulkdata/00880200/0/7FE00010", f"{at}/bulkdata/" + "a/" * 200,
    f"{at}/bulkdata/FFFEE000", f"{at}/rendered?window=0,0", f"{at}/rendered?window=nan,inf", f"{at}/rendered?window=1,2,3,4", f"{at}/rendered?viewport=999999999,1",
    f"{at}/rendered?viewport=0,0", f"{at}/rendered?quality=101", f"{at}/frames/2/rendered", f"{at}/metadata/x", "/studies?limit=-1", "/studies?limit=1e9",
    "/studies?limit=99999999999999999999999", "/studies?offset=99999999999999999", "/studies?StudyDate=x", "/studies?StudyDate=-", "/studies?StudyDate=20240101-20230101",
    "/studies?PatientName=" + "*a" * 1500, "/studies?PatientName=%00", "/studies?PatientName=%ff", "/studies?StudyInstanceUID=" + ",".join(["1"] * 1500),
    "/studies?StudyInstanceUID=..", "/studies?00000000=1", "/studies?FFFFFFFF=1", "/studies?includefield=" + "a" * 3000, "/studies?includefield=all&includefield=all",
    "/studies?PatientID=%25%5F%21", "/instances?SOPClassUID=1'--", "/series?Modality=" + "%5C" * 1000, "/studies?=1", "/studies?&&&", "/studies?" + "a=1&" * 200,
    "/studies?RequestAttributesSequence.RequestedProcedureID=1", "/studies?a.b.c.d=1", "/studies?accept=%00")]
rows += [("GET", at, {"Accept": accept}) for accept in (
    "", ";", ",,,,", "*/*;q=x", "text/html", "multipart/related", 'multipart/related; type="', "multipart/related; type=application/dicom+xml", "a" * 7000,
    'multipart/related; type="application/dicom"; transfer-syntax=../../x', "*/*;q=0", "application/dicom;q=0.000, */*;q=0.1", "multipart/*", "\xff")]
rows += [("GET", at, {"Accept": "application/dicom", "Range": text}) for text in (
    "bytes=0-18446744073709551616", "bytes=18446744073709551615-", "bytes=-18446744073709551615", "bytes=1-0", "bytes=" + "0-0," * 1000, "lines=1-2", "bytes", "bytes=--1", "\xff")]
rows += [(method, path, {}) for method, path in (("POST", "/studies"), ("DELETE", at), ("PUT", at), ("OPTIONS", "/studies"), ("TRACE", "/studies"), ("XYZZY", "/studies"))]
rows += [("GET", "/studies", {"Authorization": text}) for text in ("", "Bearer", "Bearer x", "Basic eDp5", "Bearer " + "a" * 7000)]
worst = []
for method, path, headers in rows:
    request = requests.Request(method, "http://x/", headers={**session.headers, **headers}).prepare()
    request.url = base + path
    try:
        answer = session.send(request, timeout=30)
        kind = answer.headers.get("Content-Type", "")
        bad = answer.status_code >= 500 or (answer.status_code >= 400 and "problem+json" not in kind and answer.content and len(path) < 7000)
        if bad and args.through and answer.status_code == 502 and peer("/dicom-web" + path).status_code >= 500:
            bad = False         # it is the server behind that fails
        if bad:
            worst.append((method, path[-60:], {k: v[:40] for k, v in headers.items()}, answer.status_code, kind))
    except (requests.RequestException, UnicodeError, ValueError) as error:
        if not isinstance(error, requests.exceptions.InvalidHeader):
            worst.append((method, path[:60], headers, repr(error)[:100]))
check(not worst, f"{len(rows)} hostile requests: no 5xx, each refusal a problem document", *worst[:8])
nobody = requests.get(base + "/studies", timeout=10)
check(nobody.status_code == 401 and "Bearer" in nobody.headers["WWW-Authenticate"], "nobody reads without a token")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
