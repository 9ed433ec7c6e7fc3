#!/bin/sh
# One new study in an open dataset of an archive of the size of IDC: what the server does until the
# dataset's document is published anew.
#
#   recompute.sh BINARY CACHE [ROUNDS]       default 20, for the largest and for a small dataset
#
# Needs python3 and its venv, 2 GB in the cache for the archive and its copy.
. "$(dirname "$0")/common.sh"
exec "$(python python pyarrow==21.0.0)" "$here/recompute.py" "$binary" "$(idc)" "$cache" "${1:-20}"
