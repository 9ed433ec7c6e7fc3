#!/usr/bin/env python3
"""Judges what an ingest over DICOMweb reported against what the server serves.

    judge.py first  SERVED.json RUN.jsonl
    judge.py same   RUN.jsonl
    judge.py product NOW.json RUN.jsonl all|none|some
    judge.py change RUN.jsonl ADDED_STUDY CHANGED_STUDY DROPPED_FROM_STUDY DELETED_STUDY

RUN.jsonl is what the product prints with --json, or the test driver with one `record` event an
instance. Exit status 1 names what does not hold.
"""

import json
import sys


def events(path):
    found = {}
    for line in open(path, encoding="utf-8"):
        if line.startswith("{"):
            event = json.loads(line)
            found.setdefault(event["event"], []).append(event)
    return found


def check(failures, holds, text):
    print(("ok    " if holds else "FAIL  ") + text)
    if not holds:
        failures.append(text)


def first(served_path, run_path):
    failures = []
    truth = json.load(open(served_path, encoding="utf-8"))
    run = events(run_path)
    records = [event["record"]["instance"]["uid"] for event in run.get("record", [])]
    reasons = {event["origin"]: event["reason"] for event in run.get("quarantined", [])}
    served, unserved = set(truth["served"]), set(truth["unserved"])
    check(failures, len(records) == len(set(records)), "no instance arrives twice")
    check(failures, not set(records) - served, "nothing arrives that is not served")
    missing = served - set(records)
    named = {origin.rsplit("/", 1)[-1] for origin in reasons}
    check(failures, not missing - named,
          f"{len(records)} of {len(served)} served instances arrived, "
          f"{len(missing & named)} of them are listed with a reason instead")
    for uid in sorted(unserved):
        place = truth["unserved"][uid]
        known = uid in named or f"studies/{place['study']}" in reasons
        check(failures, known, f"unserved instance of {place['study'][-12:]} is listed")
    for event in run.get("compared", []):
        differs = run.get("differs", [])
        instances = {difference["uid"] for difference in differs}
        print(f"      {event['instances']} compared with their files, "
              f"{len(instances)} differ in {len(differs)} values")
        for difference in differs[:40]:
            print("      " + json.dumps({k: difference[k] for k in ("key", "served", "file")},
                                        ensure_ascii=False)[:170])
    for origin, reason in sorted(reasons.items()):
        print(f"      {reason['code']:<32} {reason['path']:<20} {origin[-60:]}")
    return failures


def same(run_path):
    failures = []
    run = events(run_path)
    summary = run["summary"][-1]
    check(failures, not run.get("record"), "no instance is fetched again")
    check(failures, summary["settled_studies"] == [], "no study is settled again")
    print(f"      {summary['unchanged_studies']} studies, {summary['unchanged']} inputs unchanged")
    return failures


def change(run_path, added, changed, dropped, deleted):
    failures = []
    summary = events(run_path)["summary"][-1]
    settled = {origin.removeprefix("studies/") for origin in summary["settled_studies"]}
    check(failures, added in settled, "the added study is read")
    check(failures, changed in settled, "the study with a new instance is read again")
    check(failures, dropped in settled, "the study that lost an instance is read again")
    check(failures, deleted not in settled, "the deleted study is not reported")
    check(failures, settled == {added, changed, dropped}, "and no other study is read")
    return failures


def product(served_path, run_path, fetched):
    """The command line's summary against what the server serves at this moment."""
    failures = []
    truth = json.load(open(served_path, encoding="utf-8"))
    summary = events(run_path)["summary"][-1]
    files, served, unserved = summary["files"], len(truth["served"]), len(truth["unserved"])
    print("      " + json.dumps({k: summary[k] for k in ("files", "studies", "images")}))
    check(failures, summary["images"] == served, f"the store holds the {served} served instances")
    check(failures, files["seen"] == sum(v for k, v in files.items() if k != "seen"),
          "every input is accounted for")
    check(failures, files["seen"] == served + unserved, "and every one that the server has")
    if fetched == "all":
        check(failures, files["ingested"] == served and files["quarantined"] == unserved,
              "ingested what is served, quarantined what is not")
    elif fetched == "none":
        check(failures, files["unchanged"] == files["seen"], "nothing is fetched again")
    else:
        check(failures, 0 < files["ingested"] < served, "only what changed is fetched")
    return failures


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    sys.exit(1 if {"first": first, "same": same, "product": product, "change": change}[what](*arguments) else 0)
