# An Orthanc with its DICOMweb plugin, for suites that source this file (sh):
#
#   . orthanc.sh; alone "$0" "$@"; begin_work; start_orthanc [OPTION...]
#
# Orthanc 1.10.1 listens on every address whatever it is told, so it and everything that talks to it
# run in a network namespace that has only loopback. Nothing is left running, nor on the disk, unless
# KEEP=yes.

peer=http://127.0.0.1:18042
export VESALIUS_DICOMWEB_USER=peer VESALIUS_DICOMWEB_PASSWORD=peer-secret

# Starts the script anew in a namespace of its own.
alone() {
    if [ "${IN_NAMESPACE:-}" != yes ]; then
        flags=-n
        [ "$(id -u)" = 0 ] || flags=-rn
        IN_NAMESPACE=yes exec unshare $flags "$@"
    fi
    ip link set lo up
}

# A folder that goes with everything in $running.
begin_work() {
    work=$(mktemp -d)
    running=
    trap end_work EXIT
    trap 'exit 130' INT TERM
}
end_work() {
    for one in $running; do kill "$one" 2>/dev/null || :; wait "$one" 2>/dev/null || :; done
    if [ "${KEEP:-}" = yes ]; then echo "kept: $work"; else rm -rf "$work"; fi
}

# Whether something answers at an address, with whatever status.
answers() {
    for _ in $(seq 100); do
        python3 -c 'import sys, urllib.request, urllib.error
try: urllib.request.urlopen(sys.argv[1], timeout=1)
except urllib.error.HTTPError: pass' "$1" 2>/dev/null && return 0
        sleep 0.2
    done
    echo "FAIL  $1 does not answer"
    return 1
}

# Its log is $work/orthanc.log.
start_orthanc() {
    plugin=$(find / -xdev -name 'libOrthancDicomWeb.so*' -path '*lib*' 2>/dev/null | head -n 1)
    mkdir "$work/db"
    cat > "$work/orthanc.json" <<EOC
{ "Name": "PEER", "StorageDirectory": "$work/db", "IndexDirectory": "$work/db", "HttpPort": 18042,
  "RemoteAccessAllowed": false, "AuthenticationEnabled": true,
  "RegisteredUsers": { "$VESALIUS_DICOMWEB_USER": "$VESALIUS_DICOMWEB_PASSWORD" },
  "DicomAet": "PEER", "DicomPort": 14242, "LimitFindResults": 0, "Plugins": ["$plugin"],
  "DicomWeb": { "Enable": true, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full" } }
EOC
    Orthanc "$@" "$work/orthanc.json" > "$work/orthanc.log" 2>&1 &
    running="$running $!"
    answers $peer/system
}
