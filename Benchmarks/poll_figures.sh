#!/usr/bin/env bash
# Status polls of a built nanobot beside the least a Hummingbird server can do, by turns on one machine, with wrk.
#
#   Benchmarks/poll_figures.sh BINARY [ROUNDS]
#
# BINARY should be a release build. Builds bare-hello (release). Prints requests a second of each round and the median ratio:
# a finished job's status (GET /jobs/ID), the same with its ETag (304), a report with its text, a waiting job's status, health,
# and, where FASTAPI names a Python environment with fastapi and uvicorn, the same report from such a route. Loopback only.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$(realpath "$1")
rounds=${2:-3}
command -v wrk >/dev/null || { echo "poll_figures.sh: wrk is missing (apt-get install wrk)" >&2; exit 2; }
work=$(mktemp -d)
pids=()
# shellcheck disable=SC2317
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

swift build -c release --package-path "$here/bare-hello" --scratch-path "${HELLO_BUILD:-$work/build}" >&2
hello=$(swift build -c release --package-path "$here/bare-hello" --scratch-path "${HELLO_BUILD:-$work/build}" --show-bin-path)/bare-hello
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

bare=$(port)
"$hello" "$bare" &
pids+=($!)
ours=$(port)
mkdir "$work/home"
printf '{"server": {"port": %s}}\n' "$ours" >"$work/home/config.json"
"$binary" create-user alice --home "$work/home" >/dev/null
"$binary" serve --home "$work/home" >"$work/log" 2>&1 &
pids+=($!)
until curl -sf "http://127.0.0.1:$ours/ready" >/dev/null && curl -sf "http://127.0.0.1:$bare/" >/dev/null; do :; done
post() { curl -sf "http://127.0.0.1:$ours$1" -H 'Content-Type: application/json' -d "$2"; }
field() { python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
job=$(post /chat '{"user_id": "alice", "message": "hello"}' | field job_id)
report=$(post /reports '{"user_id": "alice"}' | field report_id)
curl -sf "http://127.0.0.1:$ours/reports/$report?wait=30" >/dev/null
waiting=$(post /reports '{"user_id": "alice", "run_at": "2035-01-01T00:00:00Z"}' | field report_id)
fastapi=""
if [ -n "${FASTAPI-}" ]; then
    curl -sf "http://127.0.0.1:$ours/reports/$report" >"$work/report.json"
    fastapi=$(port)
    FILE=$work/report.json "$FASTAPI/bin/python" -m uvicorn --app-dir "$here" fastapi_report:app --port "$fastapi" --log-level critical &
    pids+=($!)
    until curl -sf "http://127.0.0.1:$fastapi/reports/$report" >/dev/null; do :; done
fi
tag=$(curl -sfi "http://127.0.0.1:$ours/jobs/$job" | tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')

rate() { wrk -t1 -c32 -d3s "$@" | sed -n 's/^Requests\/sec: *//p'; }
for round in $(seq "$rounds"); do
    echo "$round $(rate "http://127.0.0.1:$bare/") $(rate "http://127.0.0.1:$ours/jobs/$job") $(rate -H "If-None-Match: $tag" "http://127.0.0.1:$ours/jobs/$job") $(rate "http://127.0.0.1:$ours/reports/$report") $(rate "http://127.0.0.1:$ours/jobs/$waiting") $(rate "http://127.0.0.1:$ours/health") ${fastapi:+$(rate "http://127.0.0.1:$fastapi/reports/$report")}"
done | python3 -c '
import statistics, sys
names = ["hello", "job", "job 304", "report", "waiting job", "health", "fastapi report"]
rows = [[float(value) for value in line.split()[1:]] for line in sys.stdin]
for row in rows:
    print("  ".join(f"{name} {value:,.0f}/s" for name, value in zip(names, row)))
names = names[:len(rows[0])]
for index, name in enumerate(names[1:], 1):
    ratio = statistics.median(row[index] / row[0] for row in rows)
    print(f"{name}: {ratio:.2f} of hello")
if "fastapi report" in names:
    ratio = statistics.median(row[3] / row[6] for row in rows)
    print(f"report: {ratio:.1f} times the FastAPI route")'
