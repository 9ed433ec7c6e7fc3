#!/bin/sh
# The catalogue's list over 20,000 datasets: facets, exclusion, text, orders, pages.
#
#   facets.sh BINARY CACHE [DATASETS] [REQUESTS]       default 20000 2000
#
# Needs python3 only.
. "$(dirname "$0")/common.sh"
exec python3 "$here/facets.py" "$binary" "$cache" "${1:-20000}" "${2:-2000}"
