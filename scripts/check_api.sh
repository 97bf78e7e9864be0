#!/usr/bin/env bash
# Sends a fresh server what its /openapi.json allows and what it forbids, by schemathesis from PyPI.
#
# It must answer as the document says: statuses, types and contents of answers, refusals of what the document forbids,
# tokens where it wants them. CHECK_API_SEED and CHECK_API_EXAMPLES choose other requests and more of them.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$PWD/.build/check-api
package=schemathesis==4.32.5
if [ "$(cat "$place/installed" 2>/dev/null)" != "$package" ]; then
    echo "check-api: installing $package"
    rm -rf "$place"
    mkdir -p .build
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --disable-pip-version-check "$package" </dev/null
    echo "$package" >"$place/installed"
fi

data=$(mktemp -d)
export SPRINGG_JWT_SECRET=a-secret-for-one-run-of-check-api-alone
read -r port gossip < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
.build/release/springg serve --bind-address 127.0.0.1 --port "$port" --data-path "$data/data" \
    --cluster-bind-port "$gossip" --rate-limit-per-second 0 --max-concurrent-bulk-requests 0 \
    --bulk-cpu-threshold-percent 0 --ack-timeout 10ms >"$data/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" || true; rm -rf "$data"' EXIT

url="http://127.0.0.1:$port"
for _ in $(seq 100); do
    if python3 -c "import urllib.request; urllib.request.urlopen('$url/readyz')" 2>/dev/null; then break; fi
    kill -0 "$server" || { cat "$data/log"; exit 1; }
    sleep 0.1
done
token=$(.build/release/springg generate-jwt --claims '{"permissions":["admin","internal"]}')

# positive_data_acceptance is off, since the dimensions of a vector depend on its index, which no schema can say;
# /internal/replicate answers 500 where the program did whose messages it takes; the other paths left out are for nodes.
# It keeps what it found where it runs.
cd "$data"
"$place/bin/schemathesis" run "$url/openapi.json" --url "$url" --no-color \
    --seed "${CHECK_API_SEED:-1}" --max-examples "${CHECK_API_EXAMPLES:-25}" \
    --exclude-checks positive_data_acceptance --exclude-path-regex "^/internal/(replicate|log|snapshot|cluster/(join|leave|forget|readmit))" \
    --header "Authorization: Bearer $token" >"$data/report" || { cat "$data/report"; exit 1; }
grep -A 3 'Test cases:' "$data/report"
