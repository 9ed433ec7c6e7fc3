#!/bin/sh
# Ingests the IDC index and compares with a loop that only inserts the same rows into SQLite.
#
#   idc.sh BINARY CACHE [ROUNDS]       A-B-B-A, ROUNDS times (default 1)
. "$(dirname "$0")/common.sh"
exec "$(python python pyarrow==21.0.0)" "$here/idc.py" "$binary" "$(idc)" "$cache" "${1:-1}"
