#!/bin/sh
# Ingests 20,000 generated files and compares with dicom2fhir 0.1.25 and with a loop in one
# thread that only opens the same files with dicom-object up to PixelData.
#
#   folder.sh BINARY CACHE [FILES]
#
# dicom2fhir runs only with the pins below, on a part of the files (it is slow).
. "$(dirname "$0")/common.sh"
(cd "$here/../.." && cargo build --quiet --release -p conformance --bin open-files)
target=$(cd "$here/../.." && cargo metadata --format-version 1 --no-deps |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
peer=$(python dicom2fhir 'pydicom==3.0.1' 'dicom2fhir==0.1.25' 'fhir.resources==8.0.0' 'fhir-core<1.1' 'annotated-types==0.7.0')
exec python3 "$here/folder.py" "$binary" "$target/release/open-files" "$peer" "$cache" "${1:-20000}"
