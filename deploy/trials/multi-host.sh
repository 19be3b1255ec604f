#!/usr/bin/env bash
# Two clients of one GlusterFS volume as two hosts with one spool: do claims exclude each other across them, does each job
# end exactly once, and how long until the work of a host that died goes on in the other? Prints a table.
#
#   deploy/trials/multi-host.sh BINARY [PART…]
#
# Parts: start jobs race order worker client network locks (all of them unless you name some; about fifteen minutes).
# The volume and its mounts have GlusterFS's own defaults, which let a client see what was there a second ago. Others:
#   NANOBOT_TRIAL_MOUNT='--attribute-timeout=0 --entry-timeout=0' NANOBOT_TRIAL_VOLUME='performance.stat-prefetch=off' …
# Run by hand, as root, on a Debian machine: installs glusterfs-server if it is missing, needs FUSE and a loop device.
# Everything runs in namespaces of its own (processes, mounts, network) and in one temporary folder. They go when the script
# ends, however it ends; a GlusterFS that is installed here is not touched, and nothing leaves the machine.
#
# Exit: 0 all held, 1 something did not, 2 usage, 69 GlusterFS cannot run here.
set -euo pipefail

# MARK: outside: a folder, and namespaces that take everything with them when they end

if [ "${NANOBOT_TRIAL_FOLDER-}" = "" ]; then
    if [ $# -lt 1 ] || [ ! -x "$1" ]; then
        sed -n '2,14s/^# \{0,1\}//p' "$0"
        exit 2
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "This trial mounts and makes namespaces: run it as root." >&2
        exit 2
    fi
    for program in glusterd glusterfs jq curl bindfs mkfs.ext4 ip unshare python3; do
        command -v "$program" >/dev/null && continue
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            glusterfs-server glusterfs-client bindfs jq curl e2fsprogs iproute2 util-linux python3 >/dev/null || exit 69
        break
    done
    if [ ! -c /dev/fuse ]; then
        echo "There is no /dev/fuse here." >&2
        exit 69
    fi
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    # Places that are covered by folders of the trial's own, inside.
    mkdir -p /run/gluster /var/lib/glusterd /var/log/glusterfs
    status=0
    NANOBOT_TRIAL_FOLDER=$folder unshare --mount --propagation private --net --pid --fork --kill-child --mount-proc \
        bash "$0" "$(readlink -f "$1")" "${@:2}" || status=$?
    exit "$status"
fi

# MARK: inside

trap 'exit 130' INT TERM
work=$NANOBOT_TRIAL_FOLDER
binary=$1
shift
parts=" ${*:-start jobs race order worker client network locks} "
rounds=${NANOBOT_TRIAL_ROUNDS:-3}
store=10.77.0 # the network of the volume
answers=10.78.0 # another one for the model: it stays up when a client is cut off from the volume
api=http://127.0.0.1:8491
mount_flags=${NANOBOT_TRIAL_MOUNT-}
volume_options=${NANOBOT_TRIAL_VOLUME-}
failures=0
declare -A holder fuse worker

row() { # ok, FAIL or a dash for a mere figure; what; found
    printf '%-5s %-66s %s\n' "$1" "$2" "$3"
    if [ "$1" = FAIL ]; then failures=$((failures + 1)); fi
}
expect() { # what, wanted, found
    if [ "$2" = "$3" ]; then row ok "$1" "$3"; else row FAIL "$1" "$3 instead of $2"; fi
}
until_true() { # seconds, command …
    local tries=$(($1 * 20))
    while ! "${@:2}" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then return 1; fi
        sleep 0.05
    done
}
on() { # host, command …
    if [ "$1" = s ]; then exec "${@:2}"; fi
    exec nsenter --net="/proc/${holder[$1]}/ns/net" -- "${@:2}"
}
wants() { [[ $parts == *" $1 "* ]]; }

# MARK: three hosts: s keeps the volume and the model, a and b are clients

ip link set lo up
for network in store answers; do ip link add "$network" type bridge && ip link set "$network" up; done
ip address add "$store.1/24" dev store
ip address add "$answers.1/24" dev answers
in_own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
number=1
for host in a b; do
    number=$((number + 1))
    unshare --net sleep infinity &
    holder[$host]=$!
    until_true 5 in_own_network "${holder[$host]}"
    for network in store answers; do
        ip link add "$network-$host" type veth peer name "$network" netns "${holder[$host]}"
        ip link set "$network-$host" master "$network" up
        (on $host ip address add "${!network}.$number/24" dev $network)
        (on $host ip link set $network up)
    done
    (on $host ip link set lo up)
done

mkdir "$work"/{disk,state,run,log,a,b}
truncate -s 1G "$work/image"
mkfs.ext4 -qF "$work/image"
mount -o loop "$work/image" "$work/disk" || exit 69
mount --bind "$work/state" /var/lib/glusterd
mount --bind "$work/run" /run/gluster
mount --bind "$work/log" /var/log/glusterfs
cat >"$work/glusterd.vol" <<VOLFILE
volume management
    type mgmt/glusterd
    option working-directory /var/lib/glusterd
    option transport-type socket
    option glusterd-sockfile /run/gluster/trial.socket
end-volume
VOLFILE
glusterd -N -f "$work/glusterd.vol" -l "$work/log/glusterd.log" -p "$work/glusterd.pid" &
volume() { gluster --glusterd-sock=/run/gluster/trial.socket --mode=script volume "$@" >>"$work/log/cli" 2>&1; }
if ! until_true 20 volume create trial "$store.1:$work/disk/brick" force || ! volume start trial; then
    tail -n 5 "$work/log/cli" "$work/log/glusterd.log" >&2
    exit 69
fi
for option in $volume_options; do volume set trial "${option%=*}" "${option#*=}" || echo "cannot set $option" >&2; done
mount_volume() { # host
    umount -l "$work/$1" 2>/dev/null || true
    # shellcheck disable=SC2086 # several flags
    (on "$1" glusterfs -N $mount_flags --volfile-server="$store.1" --volfile-id=trial -l "$work/log/fuse-$1" "$work/$1") 2>/dev/null &
    fuse[$1]=$!
    until_true 20 mountpoint -q "$work/$1"
}
mount_volume a || exit 69
mount_volume b || exit 69

# MARK: a model that takes its time, and what looks at the jobs

cat >"$work/trial.py" <<'PYTHON'
import concurrent.futures, datetime, glob, http.server, json, re, sys, time, urllib.request

# The model: says what it was asked, by whom and when. "n=7 delay=5 steps=2": answers after 5 s; first asks for a tool.
class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        ask = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = max(i for i, m in enumerate(ask["messages"]) if m["role"] == "user")
        text = json.dumps(ask["messages"][last])
        known = dict(re.findall(r"\b(n|delay|steps)=([\w.-]+)", text))
        step = sum(m["role"] == "assistant" for m in ask["messages"][last:])
        begin = time.time()
        wants_tool = step + 1 < int(known.get("steps", 1))
        if not wants_tool: time.sleep(float(known.get("delay", 0)))
        message = {"role": "assistant", "content": "answer"}
        if wants_tool:
            message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call", "type": "function",
                "function": {"name": "feeds", "arguments": "{}"}}]}
        with open(sys.argv[3], "a") as log:
            log.write(json.dumps({"n": known.get("n"), "step": step, "from": self.client_address[0], "begin": begin,
                                  "end": time.time()}) + "\n")
        body = json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0,
            "finish_reason": "tool_calls" if wants_tool else "stop", "message": message}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # whoever asked has died
    def log_message(self, *arguments): pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

def asked(path):
    try: return [json.loads(line) for line in open(path)]
    except FileNotFoundError: return []

def post(api, path, body):
    begin = time.time()
    request = urllib.request.Request(api + path, json.dumps(body).encode(),
        {"Content-Type": "application/json", "Prefer": "respond-async"})
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    return answer.get("job_id") or answer.get("report_id"), (time.time() - begin) * 1000

# Chats (or chats and reports in turns), each in a session of its own. Prints ids; milliseconds of the 202 to a file.
def submit(api, kind, count, prefix, words, parallel, times):
    def one(i):
        text = f"n={prefix}-{i} {words}"
        if kind == "mixed" and i % 2:
            return post(api, "/reports", {"user_id": f"u{i % 20}", "report_type": "custom", "custom_prompt": text})
        return post(api, "/chat", {"user_id": f"u{i % 20}", "message": text, "session_id": f"{prefix}-{i}"})
    with concurrent.futures.ThreadPoolExecutor(int(parallel)) as pool:
        done = list(pool.map(one, range(int(count))))
    ms = sorted(t for _, t in done)
    with open(times, "w") as out: out.write(f"median {ms[len(ms) // 2]:.0f} ms, 99 % {ms[len(ms) * 99 // 100]:.0f} ms")
    for job, _ in done: print(job)

def finals(path):
    lines = []
    for line in open(path, errors="replace"):
        try: line = json.loads(line)
        except ValueError: continue
        if line.get("t") == "status" and line.get("state") in ("completed", "failed", "cancelled"):
            lines.append(line["state"])
    return lines

# Waits until every job has a final line. Prints how many completed, and how many have one final line.
def settle(spool, ids, seconds):
    ids = set(open(ids).read().split())
    places = {path.rsplit("/", 1)[1][:-6]: path for path in glob.glob(f"{spool}/status/*/*/*.jsonl")}
    end = time.time() + float(seconds)
    waiting = {job for job in ids if job in places}
    while waiting and time.time() < end:
        waiting = {job for job in waiting if not finals(places[job])}
        time.sleep(0.2)
    time.sleep(2)  # a second ending may follow the first
    ended = {job: finals(places[job]) if job in places else [] for job in ids}
    print(sum(e[:1] == ["completed"] for e in ended.values()), sum(len(e) == 1 for e in ended.values()))

# Of the jobs with this prefix: how many were asked of the model, how many once, and the share of each client.
def shares(path, prefix):
    count, who = {}, {}
    for ask in asked(path):
        if not (ask["n"] or "").startswith(prefix + "-"): continue
        count[ask["n"], ask["step"]] = count.get((ask["n"], ask["step"]), 0) + 1
        who[ask["from"]] = who.get(ask["from"], 0) + 1
    share = ", ".join(f"{'a' if k.endswith('.2') else 'b'} {v}" for k, v in sorted(who.items()))
    print(len(count), sum(c == 1 for c in count.values()), share or "none")

# Whether one session's messages were asked one at a time, in the order of their numbers.
def order(path, prefix):
    asks = sorted((a for a in asked(path) if (a["n"] or "").startswith(prefix + "-")), key=lambda a: a["begin"])
    numbers = [int(a["n"].rsplit("-", 1)[1]) for a in asks]
    overlaps = sum(b["begin"] < a["end"] for a, b in zip(asks, asks[1:]))
    print(f"{len(asks)} asked, {sum(a > b for a, b in zip(numbers, numbers[1:]))} out of order, {overlaps} at once")

# Seconds from a moment to the first and the last orphan that a worker's log says it gave back.
def recovery(path, since, count, seconds):
    end = time.time() + float(seconds)
    while True:
        times = []
        for line in open(path, errors="replace"):
            if "an orphaned job goes on" in line:
                times.append(datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp() - float(since))
        times = [t for t in times if t > 0]
        if len(times) >= int(count) or time.time() > end: break
        time.sleep(0.1)
    print(f"first {min(times):.2f} s, all {len(times)} {max(times):.2f} s" if times else "none")

if sys.argv[1] == "model":
    host, port = sys.argv[2].split(":")
    Server((host, int(port)), Model).serve_forever()
else:
    globals()[sys.argv[1]](*sys.argv[2:])
PYTHON
asked=$work/asked
python3 "$work/trial.py" model "$answers.1:8492" "$asked" 2>"$work/log/model" &
export NANOBOT_MODEL=openai/x OPENAI_BASE_URL=http://$answers.1:8492/v1 OPENAI_API_KEY=x
tool() { python3 "$work/trial.py" "$@"; }

# MARK: the service's processes

spool=$work/a/home/spool
start_worker() { # host, threads
    (on "$1" "$binary" worker --home "$work/$1/home" --workers "$2") >"$work/log/worker-$1.out" 2>"$work/log/worker-$1" &
    worker[$1]=$!
    until_true 20 grep -q "nanobot works" "$work/log/worker-$1.out"
}
stop_worker() { # host: drained
    kill "${worker[$1]}" 2>/dev/null || true
    wait "${worker[$1]}" 2>/dev/null || true
}
kill_hard() { # process, without the shell's obituary
    kill -9 "$1" 2>/dev/null || true
    { wait "$1" || true; } 2>/dev/null
}
submit() { # kind, count, prefix, words for the model, how many at once: into the file ids
    (on a python3 "$work/trial.py" submit "$api" "$1" "$2" "$3" "$4" "$5" "$work/times") >"$work/ids"
}
all_ended_once() { # what, seconds
    local found
    found=$(tool settle "$spool" "$work/ids" "$2")
    expect "$1: jobs completed, jobs with one final line" "$(wc -l <"$work/ids") $(wc -l <"$work/ids")" "$found"
}
has_running() { [ "$(find "$spool/running" -name '*.json' | wc -l)" -ge "$1" ]; }

(on a "$binary" serve --no-workers --home "$work/a/home" --port 8491) >"$work/log/serve.out" 2>"$work/log/serve" &
if ! (on a curl -s --retry 200 --retry-delay 0 --retry-max-time 20 --retry-connrefused -o /dev/null "$api/ready"); then
    cat "$work/log/serve" >&2
fi
for user in $(seq 0 19); do
    (on a curl -s -o /dev/null "$api/users" -H 'Content-Type: application/json' -d "{\"user_id\":\"u$user\"}")
done

if wants start; then
    expect "serve on a, answer of /ready" 200 "$(on a curl -s -o /dev/null -w '%{http_code}' "$api/ready")"
    for host in a b; do
        began=$(date +%s%N)
        if start_worker $host 4; then
            row ok "worker on $host starts" "$((($(date +%s%N) - began) / 1000000)) ms"
        else
            row FAIL "worker on $host starts" "$(tail -n 1 "$work/log/worker-$host")"
        fi
        stop_worker $host
    done
fi

if wants jobs; then # serve on a, worker on b only
    start_worker b 8
    for round in $(seq 1 "$rounds"); do
        began=$(date +%s)
        submit mixed 200 "http$round" "delay=0" 8
        row - "202 on a, 8 at once, $round" "$(<"$work/times")"
        all_ended_once "100 chats, 100 reports on a, worker on b, $round" 120
        row - "seconds for all 200" "$(($(date +%s) - began))"
    done
    submit chats 50 alone "delay=0" 1
    row - "202 on a, one after the other" "$(<"$work/times")"
    all_ended_once "one after the other" 60
    : >"$work/ids"
    for i in $(seq 1 20); do
        for host in a b; do
            (on $host "$binary" submit chat --home "$work/$host/home" --user "u$((i % 20))" --session "cli$host$i" --json \
                "n=cli-$host$i") | jq -r .job_id >>"$work/ids"
        done
    done
    all_ended_once "40 chats by the command line on a and b" 60
    stop_worker b
fi

if wants race; then # both workers want the same jobs
    for round in $(seq 1 "$rounds"); do
        (on a "$binary" pause --home "$work/a/home") >/dev/null
        start_worker a 8
        start_worker b 8
        submit chats 200 "race$round" "delay=0" 8
        (on a "$binary" resume --home "$work/a/home") >/dev/null
        all_ended_once "race of two workers, $round" 120
        found=$(tool shares "$asked" "race$round")
        expect "race of two workers, $round: asked, asked once" "200 200" "${found% "${found#* * }"}"
        row - "race of two workers, $round: share" "${found#* * }"
        stop_worker a
        stop_worker b
    done
fi

if wants order; then # one session, submitted on a and b in turns
    start_worker a 4
    start_worker b 4
    for round in $(seq 1 "$rounds"); do
        : >"$work/ids"
        for i in $(seq 1 30); do
            if [ $((i % 2)) = 0 ]; then host=a; else host=b; fi
            (on $host "$binary" submit chat --home "$work/$host/home" --user u1 --session "order$round" --json \
                "n=order$round-$i delay=0.1") | jq -r .job_id >>"$work/ids"
        done
        all_ended_once "one session from a and b, $round" 60
        expect "one session from a and b, $round" "30 asked, 0 out of order, 0 at once" "$(tool order "$asked" "order$round")"
        row - "one session from a and b, $round: share" "$(tool shares "$asked" "order$round" | cut -d' ' -f3-)"
    done
    stop_worker a
    stop_worker b
fi

# A worker on b gets jobs that take a while; then something happens to b, and a worker on a goes on with them.
with_b_at_work() { # prefix, words for the model
    start_worker b 8
    submit chats 8 "$1" "$2" 8
    until_true 20 has_running 8 || row FAIL "$1: b takes the jobs" "it has $(find "$spool/running" -name '*.json' | wc -l)"
    start_worker a 8
    sleep 1.5
    expect "$1: a leaves alone what b has" 0 "$(grep -c "orphaned" "$work/log/worker-a" || true)"
}

if wants worker; then
    for round in $(seq 1 "$rounds"); do
        with_b_at_work "killed-worker-$round" "delay=5"
        since=$(date +%s.%N)
        kill_hard "${worker[b]}"
        row - "killed worker, $round: its jobs go on after" "$(tool recovery "$work/log/worker-a" "$since" 8 60)"
        all_ended_once "killed worker, $round" 60
        stop_worker a
    done
fi

if wants client; then
    for round in $(seq 1 "$rounds"); do
        with_b_at_work "dead-client-$round" "delay=5"
        since=$(date +%s.%N)
        kill_hard "${fuse[b]}"
        row - "dead client, $round: its jobs go on after" "$(tool recovery "$work/log/worker-a" "$since" 8 60)"
        all_ended_once "dead client, $round" 60
        stop_worker a
        kill_hard "${worker[b]}"
        mount_volume b
    done
fi

# b loses the volume, and nothing closes its connection; its worker and the model do not notice. Later it comes back.
cut_off() { # prefix, seconds the model takes, seconds to wait for the recovery
    with_b_at_work "$1" "delay=$2 steps=2"
    since=$(date +%s.%N)
    ip link set store-b down
    row - "$1: its jobs go on after" "$(tool recovery "$work/log/worker-a" "$since" 8 "$3")"
    ip link set store-b up
    all_ended_once "$1, b back again" $((3 * $2 + 60))
    found=$(tool shares "$asked" "$1")
    row - "$1: model calls, made once, by" "$found"
    stop_worker a
    submit chats 8 "$1-after" "delay=0" 8
    all_ended_once "$1: b works again" 90
    row - "$1: worker of b is" "$(kill -0 "${worker[b]}" 2>/dev/null && echo alive || echo gone)"
    stop_worker b
}
if wants network; then
    cut_off cut-off-defaults 15 120
    for option in network.ping-timeout server.tcp-user-timeout; do volume set trial $option 5; done
    for option in server.keepalive-time:2 server.keepalive-interval:1 server.keepalive-count:3; do
        volume set trial "${option%:*}" "${option#*:}"
    done
    mount_volume b
    for round in $(seq 1 "$rounds"); do cut_off "cut-off-5s-$round" 12 60; done
    volume set trial client.strict-locks on
    mount_volume b
    for round in $(seq 1 "$rounds"); do cut_off "cut-off-5s-strict-$round" 12 60; done
fi

checked=$(on a "$binary" check --home "$work/a/home" 2>&1) && state=clean || state=$(tail -n 1 <<<"$checked")
expect "nanobot check on a" clean "$state"
checked=$(on b "$binary" check --home "$work/b/home" 2>&1) && state=clean || state=$(tail -n 1 <<<"$checked")
expect "nanobot check on b" clean "$state"

# MARK: locks that are not the cluster's, or none at all

# A client that is its own server, without the part of GlusterFS that keeps locks.
mount_without_locks() { # mount point, folder
    mkdir -p "$1" "$2"
    printf 'volume store\n type storage/posix\n option directory %s\nend-volume\n' "$2" >"$1.vol"
    glusterfs -N -f "$1.vol" -l "$1.log" "$1" 2>/dev/null &
    until_true 20 mountpoint -q "$1"
}
# Two bindfs mounts of one folder: the kernel keeps the locks of each mount to itself.
if wants locks; then
    mount_without_locks "$work/nolocks" "$work/disk/nolocks"
    status=0
    said=$(timeout 20 "$binary" worker --home "$work/nolocks/home" --workers 2 2>&1) || status=$?
    if [ "$status" -ne 0 ] && [ "$status" -ne 124 ]; then row ok "no locks at all: the start is refused" "$status: ${said##*: }"
    else row FAIL "no locks at all: the start is refused" "$status: $said"; fi

    mkdir "$work"/disk/local "$work"/local-{a,b}
    for host in a b; do bindfs --no-allow-other "$work/disk/local" "$work/local-$host"; done
    for user in $(seq 0 19); do "$binary" create-user "u$user" --home "$work/local-a/home" >/dev/null; done
    "$binary" pause --home "$work/local-a/home" >/dev/null
    for i in $(seq 1 60); do
        "$binary" submit chat --home "$work/local-a/home" --user "u$((i % 20))" --session "s$i" --json "n=local-$i delay=1" |
            jq -r .job_id
    done >"$work/ids"
    started=0
    for host in a b; do
        (on $host "$binary" worker --home "$work/local-$host/home" --workers 8) >"$work/log/local-$host.out" \
            2>"$work/log/local-$host" &
        until_true 20 grep -q "nanobot works" "$work/log/local-$host.out" && started=$((started + 1))
    done
    row - "locks of each client only: workers that start" "$started of 2"
    "$binary" resume --home "$work/local-a/home" >/dev/null
    row - "locks of each client only: completed, one final line, of 60" "$(tool settle "$work/local-a/home/spool" "$work/ids" 60)"
    row - "locks of each client only: asked, asked once, share" "$(tool shares "$asked" local)"
fi

if [ -n "${NANOBOT_TRIAL_KEEP-}" ] && [ -d "$NANOBOT_TRIAL_KEEP" ]; then cp -a "$work/log" "$asked" "$work/a/home" "$NANOBOT_TRIAL_KEEP/"; fi
printf '\n%s\n' "$([ "$failures" -eq 0 ] && echo 'all held' || echo "$failures did not hold")"
[ "$failures" -eq 0 ]
