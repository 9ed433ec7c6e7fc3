#!/bin/sh
# Serves a folder's images, and the same images from an Orthanc, and judges both.
#
#   run.sh BINARY PYTHON FOLDER      FOLDER: DICOM files (for instance pydicom's test files)
#
# Needs: Orthanc with its DICOMweb plugin, iproute2, unshare; a Python with pydicom,
# dicomweb-client and Pillow. ../orthanc.sh says how Orthanc is run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=$1 python=$2 folder=$3

. "$here/../orthanc.sh"
alone "$0" "$@"
begin_work
start_orthanc
python3 "$here/../dicomweb/load.py" load $peer "$folder" | tail -n 1

serve() { # data folder, port
    "$binary" --data "$1" serve --listen "127.0.0.1:$2" > "$1/serve.log" 2>&1 &
    running="$running $!"
    answers "http://127.0.0.1:$2/healthz"
    token=$("$binary" --data "$1" --json token --role imaging-it | "$python" -c 'import json,sys; print(json.load(sys.stdin)["token"])')
}

status=0
echo "== a folder"
"$binary" --data "$work/folder" --json ingest folder "$folder" | tail -n 1 | cut -c1-200
serve "$work/folder" 18481
"$python" "$here/judge.py" --url http://127.0.0.1:18481 --token "$token" --folder "$folder" --peer $peer || status=1

echo "== a PACS"
"$binary" --data "$work/pacs" --json ingest dicomweb $peer/dicom-web | tail -n 1 | cut -c1-200
serve "$work/pacs" 18482
"$python" "$here/judge.py" --url http://127.0.0.1:18482 --token "$token" --folder "$folder" --peer $peer --through || status=1
exit $status
