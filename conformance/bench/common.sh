# Shared by the benchmarks: arguments BINARY CACHE, a Python of their own in the cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=${1:?usage: $0 BINARY CACHE [...]}
cache=${2:?usage: $0 BINARY CACHE [...]}
shift 2
mkdir -p "$cache"
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
cache=$(cd "$cache" && pwd)

# python NAME PACKAGE...: a virtual environment with these packages, made once.
python() {
    if [ ! -x "$cache/$1/bin/python" ] || [ ! -e "$cache/$1/complete" ]; then
        python3 -m venv "$cache/$1" >&2
        environment=$1
        shift
        "$cache/$environment/bin/python" -m pip install -q "$@" >&2
        touch "$cache/$environment/complete"
        set -- "$environment"
    fi
    echo "$cache/$1/bin/python"
}

# The index of the NCI Imaging Data Commons, version 25.0.5, as published on PyPI.
idc() {
    if [ ! -e "$cache/idc/idc_index_data/idc_index.parquet" ]; then
        python3 -m pip download -q --no-deps -d "$cache" idc-index-data==25.0.5 >&2
        python3 -m zipfile -e "$cache"/idc_index_data-25.0.5-*.whl "$cache/idc" >&2
    fi
    echo "$cache/idc/idc_index_data"
}
