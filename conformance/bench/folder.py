"""A folder of generated files: our ingest (A), one thread of dicom-object (B), dicom2fhir (C).

A and B read the same files from the page cache, in the order A-B-B-A, three times; C reads the
first studies only, and its files a second are taken as they are. Prints one JSON object.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

binary, loop, peer, cache, wanted = sys.argv[1:6]
cache, wanted = Path(cache), int(wanted)
archive = cache / f"archive-{wanted}"

PEER = """
import asyncio, logging, sys, time
from dicom2fhir.dicom2fhir import from_directory
logging.disable(logging.CRITICAL)
config = {"dicom_timezone": "Europe/Prague",
          "generator": {"imaging_study": {"add_instances": True}}}
began = time.monotonic()
for study in sys.argv[1:]:
    asyncio.run(from_directory(study, config=config)).model_dump_json()
print(time.monotonic() - began)
"""


def run(command):
    began, load = time.monotonic(), os.getloadavg()[0]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr[-2000:]}")
    return time.monotonic() - began, load, done.stdout


if not (archive / "complete").exists():
    shutil.rmtree(archive, ignore_errors=True)
    studies = wanted // 10
    while True:
        run([binary, "sample", str(archive / "dicom"), "--studies", str(studies)])
        count = sum(1 for p in (archive / "dicom").rglob("*") if p.is_file())
        if count >= wanted:
            break
        studies = int(studies * max(1.1, wanted / max(count, 1))) + 1
    (archive / "complete").write_text(str(count))
files = int((archive / "complete").read_text())
folder = str(archive / "dicom")
for path in Path(folder).rglob("*"):
    if path.is_file():
        path.read_bytes()  # into the page cache

ours, loops, loads = [], [], []
for _ in range(3):
    for side in "ABBA":
        if side == "A":
            shutil.rmtree(cache / "bench-folder", ignore_errors=True)
            seconds, load, out = run([binary, "--data", str(cache / "bench-folder"), "--json",
                                      "ingest", "folder", folder])
            summary = json.loads(out.splitlines()[-1])
            assert summary["files"]["seen"] == files, summary
            ours.append(files / seconds)
        else:
            seconds, load, out = run([loop, folder])
            loops.append(files / seconds)
        loads.append(load)
        print(side, round(files / seconds), "files/s, load", load, file=sys.stderr)
shutil.rmtree(cache / "bench-folder", ignore_errors=True)

# The first studies, about 400 files: dicom2fhir takes a study's folder whole. A study that it
# cannot convert would end it, so each is tried once before anything is timed.
studies = sorted({p.parent for p in Path(folder).rglob("*") if p.is_file()})
chosen, refused, held = [], 0, 0
for study in studies:
    count = sum(1 for p in study.iterdir() if p.is_file())
    tried = subprocess.run([peer, "-c", PEER, str(study)], capture_output=True, text=True)
    if tried.returncode:
        refused += 1
        continue
    chosen.append(str(study))
    held += count
    if held >= 400:
        break
theirs = []
for _ in range(3):
    _, load, out = run([peer, "-c", PEER, *chosen])
    theirs.append(held / float(out.splitlines()[-1]))
    print("C", round(theirs[-1]), "files/s, load", load, "studies refused:", refused, file=sys.stderr)
median = statistics.median
print(json.dumps({
    "bench": "folder", "files": files,
    "ours_files_per_second": round(median(ours)),
    "dicom_object_files_per_second": round(median(loops)),
    "dicom2fhir_files_per_second": round(median(theirs)),
    "times_dicom2fhir": round(median(ours) / median(theirs), 1), "times_dicom2fhir_at_least": 20,
    "share_of_dicom_object": round(median(ours) / median(loops), 2),
    "share_of_dicom_object_at_least": 0.5, "loads": loads,
}))
