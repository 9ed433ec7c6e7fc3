#!/usr/bin/env python3
"""Kills `vesalius ingest` with SIGKILL at random instants and counts what is left.

    run.py --binary PATH [--kills 20] [--studies 300] [--seed 1] [--postgres URL --psql PATH]

Each round begins with an empty store, kills one, two or three ingests of the same folder at random
instants, and then lets one finish; rounds go on until so many processes died by the signal. After every kill: what the killed run had reported as stored is
in the store, `vesalius verify` is green, and no worker process is left behind. At the end: every
file is accounted for, nothing is lost, nothing is there twice. With --postgres every second round
runs on a database of that server, made and dropped by the psql that is named. The archive is
synthetic (`vesalius sample`), with files that are broken and files that are there twice.
Needs Python's standard library only. Ends with `N passed, N failed`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
args.add_argument("--binary", required=True)
args.add_argument("--kills", type=int, default=20)
args.add_argument("--studies", type=int, default=300)
args.add_argument("--seed", type=int, default=1)
args.add_argument("--postgres", default="")
args.add_argument("--psql", default="psql")
args = args.parse_args()

chance = random.Random(args.seed)
work = Path(tempfile.mkdtemp(prefix="kill9-"))
# Small batches: many commits, so that kills meet every part of one.
environment = dict(os.environ, VESALIUS_INGEST_BATCH="25")


class Failed(Exception):
    """A round that did not hold."""


def events(text):
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass  # the line under way when the process was killed
    return found


def run(store, *words, wants=(0,)):
    done = subprocess.run([args.binary, *store, "--json", *words], env=environment,
                          capture_output=True, text=True, timeout=600)
    if done.returncode not in wants:
        raise Failed(f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return events(done.stdout)


def summary(store):
    return [e for e in run(store, "ingest", "folder", str(work / "archive")) if e["event"] == "summary"][-1]


def members(session):
    """Processes of a session that still run, from /proc; none where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
        except (OSError, IndexError):
            pass
    return found


def killed(store, after):
    """Starts an ingest and kills it; the files that it had reported as stored."""
    out = work / "killed.out"
    with open(out, "w") as sink:
        process = subprocess.Popen([args.binary, *store, "--json", "ingest", "folder", str(work / "archive")],
                                   stdout=sink, stderr=subprocess.DEVNULL, env=environment,
                                   start_new_session=True)
        time.sleep(after)
        process.kill()
        ended = process.wait()
    deadline = time.monotonic() + 20
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = members(process.pid)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
        raise Failed(f"workers {left} outlived their parent")
    reports = [e["files"] for e in events(out.read_text()) if e["event"] in ("progress", "summary")]
    return (reports[-1]["seen"] if reports else 0), ended == -signal.SIGKILL


def psql(sql):
    subprocess.run([args.psql, args.postgres, "-qtc", sql], check=True, capture_output=True, text=True)


def round_(number, truth, seconds):
    data = work / f"data-{number}"
    store = ["--data", str(data)]
    name = f"kill9_{os.getpid()}_{number}"
    on_postgres = bool(args.postgres) and number % 2 == 1
    if on_postgres:
        psql(f"CREATE DATABASE {name}")
        base, _, query = args.postgres.partition("?")
        store += ["--database-url", base.rsplit("/", 1)[0] + "/" + name + ("?" + query if query else "")]
    try:
        stored, kills, met = 0, chance.randint(1, 3), 0
        for _ in range(kills):
            reported, was_killed = killed(store, chance.uniform(0.02, seconds * 0.9))
            met += was_killed
            run(store, "verify")
            stored = max(stored, reported)
        last = summary(store)
        files = last["files"]
        if files["seen"] != truth["files"]["seen"]:
            raise Failed(f"{files['seen']} files seen instead of {truth['files']['seen']}")
        if files["seen"] != sum(files[k] for k in ("ingested", "unchanged", "quarantined", "not_dicom")):
            raise Failed(f"the files do not add up: {files}")
        if files["unchanged"] < stored:
            raise Failed(f"{stored} files were reported as stored, {files['unchanged']} are")
        for what in ("patients", "studies", "series", "images"):
            if last[what] != truth[what]:
                raise Failed(f"{last[what]} {what} instead of {truth[what]}")
        run(store, "verify")
        again = summary(store)
        if again["files"]["unchanged"] != truth["files"]["seen"] or again["studies_changed"]:
            raise Failed(f"a run after the last one wrote again: {again}")
        return met, f"{'postgres' if on_postgres else 'sqlite'}, {met} kills, {stored} of {files['seen']} files reported"
    finally:
        if on_postgres:
            psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        shutil.rmtree(data, ignore_errors=True)


def main():
    subprocess.run([args.binary, "sample", str(work / "archive"), "--studies", str(args.studies)],
                   check=True, capture_output=True)
    files = sorted(p for p in (work / "archive").rglob("*") if p.is_file())
    for number, file in enumerate(files[::40]):
        shutil.copy(file, work / "archive" / f"copy-{number}.dcm")
        (work / "archive" / f"broken-{number}.dcm").write_bytes(file.read_bytes()[: 200 + 37 * number])
    (work / "archive" / "notes.txt").write_text("no DICOM")
    began = time.monotonic()
    truth = summary(["--data", str(work / "truth")])
    seconds = time.monotonic() - began
    print(f"{truth['files']['seen']} files, {truth['studies']} studies, {truth['images']} images; "
          f"a whole run takes {seconds:.1f} s")
    passed, failed, kills, number = 0, 0, 0, 0
    while kills < args.kills and number < 3 * args.kills:
        try:
            met, words = round_(number, truth, seconds)
            kills, passed = kills + met, passed + 1
            print(f"round {number}: {words}", flush=True)
        except (Failed, subprocess.SubprocessError) as reason:
            failed += 1
            print(f"round {number}: FAILED: {reason}", flush=True)
        number += 1
    print(f"{kills} processes killed; {passed} passed, {failed} failed")
    return 1 if failed or kills < args.kills else 0


try:
    sys.exit(main())
finally:
    shutil.rmtree(work, ignore_errors=True)
