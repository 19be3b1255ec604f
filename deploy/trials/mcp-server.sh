#!/usr/bin/env bash
# A public MCP server (mcp-server-time from PyPI) behind a built nanobot: a scripted model calls its tool for two users.
#
#   deploy/trials/mcp-server.sh BINARY
#
# Needs python3 with venv and PyPI. Loopback only. Exit: 0 when the answer holds the converted time and no child is left
# after a kill -9 of the server.
set -euo pipefail
binary=$(realpath "$1")
work=$(mktemp -d)
pids=()
# shellcheck disable=SC2317
finish() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

python3 -m venv "$work/python"
"$work/python/bin/pip" install -q mcp-server-time==2026.10.19

cat >"$work/model.py" <<'PY'
import http.server, json, sys

CALL = {"name": "mcp_time_convert_time", "arguments": json.dumps(
    {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"})}


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = [m["content"] for m in asked["messages"] if m["role"] == "tool"]
        delta = {"content": results[-1]} if results else {
            "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": CALL}]}
        reason = "stop" if results else "tool_calls"
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
python3 "$work/model.py" >"$work/port" &
pids+=($!)
while [ ! -s "$work/port" ]; do :; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$work/home"
cat >"$work/home/config.json" <<JSON
{"model": "local/m", "server": {"port": $port},
 "providers": {"local": {"type": "openai", "base_url": "http://127.0.0.1:$(cat "$work/port")/v1"}},
 "tools": {"mcp_servers": {"time": {"command": "$work/python/bin/mcp-server-time"}}}}
JSON
for user in alice bob; do "$binary" create-user "$user" --home "$work/home" >/dev/null; done
"$binary" serve --home "$work/home" >"$work/log" 2>&1 &
server=$!
pids+=("$server")
until curl -sf "http://127.0.0.1:$port/ready" >/dev/null; do :; done
for user in alice bob; do
    curl -sf -m 60 "http://127.0.0.1:$port/chat" -H 'Content-Type: application/json' \
        -d "{\"user_id\": \"$user\", \"message\": \"What time is it in Tokyo at noon UTC?\", \"session_id\": \"$RANDOM\"}" |
        grep -o 'T21:00:00+09:00' || { echo "no answer for $user"; tail "$work/log"; exit 1; }
done
echo "servers running: $(pgrep -fc "$work/python/bin/mcp-server-time")"
kill -9 "$server"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    left=$(pgrep -fc "$work/python/bin/mcp-server-time" || true)
    [ "$left" -eq 0 ] && { echo "none left after kill -9"; exit 0; }
    python3 -c 'import select; select.select([], [], [], 0.3)'
done
echo "$left servers left after kill -9"
exit 1
