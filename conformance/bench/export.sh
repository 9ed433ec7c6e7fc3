#!/bin/sh
# Exports the ImagingStudies of the IDC index and compares with plainly writing the same bytes;
# then reads a study of 3,000 instances, whole and in parts.
#
#   export.sh BINARY CACHE [ROUNDS]       exports ROUNDS times (default 3)
. "$(dirname "$0")/common.sh"
exec "$(python dicom pydicom==3.0.1)" "$here/export.py" "$binary" "$(idc)" "$cache" "${1:-3}"
