#!/bin/sh
# Runs a command whose temporary files go with it: SwiftPM leaves directories behind, and a test that is killed all that it had.
directory=$(mktemp -d "${TMPDIR:-/tmp}/springg-XXXXXX") || exit 1
TMPDIR=$directory "$@" &
child=$!
trap 'kill "$child" 2>/dev/null' HUP INT TERM
wait "$child"
status=$?
# A signal ends the wait, and not the child.
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    status=$?
done
rm -rf "$directory"
exit "$status"
