#!/bin/sh
# Asks for a page of 20 by each ImagingStudy search parameter alone: with the IDC index those that
# it can fill, with generated studies the others.
#
#   search.sh BINARY CACHE [STUDIES]       STUDIES generated (default 5000; the figure asks 50000)
#
# Needs wrk. The stores are made in the cache once.
. "$(dirname "$0")/common.sh"
command -v wrk >/dev/null || { echo "wrk is not installed" >&2; exit 2; }
exec python3 "$here/search.py" "$binary" "$(idc)" "$cache" "${1:-5000}"
