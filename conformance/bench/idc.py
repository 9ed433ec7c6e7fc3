"""The table of a million series: our ingest (A) against a raw loop (B), in the order A-B-B-A.

B reads the same Parquet columns and inserts the same series rows with the same unique keys by
prepared statements in one transaction (WAL, synchronous NORMAL), in a process of its own; it keeps
no patient, no study, no change feed, no finding, and is not durable against a power cut. A is the
whole `vesalius ingest table`, with its own process start and the index that it saves.
Prints one JSON object.
"""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

COLUMNS = """collection_id PatientID SeriesInstanceUID StudyInstanceUID source_DOI PatientAge
PatientSex StudyDate StudyDescription BodyPartExamined Modality SOPClassUID TransferSyntaxUID
Manufacturer ManufacturerModelName SeriesDate SeriesDescription SeriesNumber instanceCount
license_short_name series_size_MB""".split()
EXPECTED = {"patients": 86_451, "studies": 168_507, "series": 1_044_191, "images": 58_784_975}


def raw(parquet, database):
    import pyarrow.parquet as pq

    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    names = ", ".join(COLUMNS)
    # The keys of our series table: its number, UID within study, study, patient.
    db.execute(f"CREATE TABLE series (number INTEGER PRIMARY KEY, {names}, "
               "UNIQUE (SeriesInstanceUID, StudyInstanceUID))")
    insert = f"INSERT INTO series ({names}) VALUES ({', '.join('?' * len(COLUMNS))})"
    db.execute("BEGIN")
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size=20_000, columns=COLUMNS):
        columns = batch.to_pydict()
        db.executemany(insert, zip(*[columns[name] for name in COLUMNS]))
    db.execute("COMMIT")
    print(db.execute("SELECT count(*) FROM series").fetchone()[0])
    db.close()


def timed(command):
    began, load = time.monotonic(), os.getloadavg()[0]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} ended with {status}: {out[-2000:]}")
    return {"seconds": round(time.monotonic() - began, 2), "resident_mib": usage.ru_maxrss // 1024,
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2), "load": load}, out


def main(binary, folder, cache, rounds):
    parquet = str(Path(folder) / "idc_index.parquet")
    data, database = Path(cache) / "bench-idc", Path(cache) / "bench-raw.db"
    ours, loop = [], []
    for _ in range(rounds):
        for side in "ABBA":
            shutil.rmtree(data, ignore_errors=True)
            for file in Path(cache).glob("bench-raw.db*"):
                file.unlink()
            if side == "A":
                result, out = timed([binary, "--data", str(data), "--json", "ingest", "table",
                                     parquet, "--mapping", "idc"])
                counts = json.loads(out.splitlines()[-1])
                wrong = {k: counts[k] for k, v in EXPECTED.items() if counts[k] != v}
                if wrong:
                    sys.exit(f"counted {wrong} instead of {EXPECTED}")
                ours.append(result)
            else:
                result, out = timed([sys.executable, __file__, "raw", parquet, str(database)])
                if int(out) != EXPECTED["series"]:
                    sys.exit(f"the loop inserted {out}")
                loop.append(result)
            print(side, result, file=sys.stderr)
    shutil.rmtree(data, ignore_errors=True)
    median = lambda side: statistics.median(one["seconds"] for one in side)
    print(json.dumps({
        "bench": "idc", "ratio": round(median(ours) / median(loop), 2), "at_most": 3,
        "ours_seconds": median(ours), "raw_seconds": median(loop),
        "resident_mib": max(one["resident_mib"] for one in ours), "resident_at_most_mib": 1000,
        "counts": EXPECTED, "ours": ours, "raw": loop,
    }))


if sys.argv[1] == "raw":
    raw(*sys.argv[2:])
else:
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
