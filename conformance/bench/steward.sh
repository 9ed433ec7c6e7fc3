#!/bin/sh
# The steward's lists over 20,000 datasets: the list of descriptions, its search, the bulk edit.
#
#   steward.sh BINARY CACHE [DATASETS] [REQUESTS]       default 20000 40
#
# Needs python3 only.
. "$(dirname "$0")/common.sh"
exec python3 "$here/steward.py" "$binary" "$cache" "${1:-20000}" "${2:-40}"
