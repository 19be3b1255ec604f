#!/usr/bin/env bash
# POST /reports of a built nanobot with wrk: how many durable submissions a second by HTTP, beside the spool alone.
#
#   Benchmarks/post_figures.sh BINARY SPOOL_BENCH FOLDER [ROUNDS]
#
# BINARY and SPOOL_BENCH (of Benchmarks/run.sh) should be release builds; FOLDER is on the disk that is meant. Prints for 1, 8 and
# 32 clients the median rates and their ratio. The reports are for later: nothing but submissions is measured. Loopback only.
set -euo pipefail
binary=$(realpath "$1")
bench=$(realpath "$2")
root=$(realpath "$3")
rounds=${4:-3}
command -v wrk >/dev/null || { echo "post_figures.sh: wrk is missing (apt-get install wrk)" >&2; exit 2; }
work=$(mktemp -d "$root/post.XXXXXX")
server=""
# shellcheck disable=SC2317
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

cat >"$work/post.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"user_id":"alice","run_at":"2035-01-01T00:00:00Z","focus_areas":["semiconductors"]}'
done = function(summary) if summary.errors.status > 0 then error("refused: " .. summary.errors.status) end end
LUA

by_http() {
    local port home=$work/home
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir "$home"
    printf '{"server": {"port": %s}, "limits": {"user": {"waiting": 1000000}}}\n' "$port" >"$home/config.json"
    "$binary" create-user alice --home "$home" >/dev/null
    "$binary" serve --home "$home" >"$work/log" 2>&1 &
    server=$!
    until curl -sf "http://127.0.0.1:$port/ready" >/dev/null; do :; done
    wrk -t1 -c"$1" -d3s -s "$work/post.lua" "http://127.0.0.1:$port/reports" | sed -n 's/^Requests\/sec: *//p'
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=""
    rm -rf "$home"
}

for clients in 1 8 32; do
    for _ in $(seq "$rounds"); do
        echo "$clients $(by_http "$clients") $("$bench" put --root "$work" --clients "$clients" --seconds 3)"
    done
done | python3 -c '
import json, statistics, sys
rates = {}
for line in sys.stdin:
    clients, http, bench = line.split(" ", 2)
    rates.setdefault(int(clients), []).append((float(http), json.loads(bench)["per_second"]))
for clients, rows in rates.items():
    http, spool, ratio = (statistics.median(values) for values in (*zip(*rows), [http / spool for http, spool in rows]))
    print(f"{clients} clients: {http:,.0f} POST /reports a second, {spool:,.0f} submissions to the spool alone, {ratio:.2f}")'
