#!/bin/sh
# Holds datasets to the shapes of the gate, with our engine and with pySHACL: the same documents, the
# same shapes, the same background. A quarter of the documents is valid, the others have a fault.
#
#   shacl.sh CACHE [DATASETS]        default 2000; pySHACL takes about 0.4 s for each
#
# Builds the tests (which write the documents) and the bench `shacl` optimised.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
# No program of ours is asked for: cargo builds what is timed.
set -- /bin/sh "${1:?usage: $0 CACHE [DATASETS]}" "${2:-2000}"
. "$(dirname "$0")/common.sh"
cd "$root"
export_folder=$(mktemp -d)
trap 'rm -rf "$export_folder"' EXIT
VESALIUS_TEST_EXPORT="$export_folder" cargo test --quiet --test it \
    catalogue::judge::documents_and_faults_are_written_for_the_judges >&2
interpreter=$(python shacl rdflib==7.6.0 pyshacl==0.40.1)
"$interpreter" "$here/shacl.py" list "$export_folder" "$1"
cargo bench --quiet --bench shacl -- "$export_folder/list" "$export_folder/ours.tsv" > "$export_folder/ours.json"
"$interpreter" "$here/shacl.py" judge "$root" "$export_folder"
cargo bench --quiet --bench shacl -- "$export_folder/list" "$export_folder/ours.tsv" > "$export_folder/again.json"
"$interpreter" "$here/shacl.py" compare "$root" "$export_folder"
