"""Bulk export against plain writing, and a large study.

The archive is the state right after an ingest: a copy of the store that the ingest made, with which no
server has run. Three exports of every ImagingStudy are told apart:

- `unprepared`: asked of a server that has just started for the first time and is told to make nothing
  ready (`exports.keep_ready = false`). It renders everything.
- `first`: asked of another such server when it has made its lines ready, as it does unasked; no client has
  exported anything before. How long that took, and how much processor, is `catch_up`.
- `later`: the same server again, and once more after it was started anew.

Each is timed from kick-off to manifest, as the client sees it, waits included. Then the same bytes are
copied file to file on the same disk by a loop of 1 MiB with fsync at the end: the rate of plain writing.
While the server works, a study is read again and again: what care notices of it. The large study is
synthetic: 3,000 instances in 3 series. Prints one JSON object; `ratio` is the worst of `first` and the
median of `later`.
"""

import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

binary, idc, cache, rounds = sys.argv[1:5]
cache, rounds = Path(cache), int(rounds)
READS = 300


def command(data, *words):
    done = subprocess.run([binary, "--data", str(data), "--json", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: {done.stdout[-500:]} {done.stderr[-1000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def store(name, make):
    data = cache / name
    if not (data / "complete").exists():
        make(data)
        (data / "complete").write_text("")
    return data


def large(data):
    """A folder of 3,000 tiny instances of one synthetic study."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    with tempfile.TemporaryDirectory() as folder:
        for at in range(3_000):
            uid = f"2.25.9.{1 + at // 1_000}.{1 + at}"
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = CTImageStorage
            meta.MediaStorageSOPInstanceUID = uid
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
            one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, uid
            one.PatientID, one.PatientName = "SYNTHETIC-1", "Synthetic^Large"
            one.StudyInstanceUID = "2.25.9"
            one.SeriesInstanceUID = f"2.25.9.{1 + at // 1_000}"
            one.SeriesNumber, one.InstanceNumber, one.Modality = 1 + at // 1_000, 1 + at, "CT"
            one.Rows = one.Columns = 512
            one.save_as(Path(folder) / f"{at}.dcm", enforce_file_format=True)
        command(data, "ingest", "folder", folder)


class Server:
    def __init__(self, data, keep_ready=True):
        self.token = command(data, "token", "--role", "imaging-it", "--subject", "bench")[-1]["token"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # The lines that it makes hold its address.
        self.process = subprocess.Popen([binary, "--data", str(data), "serve", "--listen", f"127.0.0.1:{self.port}",
                                         "--public-url", "https://imaging.example"],
                                        env={**os.environ, "VESALIUS_EXPORTS_KEEP_READY": str(keep_ready).lower()},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.own = self.connect()
        for _ in range(1_200):
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except ConnectionRefusedError:
                self.own.close()
            time.sleep(0.1)
        sys.exit("the server did not start")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def get(self, path, headers=(), method="GET", connection=None):
        connection = connection or self.own
        for is_last in (False, True):
            try:
                connection.request(method, path, headers={"Authorization": f"Bearer {self.token}", **dict(headers)})
                answer = connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # Closed while it was idle: plain writing took long.
                connection.close()
                if is_last:
                    raise
        return answer.status, answer.headers, answer.read()

    def resident_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) // 1024

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def missing(self):
        """Lines that are not ready; None: it has not looked yet."""
        text = self.get("/metrics")[2].decode()
        found = re.findall(r"^vesalius_export_lines_missing\{[^}]*\} (\d+)", text, re.M)
        return sum(map(int, found)) if found else None

    def stop(self):
        self.process.terminate()
        self.process.wait()


def local(address):
    return "/" + address.split("/", 3)[3]


def timed(server, path, connection):
    began = time.perf_counter()
    status, _, body = server.get(path, connection=connection)
    if status != 200:
        sys.exit(f"{path}: {status} {body[:300]}")
    return (time.perf_counter() - began) * 1000, len(body)


def figures(times):
    times = sorted(times)
    return {"p50_ms": round(times[len(times) // 2], 3), "p99_ms": round(times[int(len(times) * 0.99)], 3)}


class Reader:
    """Reads a study again and again until it is told to stop."""

    def __init__(self, server, path):
        self.times, self.is_over = [], threading.Event()

        def read():
            connection = server.connect()
            while not self.is_over.is_set():
                self.times.append(timed(server, path, connection)[0])
                time.sleep(0.01)

        self.thread = threading.Thread(target=read)
        self.thread.start()

    def stop(self):
        self.is_over.set()
        self.thread.join()
        return figures(self.times)


def a_study(server):
    page = json.loads(server.get("/fhir/ImagingStudy?_count=1")[2])
    return "/fhir/ImagingStudy/" + page["entry"][0]["resource"]["id"]


def catch_up(server):
    """Waits for the lines that the server makes unasked."""
    reader = Reader(server, a_study(server))
    before, began = server.processor_seconds(), time.monotonic()
    while server.missing() != 0:
        if time.monotonic() - began > 1_800:
            sys.exit("the server did not make its lines ready within half an hour")
        time.sleep(0.2)
    return {"seconds": round(time.monotonic() - began, 1),
            "processor_seconds": round(server.processor_seconds() - before, 1),
            "load": os.getloadavg()[0], "reads_meanwhile": reader.stop()}


def export(server, data):
    """Seconds, bytes, resources, and the times of reads meanwhile."""
    reader = Reader(server, a_study(server))
    before = server.processor_seconds()
    began = time.monotonic()
    status, headers, body = server.get("/fhir/$export?_type=ImagingStudy", {"Prefer": "respond-async"})
    if status != 202:
        sys.exit(f"kick-off: {status} {body[:300]}")
    address = local(headers["Content-Location"])
    while (answer := server.get(address))[0] == 202:
        time.sleep(0.02)
    seconds = time.monotonic() - began
    meanwhile, busy = reader.stop(), server.processor_seconds() - before
    if answer[0] != 200:
        sys.exit(f"status: {answer[0]} {answer[2][:300]}")
    manifest = json.loads(answer[2])
    folder = Path(data) / "exports" / address.rsplit("/", 1)[1]
    files = [folder / one["url"].rsplit("/", 1)[1] for one in manifest["output"]]
    size = sum(file.stat().st_size for file in files)
    began = time.monotonic()
    copy = Path(data) / "plain"
    with open(copy, "wb", buffering=0) as out:
        for file in files:
            with open(file, "rb", buffering=0) as source:
                while piece := source.read(1 << 20):
                    out.write(piece)
        os.fsync(out.fileno())
    plain = time.monotonic() - began
    copy.unlink()
    server.get(address, method="DELETE")
    return {"seconds": round(seconds, 2), "plain_seconds": round(plain, 2), "bytes": size,
            "resources": sum(one["count"] for one in manifest["output"]),
            "processor_seconds": round(busy, 1), "ratio": round(plain / seconds, 3), "load": os.getloadavg()[0],
            "reads_meanwhile": meanwhile}


ingested = store("data-idc", lambda data: command(
    data, "ingest", "table", f"{idc}/idc_index.parquet", "--mapping", "idc"))


def just_ingested(data):
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(ingested, data, ignore=shutil.ignore_patterns("exports", "*.lock"))
    os.sync()
    return data


run = cache / "export-run"
results = {}
server = Server(just_ingested(run), keep_ready=False)
results["unprepared"] = export(server, run)
print("unprepared", results["unprepared"], file=sys.stderr)
server.stop()

server = Server(just_ingested(run))
results["catch_up"] = catch_up(server)
print("catch_up", results["catch_up"], file=sys.stderr)
os.sync()
results["first"] = export(server, run)
print("first", results["first"], file=sys.stderr)
results["later"] = []
for round_ in range(rounds):
    if round_ + 1 == rounds:
        server.stop()
        server = Server(run)
        # It finds its lines again; meanwhile it publishes the catalogue, as at every start.
        results["catch_up_restarted"] = catch_up(server)
    results["later"].append(export(server, run))
    print("later", results["later"][-1], file=sys.stderr)
resident = server.resident_mib()
server.stop()
shutil.rmtree(run)

server = Server(store("data-large-study", large))
page = json.loads(server.get("/fhir/ImagingStudy?_elements=identifier")[2])
study = "/fhir/ImagingStudy/" + page["entry"][0]["resource"]["id"]
reads = {}
for name, query in (("whole", ""), ("summary", "?_summary=true"), ("elements", "?_elements=started")):
    samples = [timed(server, study + query, server.own) for _ in range(READS)]
    reads[name] = {"first_ms": round(samples[0][0], 3), "bytes": samples[0][1],
                   **figures([one for one, _ in samples])}
server.stop()

ratio = min(results["first"]["ratio"], statistics.median(one["ratio"] for one in results["later"]))
print(json.dumps({
    "bench": "export", "ratio": round(ratio, 2), "at_least": 0.5, "ratio_unprepared": results["unprepared"]["ratio"],
    **results, "resident_mib": resident, "large_study": reads, "large_study_p99_at_most_ms": 20,
}))
