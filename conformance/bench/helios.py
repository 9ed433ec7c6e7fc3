"""Vesalius and Helios HFS side by side, on the same resources and the same requests.

The 2,327 studies are those of the IDC index's breast collections whose UID has the least SHA-256;
vesalius ingests their rows, and the resources that it serves are put into the peer. Each row of the
table is asked of both in the same run (vesalius, peer, peer, vesalius; the mean of each pair) over
eight connections of one wrk thread. Vesalius is asked once more for the same studies and patients
with the whole index. Prints one JSON object.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

binary, idc, cache, hfs, parameters = sys.argv[1:6]
here, idc, cache = Path(__file__).parent, Path(idc), Path(cache)
SECONDS = os.environ.get("BENCH_SECONDS", "5")
STUDIES = 2327


def command(data, *words):
    done = subprocess.run([binary, "--data", str(data), "--json", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: {done.stdout[-500:]} {done.stderr[-1000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def subset(folder):
    """The rows of the chosen studies, as a table of their own."""
    collections = pq.read_table(idc / "collections_index.parquet", columns=["collection_id", "tumor_locations"])
    breast = [row["collection_id"] for row in collections.to_pylist() if "Breast" in str(row["tumor_locations"])]
    table = pq.read_table(idc / "idc_index.parquet")
    table = table.filter(pc.is_in(table["collection_id"], pa.array(breast)))
    uids = sorted(set(table["StudyInstanceUID"].to_pylist()), key=lambda uid: hashlib.sha256(uid.encode()).digest())
    table = table.filter(pc.is_in(table["StudyInstanceUID"], pa.array(uids[:STUDIES])))
    pq.write_table(table, folder / "idc_index.parquet")
    shutil.copy(idc / "collections_index.parquet", folder)
    return folder / "idc_index.parquet"


class Server:
    def __init__(self, words, base, token, **options):
        self.base, self.token = base, token
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL, **options)

    def get(self, path):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = path if path.startswith("http") else self.base + path
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def vesalius(data):
    token = command(data, "token", "--role", "imaging-it")[0]["token"]
    server = Server([binary, "--data", str(data), "--json", "serve", "--listen", "127.0.0.1:0"],
                    "", token, stdout=subprocess.PIPE, text=True)
    server.base = json.loads(server.process.stdout.readline())["url"] + "/fhir"
    return server


def peer(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "hfs"
    data.mkdir()
    # Without this file the peer ignores `identifier` and includes.
    shutil.copy(parameters, data / "search-parameters-r4.json")
    base = f"http://127.0.0.1:{port}"
    server = Server([hfs, "--host", "127.0.0.1", "--port", str(port), "--base-url", base, "--data-dir", str(data),
                     "--database-url", str(data / "hfs.db"), "--log-level", "warn"], base, "",
                    cwd=data, stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            server.get("/metadata")
            return server
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("the peer does not answer")


def everything(server, kind):
    page = server.get(f"/{kind}?_count=200")
    while True:
        yield from (entry["resource"] for entry in page.get("entry", []) if entry["search"]["mode"] == "match")
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            return
        query = urllib.parse.urlsplit(following[0])
        page = server.get(f"/{kind}?{query.query}")


def load(server, resources):
    def put(resource):
        request = urllib.request.Request(f"{server.base}/{resource['resourceType']}/{resource['id']}", method="PUT",
                                         data=json.dumps(resource).encode(),
                                         headers={"Content-Type": "application/fhir+json"})
        with urllib.request.urlopen(request) as answer:
            answer.read()
    began = time.time()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, resources))
    return len(resources) / (time.time() - began)


def wrk(server, paths):
    prefix = urllib.parse.urlsplit(server.base).path
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(prefix + path for path in paths))
        listed.flush()
        done = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-s", str(here / "rotate.lua"), server.base],
                              env=dict(os.environ, BENCH_PATHS=listed.name, BENCH_TOKEN=server.token or "none"),
                              capture_output=True, text=True)
    line = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not line:
        sys.exit(done.stdout + done.stderr)
    requests, duration, _, p99, _, errors = [int(number) for number in line[0].split()[1:]]
    return {"requests_per_second": requests / duration * 1e6, "p99_ms": p99 / 1000, "errors": errors}


def token(study):
    one = next(one for one in study["identifier"] if one.get("system") == "urn:dicom:uid")
    return urllib.parse.quote(f"{one['system']}|{one['value']}")


def rows(chosen):
    return {
        "read by id": [f"/ImagingStudy/{study['id']}" for study in chosen],
        "identifier": [f"/ImagingStudy?identifier={token(study)}" for study in chosen],
        "patient": [f"/ImagingStudy?patient={study['subject']['reference']}" for study in chosen],
        "page of 20": ["/ImagingStudy?_count=20"],
        "modality=MG, page of 20": ["/ImagingStudy?modality=MG&_count=20"],
        "/metadata": ["/metadata"],
    }


def mean(one, other):
    return {"requests_per_second": round((one["requests_per_second"] + other["requests_per_second"]) / 2),
            "p99_ms": max(one["p99_ms"], other["p99_ms"]), "errors": one["errors"] + other["errors"]}


with tempfile.TemporaryDirectory(dir=cache) as folder:
    folder = Path(folder)
    data = folder / "vesalius"
    command(data, "ingest", "table", str(subset(folder)), "--mapping", "idc")
    ours, theirs = vesalius(data), peer(folder)
    try:
        studies = list(everything(ours, "ImagingStudy"))
        patients = list(everything(ours, "Patient"))
        assert len(studies) == STUDIES, len(studies)
        rate = load(theirs, patients + studies)
        result = {"bench": "helios", "studies": len(studies), "patients": len(patients),
                  "peer_puts_per_second": round(rate), "at_least": 3, "rows": []}
        chosen = studies[::max(1, len(studies) // 200)][:200]
        for name, paths in rows(chosen).items():
            found = [server.get(paths[0]) for server in (ours, theirs)]
            if "_count" in paths[0]:
                assert all(len(page["entry"]) == 20 for page in found), name
            elif "?" in paths[0]:
                assert all(page["entry"] for page in found), name
            a, b, c, d = wrk(ours, paths), wrk(theirs, paths), wrk(theirs, paths), wrk(ours, paths)
            row = {"row": name, "vesalius": mean(a, d), "helios": mean(b, c), "load": os.getloadavg()[0]}
            row["ratio"] = round(row["vesalius"]["requests_per_second"] / row["helios"]["requests_per_second"], 1)
            result["rows"].append(row)
            print(row, file=sys.stderr)
    finally:
        ours.stop()
        theirs.stop()
    whole = cache / "data-idc"
    if not (whole / "complete").exists():
        command(whole, "ingest", "table", str(idc / "idc_index.parquet"), "--mapping", "idc")
        (whole / "complete").write_text("")
    ours = vesalius(whole)
    try:
        same = []
        for study in chosen:
            (entry,) = ours.get(f"/ImagingStudy?identifier={token(study)}")["entry"]
            same.append(entry["resource"])
        for row, paths in zip(result["rows"], rows(same).values()):
            row["vesalius_whole_index"] = mean(wrk(ours, paths), wrk(ours, paths))
            print(row["row"], row["vesalius_whole_index"], file=sys.stderr)
    finally:
        ours.stop()

result["least_ratio"] = min(row["ratio"] for row in result["rows"])
result["least_ratio_whole_index"] = round(min(
    row["vesalius_whole_index"]["requests_per_second"] / row["helios"]["requests_per_second"]
    for row in result["rows"]), 1)
print(json.dumps(result))
