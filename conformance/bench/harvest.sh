#!/bin/sh
# Harvests a catalogue of which ten datasets changed since, and downloads it whole.
#
#   harvest.sh BINARY CACHE [DATASETS...]     default 1000 10000 100000
#
# Needs python3 and its venv; pyoxigraph for the dump of a RocksDB store that is compared with; nginx (of the
# PATH, or NGINX_BINARY) for the static files, else Python's server sends them.
. "$(dirname "$0")/common.sh"
[ $# -gt 0 ] || set -- 1000 10000 100000
exec "$(python harvest pyoxigraph==0.5.13)" "$here/harvest.py" "$binary" "$cache" "$@"
