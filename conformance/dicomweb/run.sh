#!/bin/sh
# Reads a real Orthanc over DICOMweb and judges what arrived.
#
#   run.sh FOLDER...     folders of DICOM files (for instance pydicom's test files)
#
# Needs: Orthanc with its DICOMweb plugin, dcmtk, iproute2, python3, unshare; and the test binary
# of the product in VESALIUS_TEST_IT (`cargo test --no-run --test it` prints its path). With VESALIUS_TEST_BINARY set
# to the product's binary its command line is run as well, into a store of its own.
# ../orthanc.sh says how Orthanc is run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${VESALIUS_TEST_IT:?set VESALIUS_TEST_IT to the path of the integration test binary}"

. "$here/../orthanc.sh"
alone "$0" "$@"
begin_work
start_orthanc --verbose
base=$peer

ingest() {
    VESALIUS_TEST_DICOMWEB=$base/dicom-web VESALIUS_TEST_JOURNAL=$work/journal.json \
        "$VESALIUS_TEST_IT" source::dicomweb::a_real_server_is_read --exact --nocapture > "$work/$1.jsonl"
    grep '"event":"summary"' "$work/$1.jsonl" | cut -c1-300
}
product() {
    [ -n "${VESALIUS_TEST_BINARY:-}" ] || return 0
    "$VESALIUS_TEST_BINARY" --data "$work/data" --json ingest dicomweb "$base/dicom-web" > "$work/product.jsonl"
    python3 "$here/load.py" served "$base" > "$work/now.json"
    python3 "$here/judge.py" product "$work/now.json" "$work/product.jsonl" "$1"
    "$VESALIUS_TEST_BINARY" --data "$work/data" verify
}
load() { python3 "$here/load.py" load "$base" "$@"; }

echo "== load"
load "$@"
python3 "$here/load.py" served "$base" > "$work/served.json"

echo "== first run"
VESALIUS_TEST_FOLDERS=$(IFS=:; echo "$*")
export VESALIUS_TEST_FOLDERS
ingest first
unset VESALIUS_TEST_FOLDERS
python3 "$here/judge.py" first "$work/served.json" "$work/first.jsonl"
product all

echo "== second run: nothing changed"
ingest second
python3 "$here/judge.py" same "$work/second.jsonl"
product none

echo "== third run: a study added, one with an instance more, one with one less, one deleted"
python3 - "$work/served.json" > "$work/chosen" <<'EOF'
import collections, json, sys
studies = collections.defaultdict(list)
truth = json.load(open(sys.argv[1]))
bad = {place["study"] for place in truth["unserved"].values()}
for sop, place in sorted(truth["served"].items()):
    if place["study"] not in bad:
        studies[place["study"]].append(sop)
many = sorted(study for study, sops in studies.items() if len(sops) > 2)
single = sorted(study for study, sops in studies.items() if len(sops) == 1)
print(many[0], studies[many[0]][0], many[1], studies[many[1]][0], single[0])
EOF
read -r changed template dropped victim deleted < "$work/chosen"
python3 - "$base" "$template" "$work/new.dcm" <<'EOF'
import base64, json, os, sys, urllib.request
from pathlib import Path
base, sop, out = sys.argv[1:]
pair = os.environ["VESALIUS_DICOMWEB_USER"] + ":" + os.environ["VESALIUS_DICOMWEB_PASSWORD"]
head = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
def ask(path, data=None):
    return urllib.request.urlopen(urllib.request.Request(base + path, data=data, headers=head)).read()
found = json.loads(ask("/tools/find", json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": sop}}).encode()))
Path(out).write_bytes(ask(f"/instances/{found[0]}/file"))
EOF
cp "$work/new.dcm" "$work/more.dcm"
dcmodify -q -nb -gst -gse -gin "$work/new.dcm"      # a study of its own
dcmodify -q -nb -gin "$work/more.dcm"               # one more instance of an old series
added=$(dcmdump -q +P 0020,000d "$work/new.dcm" | sed 's/.*\[\(.*\)\].*/\1/')
load "$work/new.dcm" "$work/more.dcm"
python3 "$here/load.py" drop "$base" "$victim"
python3 "$here/load.py" delete "$base" "$deleted"
ingest third
python3 "$here/judge.py" change "$work/third.jsonl" "$added" "$changed" "$dropped" "$deleted"
product some

echo "== fourth run: a wrong password ends the run and removes nothing"
if VESALIUS_DICOMWEB_PASSWORD=wrong VESALIUS_TEST_DICOMWEB=$base/dicom-web \
    VESALIUS_TEST_JOURNAL=$work/journal.json \
    "$VESALIUS_TEST_IT" source::dicomweb::a_real_server_is_read --exact --nocapture > "$work/fourth" 2>&1
then
    echo "FAIL  the run went on without credentials"; exit 1
fi
grep -q 'http-401' "$work/fourth" && ! grep -q 'peer-secret' "$work/fourth"
echo "ok    http-401"
grep -q 'GET /dicom-web/studies' "$work/orthanc.log"
if grep -q 'GET .*/bulk' "$work/orthanc.log"; then echo "FAIL  bulk data were asked for"; exit 1; fi
echo "all held"
