#!/usr/bin/env bash
# Two clients of one GlusterFS volume as two hosts: what a killed worker, or a client that died with its mount, had in hand
# is finished by the other. It does not race two workers for the same waiting jobs. Run by hand, as root, on a Debian
# machine that may be changed: installs glusterfs-server, needs FUSE. Everything it makes is below a temporary folder and
# is removed.
#
#   deploy/trials/multi-host.sh BINARY
#
# Exit: 0 all held, 1 something did not, 2 usage, 69 GlusterFS cannot run here.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
binary=$(readlink -f "$1")
work=$(mktemp -d)
volume=nanobot-trial
port=8491
model_port=8492
api=http://127.0.0.1:$port
pids=()
failures=0

finish() {
    kill -9 "${pids[@]}" 2>/dev/null || true
    umount -l "$work/a" "$work/b" 2>/dev/null || true
    gluster --mode=script volume stop "$volume" >/dev/null 2>&1 || true
    gluster --mode=script volume delete "$volume" >/dev/null 2>&1 || true
    [ -z "${glusterd-}" ] || kill "$glusterd" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

expect() { # what, wanted, found
    if [ "$2" = "$3" ]; then printf 'ok    %s: %s\n' "$1" "$3"; else
        printf 'FAIL  %s: %s instead of %s\n' "$1" "$3" "$2"
        failures=$((failures + 1))
    fi
}

# MARK: the volume and its two clients

DEBIAN_FRONTEND=noninteractive apt-get install -y -q glusterfs-server glusterfs-client bc jq curl >/dev/null
mkdir "$work/store" "$work/a" "$work/b"
glusterd -N --log-file "$work/glusterd.log" &
glusterd=$!
host=$(hostname)
for _ in $(seq 1 100); do
    gluster --mode=script volume create "$volume" "$host:$work/store" force >/dev/null 2>&1 && break
    sleep 0.2
done
# Both caches off: with the defaults a client sees what it saw a second ago, and jobs run twice (docs/operations.md).
gluster --mode=script volume set "$volume" performance.stat-prefetch off >/dev/null
gluster --mode=script volume start "$volume" >/dev/null || exit 69
mount -t glusterfs -o attribute-timeout=0,entry-timeout=0 "$host:/$volume" "$work/a"
mount -t glusterfs -o attribute-timeout=0,entry-timeout=0 "$host:/$volume" "$work/b"

# MARK: a model that takes its time

cat >"$work/model.py" <<'MODEL'
import http.server, json, sys, time
class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(6)
        body = json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0,
            "finish_reason": "stop", "message": {"role": "assistant", "content": "answer"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Model).serve_forever()
MODEL
python3 "$work/model.py" "$model_port" 2>/dev/null &
pids+=($!)
export NANOBOT_MODEL=openai/x OPENAI_BASE_URL=http://127.0.0.1:$model_port/v1 OPENAI_API_KEY=x

start() { # name, arguments …: its process id is in started
    "$binary" "${@:2}" >"$work/$1.out" 2>"$work/$1.log" &
    started=$!
    pids+=("$started")
}
recovered() { grep -c "orphaned job goes on" "$work/$1.log" || true; }
until_recovered() { # name: seconds until it recovers something
    local begin
    begin=$(date +%s.%N)
    for _ in $(seq 1 1200); do
        [ "$(recovered "$1")" -eq 0 ] || break
        sleep 0.05
    done
    echo "$(date +%s.%N) - $begin" | bc
}
submit() { # count, session prefix: ids in ids
    ids=()
    for number in $(seq 1 "$1"); do
        ids+=("$(curl -s "$api/chat" -H 'Content-Type: application/json' -H 'Prefer: respond-async' \
            -d "{\"user_id\":\"u$((number % 6))\",\"message\":\"hello\",\"session_id\":\"$2$number\"}" | jq -r .job_id)")
    done
}
check_all() { # what
    local completed=0 once=0 id
    for id in "${ids[@]}"; do
        [ "$(curl -s "$api/jobs/$id?wait=30" | jq -r .status)" = completed ] && completed=$((completed + 1))
        [ "$(find "$work/a/home/spool/status" -name "$id.jsonl" -exec grep -c '"state":"completed"' {} +)" = 1 ] &&
            once=$((once + 1))
    done
    expect "$1, completed" "${#ids[@]}" "$completed"
    expect "$1, one final line each" "${#ids[@]}" "$once"
}

start api serve --no-workers --home "$work/a/home" --port "$port"
for _ in $(seq 1 100); do
    curl -s -o /dev/null "$api/ready" && break
    sleep 0.1
done
for user in u0 u1 u2 u3 u4 u5; do
    curl -s -o /dev/null "$api/users" -H 'Content-Type: application/json' -d "{\"user_id\":\"$user\"}"
done

# MARK: a worker is killed

start a worker --home "$work/a/home" --workers 8
start b worker --home "$work/b/home" --workers 8
b=$started
sleep 3
submit 12 k
sleep 4
expect "running on both clients" 12 "$(find "$work/a/home/spool/running" -name '*.json' | wc -l)"
kill -9 "$b"
printf '      the first job of a killed worker went on after %s s\n' "$(until_recovered a)"
check_all "a killed worker"
kill "${pids[2]}"

# MARK: a client dies with its mount

start b2 worker --home "$work/b/home" --workers 8
sleep 3
submit 6 g
sleep 3
start a2 worker --home "$work/a/home" --workers 8
sleep 2
expect "left alone while their worker lives" 0 "$(recovered a2)"
pkill -9 -f "glusterfs .*$work/b\$"
printf '      the first job of a dead client went on after %s s\n' "$(until_recovered a2)"
check_all "a dead client"

kill "${pids[1]}"
sleep 1
"$binary" check --home "$work/a/home" >/dev/null && checked=clean || checked=problems
expect "nanobot check" clean "$checked"
[ "$failures" -eq 0 ]
