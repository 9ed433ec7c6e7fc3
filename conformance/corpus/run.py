#!/usr/bin/env python3
"""Ingests pydicom's test files, which real scanners and real bugs made, and accounts for each.

    run.py --binary PATH [FOLDER...]

No crash; files seen are all the files; ingested, quarantined and not DICOM add up; at least as many
studies as pydicom can read StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID from; each
quarantined file has a reason; `verify` is green; a second run opens nothing. Further folders are
read in the same way. Needs the Python package pydicom 3.0.1 (MIT; its files carry their origin).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pydicom

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
args.add_argument("--binary", required=True)
args.add_argument("folders", nargs="*")
args = args.parse_args()
failed = passed = 0


def check(holds, words):
    global failed, passed
    passed, failed = passed + bool(holds), failed + (not holds)
    print(("ok    " if holds else "FAIL  ") + words)


def readable(file):
    """The study that pydicom can read the file's place in, if it can."""
    try:
        found = pydicom.dcmread(file, force=True, stop_before_pixels=True)
        uids = [str(found.get(k, "") or "") for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        return uids[0] if all(uids) else None
    except Exception:
        return None


def run(data, *words):
    done = subprocess.run([args.binary, "--data", data, "--json", *words], capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(words)}: status {done.returncode} {done.stderr[-300:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


for folder in args.folders or [Path(pydicom.__file__).parent / "data" / "test_files"]:
    files = [p for p in Path(folder).rglob("*") if p.is_file()]
    studies = {study for study in map(readable, files) if study}
    with tempfile.TemporaryDirectory() as data:
        events = run(data, "ingest", "folder", str(folder))
        summary = [e for e in events if e["event"] == "summary"][-1]
        counts = summary["files"]
        check(counts["seen"] == len(files), f"{counts['seen']} files seen of {len(files)}: {counts}")
        total = sum(counts[k] for k in ("ingested", "unchanged", "quarantined", "not_dicom"))
        check(total == counts["seen"], "every file is accounted for")
        check(summary["studies"] >= len(studies),
              f"{summary['studies']} studies; pydicom reads {len(studies)}")
        run(data, "verify")
        again = [e for e in run(data, "ingest", "folder", str(folder)) if e["event"] == "summary"][-1]
        check(again["files"]["unchanged"] == len(files) and not again["studies_changed"],
              f"a second run opens nothing: {again['files']}")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
