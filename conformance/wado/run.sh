#!/bin/sh
# Serves a folder's images, and the same images from an Orthanc, and judges both.
#
#   run.sh BINARY PYTHON FOLDER      FOLDER: DICOM files (for instance pydicom's test files)
#
# Needs: Orthanc with its DICOMweb plugin, iproute2, unshare; a Python with pydicom,
# dicomweb-client and Pillow. Orthanc 1.10.1 listens on every address whatever it is told, so it
# and everything that talks to it run in a network namespace that has only loopback. Nothing is
# left running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=$1 python=$2 folder=$3

if [ "${IN_NAMESPACE:-}" != yes ]; then
    flags=-n
    [ "$(id -u)" = 0 ] || flags=-rn
    IN_NAMESPACE=yes exec unshare $flags "$0" "$@"
fi
ip link set lo up

work=$(mktemp -d)
running=
stop() {
    for one in $running; do kill "$one" 2>/dev/null || :; wait "$one" 2>/dev/null || :; done
    if [ "${KEEP:-}" = yes ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap stop EXIT
trap 'exit 130' INT TERM

plugin=$(find / -xdev -name 'libOrthancDicomWeb.so*' -path '*lib*' 2>/dev/null | head -n 1)
mkdir "$work/db"
cat > "$work/orthanc.json" <<EOC
{ "Name": "PEER", "StorageDirectory": "$work/db", "IndexDirectory": "$work/db", "HttpPort": 18042,
  "RemoteAccessAllowed": false, "AuthenticationEnabled": true,
  "RegisteredUsers": { "peer": "peer-secret" },
  "DicomAet": "PEER", "DicomPort": 14242, "LimitFindResults": 0, "Plugins": ["$plugin"],
  "DicomWeb": { "Enable": true, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full" } }
EOC
Orthanc "$work/orthanc.json" > "$work/orthanc.log" 2>&1 &
running="$running $!"
peer=http://127.0.0.1:18042
export VESALIUS_DICOMWEB_USER=peer VESALIUS_DICOMWEB_PASSWORD=peer-secret
answers() {
    for _ in $(seq 100); do
        "$python" -c 'import sys, urllib.request, urllib.error
try: urllib.request.urlopen(sys.argv[1], timeout=1)
except urllib.error.HTTPError: pass' "$1" 2>/dev/null && return 0
        sleep 0.2
    done
    echo "FAIL  $1 does not answer"; return 1
}
answers $peer/system
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
