#!/usr/bin/env bash
# Asks a running server what its OpenAPI document describes, with what schemathesis makes up: no
# status 5xx but 503, none that the document does not name; as each role.
#
#   conformance/openapi/run.sh SCHEMATHESIS URL NAME=TOKEN...
#
# SCHEMATHESIS   its command `st`
# NAME=TOKEN     a role to ask as; `nobody=` is without a token
# EXAMPLES       requests that are made up for each operation (default 3)
# PHASES         phases of schemathesis (default fuzzing; `coverage,fuzzing` takes minutes)
# SEED           the same seed makes up the same requests (default 1)
set -uo pipefail
st=$1
url=$2
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/vesalius-openapi.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0

# Writes what one run found to $work/log; 0: nothing.
ask() {
    local document=$1 token=$2
    local header=()
    [ -n "$token" ] && header=(-H "Authorization: Bearer $token")
    (cd "$work" && "$st" run "$document" --url "$url" "${header[@]}" \
        --checks not_a_server_error,status_code_conformance --phases "${PHASES:-fuzzing}" \
        -n "${EXAMPLES:-3}" --seed "${SEED:-1}" --continue-on-failure --no-shrink --no-color \
        --generation-database none --suppress-health-check all --request-timeout 60 --warnings off) \
        >"$work/log" 2>&1
}

for pair in "$@"; do
    if ask "$url/openapi.json" "${pair#*=}"; then
        echo "${pair%%=*}: $(grep -o '[0-9]* generated, [0-9]* passed' "$work/log")"
    else
        echo "${pair%%=*}: FAILED"
        grep -v '^$' "$work/log" | tail -n 60
        failed=1
    fi
done

echo "== a planted mistake"
curl -fsS "$url/openapi.json" | python3 -c '
import json, sys
document = json.load(sys.stdin)
get = document["paths"]["/catalog"]["get"]
get["responses"] = {"418": {"description": "planted"}}
document["paths"] = {"/catalog": {"get": get}}
json.dump(document, sys.stdout)' >"$work/planted.json"
if ask "$work/planted.json" ""; then
    echo "an answer that the document does not name was not seen"
    failed=1
else
    echo "refused: $(grep -m 1 -io 'undocumented[a-z ]*' "$work/log")"
fi
exit $failed
