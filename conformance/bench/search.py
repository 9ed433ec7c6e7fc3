"""Latency and throughput of ImagingStudy search, parameter by parameter.

One connection gives the latency (p50, p99 in milliseconds, seen by the client on the same machine);
eight give requests a second. Values are those of studies spread over the store, asked in turn, so
no single answer is repeated. `_total=accurate` is part of every request. Prints one JSON object.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

binary, idc, cache, studies = sys.argv[1:5]
here, cache = Path(__file__).parent, Path(cache)
SECONDS = os.environ.get("BENCH_SECONDS", "3")
SAMPLES = 200


def command(data, *words):
    done = subprocess.run([binary, "--data", str(data), "--json", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: {done.stdout[-500:]} {done.stderr[-1000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def store(name, make):
    data = cache / name
    if not (data / "complete").exists():
        make(data)
        (data / "complete").write_text("")
    return data


def generated(data):
    archive = cache / f"archive-2-studies-{studies}"
    subprocess.run([binary, "sample", str(archive), "--studies", studies], check=True, capture_output=True)
    command(data, "ingest", "folder", str(archive))


def systems(tokens):
    return sorted({t for t in tokens if t})


def harvest(base, token):
    """Values of each parameter from studies spread over the store."""
    def get(path):
        request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"})
        return json.load(urllib.request.urlopen(request))
    values = {}
    def put(name, value):
        if value:
            values.setdefault(name, set()).add(value)
    def token_of(coding):
        return "|".join([coding.get("system", ""), coding.get("code", coding.get("value", ""))])
    # Years apart, so that the studies are not neighbours.
    pages = [get("/fhir/ImagingStudy?_count=40&_sort=" + sort) for sort in ("started", "-started", "_lastUpdated")]
    pages += [get(f"/fhir/ImagingStudy?_count=40&started=ge{year}") for year in range(1990, 2026, 5)]
    for page in pages:
        for entry in page.get("entry", []):
            study = entry["resource"]
            if study["resourceType"] != "ImagingStudy":
                continue
            put("_id", study["id"])
            put("_lastUpdated", "ge" + study["meta"]["lastUpdated"][:10])
            put("patient", study["subject"].get("reference"))
            put("subject", study["subject"].get("reference"))
            put("started", study.get("started", "")[:10])
            put("status", study["status"])
            for one in study.get("identifier", []):
                put("identifier", token_of(one))
            for one in study.get("modality", []):
                put("modality", one["code"])
            for one in study.get("basedOn", []):
                put("basedon", one.get("reference") or None)
                if "identifier" in one:
                    put("basedon:identifier", token_of(one["identifier"]))
            for name, ones in (("referrer", [study.get("referrer", {})]), ("interpreter", study.get("interpreter", []))):
                for one in ones:
                    put(name, one.get("reference"))
                    if "identifier" in one:
                        put(name + ":identifier", token_of(one["identifier"]))
            if "identifier" in study.get("encounter", {}):
                put("encounter:identifier", token_of(study["encounter"]["identifier"]))
            for reason in study.get("reasonCode", []):
                for coding in reason.get("coding", []):
                    put("reason", token_of(coding))
            for one in study.get("endpoint", []):
                put("endpoint", one.get("reference"))
            for series in study.get("series", []):
                put("series", series["uid"])
                if "code" in series.get("bodySite", {}):
                    put("bodysite", token_of(series["bodySite"]))
                for performer in series.get("performer", []):
                    # The custodian and the place are no values of the parameter.
                    if performer["actor"].get("reference", "").startswith(("PractitionerRole/", "Device/")):
                        put("performer", performer["actor"]["reference"])
                    if "identifier" in performer["actor"]:
                        put("performer:identifier", token_of(performer["actor"]["identifier"]))
                for instance in series.get("instance", [])[:3]:
                    put("instance", instance["uid"])
                    put("dicom-class", instance["sopClass"]["code"])
    return {name: sorted(found)[:SAMPLES] for name, found in values.items()}


def wrk(base, token, paths, connections):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(paths))
        listed.flush()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(here / "rotate.lua"), base],
                              env=dict(os.environ, BENCH_PATHS=listed.name, BENCH_TOKEN=token),
                              capture_output=True, text=True)
    line = [l for l in done.stdout.splitlines() if l.startswith("RESULT")]
    if not line:
        sys.exit(done.stdout + done.stderr)
    return [int(n) for n in line[0].split()[1:]]


def measure(name, data):
    server = subprocess.Popen([binary, "--data", str(data), "--json", "serve", "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(server.stdout.readline())
        token = command(data, "token", "--role", "imaging-it")[0]["token"]
        base, rows = ready["url"], []
        for parameter, values in sorted(harvest(base, token).items()):
            paths = ["/fhir/ImagingStudy?" + urllib.parse.urlencode(
                {parameter: value, "_count": "20", "_total": "accurate"}) for value in values]
            wrk(base, token, paths, 1)
            _, _, p50, p99, most, errors = wrk(base, token, paths, 1)
            requests, duration, *_ = wrk(base, token, paths, 8)
            rows.append({"parameter": parameter, "values": len(values), "p50_ms": p50 / 1000,
                         "p99_ms": p99 / 1000, "max_ms": most / 1000, "errors": errors,
                         "requests_per_second": round(requests / duration * 1e6),
                         "load": os.getloadavg()[0]})
            print(name, rows[-1], file=sys.stderr)
        return rows
    finally:
        server.terminate()
        server.wait()


result = {"bench": "search", "p99_at_most_ms": 10, "idc": [], "generated": []}
result["idc"] = measure("idc", store("data-idc", lambda data: command(
    data, "ingest", "table", str(Path(idc) / "idc_index.parquet"), "--mapping", "idc")))
result["generated"] = measure("generated", store(f"data-generated-{studies}", generated))
result["worst_p99_ms"] = max(row["p99_ms"] for row in result["idc"] + result["generated"])
print(json.dumps(result))
