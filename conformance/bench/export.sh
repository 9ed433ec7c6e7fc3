#!/bin/sh
# Exports the ImagingStudies of the IDC index and compares with plainly writing the same bytes: of a
# server that was just started on what was just ingested, of one that has made its lines ready, and
# again; then reads a study of 3,000 instances, whole and in parts.
#
#   export.sh BINARY CACHE [ROUNDS]       exports ROUNDS times more (default 3)
. "$(dirname "$0")/common.sh"
exec "$(python dicom pydicom==3.0.1)" "$here/export.py" "$binary" "$(idc)" "$cache" "${1:-3}"
