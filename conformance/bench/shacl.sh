#!/bin/sh
# Holds datasets to the shapes of the gate, with our engine and with pySHACL: the same documents, the
# same shapes, the same background.
#
#   shacl.sh [DATASETS] [BY_PYSHACL]        default 2000, of which pySHACL does 20
#
# Needs an interpreter with pyshacl (PYTHON, else python3). Builds the tests optimised.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
count=${1:-2000}
export_folder=$(mktemp -d)
trap 'rm -rf "$export_folder"' EXIT
VESALIUS_TEST_EXPORT="$export_folder" cargo test --release --quiet --test it \
    catalogue::judge::documents_and_faults_are_written_for_the_judges
VESALIUS_BENCH_DATASETS=$count cargo test --release --quiet --test it \
    catalogue::scale::datasets_are_held -- --nocapture
exec "${PYTHON:-python3}" "$root/conformance/bench/shacl.py" "$root" "$export_folder" "${2:-20}"
