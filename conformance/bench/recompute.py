"""One new study at a time in an open dataset at the size of IDC, while the server runs.

Each round writes a table of one series (a copy of a row of the collection under new UIDs) and
ingests it by a process of its own, as a second import would be. The server's own histograms tell
what it worked for it: `index`, reading the change into the index, and `publish`, counting,
writing, checking and committing the document. Waiting for the archive to be quiet is not work.

Beside the 179 collections, all of them open, stands one that is not: the same selection as the
largest, access NON_PUBLIC. The log of the catalogue must hold one event more a round, of the
dataset that the study belongs to, and no other row may change. At the end the running counts are
held against counts from nothing: publishing everything by another process changes nothing, and
`verify` finds views and truth equal. Prints one JSON object.
"""

import http.client
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

binary, idc, cache, rounds = sys.argv[1:5]
idc, cache, rounds = Path(idc), Path(cache), int(rounds)
LARGEST, SMALL, CLOSED = "nlst", "acrin_flt_breast", "nlst-closed"
CONFIG = """[archive]
name = "NCI Imaging Data Commons index"
identity = "de-identified"
[organisation]
name = "Imaging Data Commons (test of the index)"
page = "https://portal.imaging.datacommons.cancer.gov/"
country = "USA"
[hdab]
name = "Test access body"
page = "https://example.org/apply"
"""


def command(data, *words):
    done = subprocess.run([binary, "--data", str(data), "--json", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: {done.stdout[-500:]} {done.stderr[-1000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def archive():
    """The IDC archive with its collections described, made once."""
    data = cache / "data-idc"
    if not (data / "complete").exists():
        command(data, "ingest", "table", str(idc / "idc_index.parquet"), "--mapping", "idc")
        (data / "complete").write_text("")
    if not (data / "vesalius.toml").exists():
        (data / "vesalius.toml").write_text(CONFIG)
    if not (data / "descriptions").is_dir():
        command(data, "ingest", "table", str(idc / "collections_index.parquet"), "--mapping", "idc-collections")
    return data


class Server:
    def __init__(self, data):
        self.token = command(data, "token", "--role", "imaging-it")[-1]["token"]
        self.process = subprocess.Popen([binary, "--data", str(data), "serve"],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if found := re.search(r"127\.0\.0\.1:(\d+)", line):
                self.port = int(found.group(1))
                break
        else:
            sys.exit("the server did not start")
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {self.token}"})
        text = connection.getresponse().read().decode()
        def value(name):
            found = re.search(rf"^{name} (\S+)$", text, re.M)
            return float(found.group(1)) if found else 0.0
        return {"index": value("vesalius_index_catch_up_seconds_sum"),
                "publish": value("vesalius_catalogue_follow_seconds_sum"),
                "followed": value("vesalius_catalogue_followed_total"),
                "behind": value("vesalius_index_changes_behind")}

    def quiet(self):
        """Waits until the server has done what it does at its start, or after a change."""
        def used():
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        before = used()
        while True:
            time.sleep(1)
            now = used()
            if now - before <= 5:
                return
            before = now

    def resident_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) // 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def datasets(data):
    database = sqlite3.connect(f"file:{data}/vesalius.db?mode=ro", uri=True, timeout=60)
    rows = dict(database.execute("SELECT slug, number || state || description || version || figures || document || "
                                 "report || issued || modified || coalesce(next_release, '') FROM dataset"))
    last = database.execute("SELECT max(seq) FROM dataset_event").fetchone()[0]
    database.close()
    return rows, last


def sample(collection):
    table = pq.read_table(idc / "idc_index.parquet", filters=[("collection_id", "=", collection)])
    return table.filter(pc.equal(table["Modality"], table["Modality"][0])).slice(0, 1)


def one_more(folder, row, number):
    for name, uid in (("StudyInstanceUID", f"2.25.77.{number}"), ("SeriesInstanceUID", f"2.25.77.{number}.1")):
        row = row.set_column(row.schema.get_field_index(name), name, pa.array([uid], row.schema.field(name).type))
    path = Path(folder) / f"one-{number}.parquet"
    pq.write_table(row, path)
    return path


def run(server, data, folder, slug, first):
    row, found = sample(slug), []
    for number in range(first, first + rounds):
        (rows, last), before = datasets(data), server.metrics()
        command(data, "ingest", "table", str(one_more(folder, row, number)), "--mapping", "idc")
        for _ in range(600):
            time.sleep(0.1)
            if server.metrics()["followed"] > before["followed"]:
                break
        else:
            sys.exit(f"{slug} did not follow the archive")
        # What it published is itself a change that the index reads.
        time.sleep(1.5)
        now, (after, end) = server.metrics(), datasets(data)
        changed = sorted(name for name in after if after[name] != rows.get(name))
        if changed != [slug] or end != last + 1:
            sys.exit(f"{slug}: changed were {changed}, events {end - last}")
        found.append({"index_ms": (now["index"] - before["index"]) * 1000,
                      "publish_ms": (now["publish"] - before["publish"]) * 1000,
                      "counted": now["followed"] - before["followed"]})
    work = sorted(one["index_ms"] + one["publish_ms"] for one in found)
    part = lambda name: round(statistics.median(one[name] for one in found), 2)
    return {"studies": count(data, slug), "rounds": rounds, "index_ms": part("index_ms"), "publish_ms": part("publish_ms"),
            "work_ms": {"median": round(statistics.median(work), 2), "worst": round(work[-1], 2)},
            "counted_at_most": max(one["counted"] for one in found)}


def count(data, slug):
    database = sqlite3.connect(f"file:{data}/vesalius.db?mode=ro", uri=True, timeout=60)
    figures = json.loads(database.execute("SELECT figures FROM dataset WHERE slug = ?", (slug,)).fetchone()[0])
    database.close()
    return figures["records"]


def closed(data):
    """The description of the largest dataset, not open."""
    text = (data / "descriptions" / f"{LARGEST}.toml").read_text()
    text = text.replace('access_rights = "PUBLIC"', 'access_rights = "NON_PUBLIC"', 1)
    text = text.replace('figures = "exact"\n', 'type = ["STATISTICAL"]\n', 1)
    (data / "descriptions" / f"{CLOSED}.toml").write_text(text)


with tempfile.TemporaryDirectory(dir=cache) as folder:
    data = Path(folder) / "data"
    subprocess.run(["cp", "-r", "--reflink=auto", str(archive()), str(data)], check=True)
    shutil.rmtree(data / "exports", ignore_errors=True)
    closed(data)
    # Also for the commands: the addresses in the documents are made of it.
    os.environ["VESALIUS_SERVER_LISTEN"] = "127.0.0.1:18997"
    result = {"bench": "recompute", "at_most_ms": 20, "load": os.getloadavg()[0]}
    server = Server(data)
    server.quiet()
    rows, _ = datasets(data)
    if CLOSED not in rows or not rows[CLOSED]:
        sys.exit("the dataset that is not open was not published")
    result["datasets"] = len(rows)
    result["largest"] = run(server, data, folder, LARGEST, 1)
    result["small"] = run(server, data, folder, SMALL, 1 + rounds)
    print(json.dumps(result), file=sys.stderr)
    result["resident_mib"] = server.resident_mib()
    server.stop()
    result["load_after"] = os.getloadavg()[0]
    again = command(data, "catalogue", "publish")
    whole = [one for one in again if one.get("event") == "summary"] or again[-1:]
    result["published_from_nothing"] = {name: whole[0][name] for name in ("published", "unchanged", "refused")}
    verified = command(data, "verify")
    result["verified"] = verified[-1]
    result["holds"] = (max(result[name]["work_ms"]["worst"] for name in ("largest", "small")) <= 20
                       and whole[0]["published"] == 0)
    print(json.dumps(result))
