#!/usr/bin/env bash
# From a fresh checkout to a finished report: installs what is missing, builds, starts the service, makes the user "demo"
# with a watchlist, submits a report over HTTP, polls it and prints it. The service then stays in the foreground.
#
#   deploy/quickstart.sh                 build (release), serve and try; Ctrl-C ends the service
#   deploy/quickstart.sh --once          the same, then stop the service; exit 0 only if the report completed
#     --port N                           port to serve on; default: 8000, or the next free one
#     --debug-build                      a debug build: sooner built, slower to run
#
# Environment: NANOBOT_BINARY=FILE uses that binary and builds nothing. NANOBOT_MODEL and keys reach the service as they
# are, so OPENAI_API_KEY=… NANOBOT_MODEL=openai/gpt-4o-mini deploy/quickstart.sh writes the report with that model.
# Everything it makes stands in .nanobot/ and spool/ of the checkout, ignored by git. It can be run again, also while
# another one runs. Exit: 0 ok, 1 something failed, 2 usage, 69 something it cannot install is missing.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@" # for those who say: sh FILE
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
home=.nanobot
user=demo

# Bounds, in seconds unless said otherwise.
ready_limit=60
report_limit=600
stop_limit=45
request_limit=90
port_tries=50  # ports
log_tail=40    # lines
build_space=4  # GiB

json=(-H "Content-Type: application/json")

once=false
build=release
port=""

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0"; }
say() { printf '%s\n' "$*"; }
step() { printf '\n== %s (%s s) ==\n' "$*" "$SECONDS"; }
fail() {
    printf '\nquickstart: %s\n' "$*" >&2
    exit 1
}
misuse() {
    printf 'quickstart: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case "$1" in
        --once) once=true ;;
        --debug-build) build=debug ;;
        --port)
            [ $# -ge 2 ] || misuse "--port needs a number"
            port=$2
            shift
            ;;
        --port=*) port=${1#--port=} ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) misuse "unknown argument: $1" ;;
    esac
    shift
done
if [ -n "$port" ]; then
    { [[ $port =~ ^[0-9]{1,5}$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65535 ]; } || misuse "--port: 1 to 65535"
fi

server=""
log=""
work=""

show_log() {
    [ -s "$log" ] || return 0
    printf '\n--- the last lines of %s ---\n' "$log" >&2
    tail -n "$log_tail" "$log" >&2
}

is_running() { [ -n "$server" ] && kill -0 "$server" 2>/dev/null; }

# Ends the service this script started, and no other: 0 when it ended by itself after SIGTERM.
stop_server() {
    is_running || return 0
    kill -TERM "$server" 2>/dev/null || return 0
    local end=$((SECONDS + stop_limit))
    while is_running; do
        if [ "$SECONDS" -ge "$end" ]; then
            say "the service did not end within $stop_limit s and is killed; its jobs resume at the next start"
            kill -KILL "$server" 2>/dev/null || true
            wait "$server" 2>/dev/null || true
            server=""
            return 1
        fi
        sleep 0.2
    done
    wait "$server" 2>/dev/null || true
    server=""
}

finish() {
    local status=$?
    trap - EXIT INT TERM
    stop_server || status=1
    if [ -n "$work" ]; then rm -rf "$work"; fi
    # 130 and 143: somebody ended us, nothing went wrong.
    if [ "$status" -ne 0 ] && [ "$status" -lt 130 ]; then show_log; fi
    exit "$status"
}
trap finish EXIT
trap 'printf "\nending the service\n"; exit 130' INT
trap 'exit 143' TERM

# MARK: the binary

get_binary() {
    if [ -n "${NANOBOT_BINARY-}" ]; then
        [ -x "$NANOBOT_BINARY" ] || fail "NANOBOT_BINARY=$NANOBOT_BINARY is no program"
        binary=$NANOBOT_BINARY
        return
    fi
    local free
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ "$free" -lt "$build_space" ] && [ ! -d .build ]; then
        say "note: $free GiB are free here; a build takes about $build_space"
    fi
    step "building nanobot ($build; the first time takes several minutes)"
    local arguments=(build -c "$build" --product nanobot)
    # One file that runs without the toolchain; the linker's part of it is not worth the wait in a debug build.
    if [ "$build" = release ]; then arguments+=(--static-swift-stdlib); fi
    swift "${arguments[@]}" || fail "the build failed; what the compiler said stands above"
    local built
    built="$(swift "${arguments[@]}" --show-bin-path)/nanobot"
    # A copy, put in place by rename: building again does not touch the file a running service was started from.
    mkdir -p "$home/bin"
    cp "$built" "$home/bin/.nanobot.$$"
    mv "$home/bin/.nanobot.$$" "$home/bin/nanobot"
    binary=$home/bin/nanobot
}

# MARK: the service

# The subshell's descriptor closes with it.
is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A call of the API: METHOD PATH [curl arguments]. Prints the body; fails when curl does.
call() {
    local method=$1 path=$2
    shift 2
    curl -sS --noproxy '*' --max-time "$request_limit" "${auth[@]}" -X "$method" "$@" "http://127.0.0.1:$port$path"
}

status_of() { call "$@" -o "$work/body" -w '%{http_code}'; }

# Starts the service on $port. 0: it answers as ready; 1: it ended (see the log).
try_port() {
    log="$home/log/quickstart-$port.log"
    mkdir -p "$home/log"
    "$binary" serve --spool spool --home "$home" --host 127.0.0.1 --port "$port" >"$log" 2>&1 </dev/null &
    server=$!
    local end=$((SECONDS + ready_limit)) status=""
    while is_running; do
        status=$(status_of GET /ready --max-time 5 2>/dev/null) || status=""
        if [ "$status" = 200 ]; then return 0; fi
        if [ "$SECONDS" -ge "$end" ]; then
            fail "the service is not ready after $ready_limit s: $(cat "$work/body" 2>/dev/null || echo no answer)"
        fi
        sleep 0.2
    done
    wait "$server" 2>/dev/null || true
    server=""
    return 1
}

start_service() {
    if [ -n "$port" ]; then
        is_free "$port" || fail "port $port is in use; leave --port out to take the next free one"
        try_port || fail "the service ended at once"
        return
    fi
    local tried=0
    port=7999
    while [ "$tried" -lt "$port_tries" ]; do
        tried=$((tried + 1))
        port=$((port + 1))
        if ! is_free "$port"; then
            say "port $port is in use, trying the next"
            continue
        fi
        if try_port; then return; fi
        # Somebody took the port in between: on to the next. Anything else would fail there as well.
        grep -qi 'taken by another process\|address already in use' "$log" || fail "the service ended at once"
    done
    fail "no free port from 8000 to $port"
}

# MARK: the tour

make_user() {
    local status
    status=$(status_of POST /users "${json[@]}" -d "{
        \"user_id\": \"$user\",
        \"initial_data\": {
            \"watchlist\": {\"stocks\": [\"AAPL\", \"NVDA\", \"TSLA\", \"0700.HK\"], \"sectors\": [\"semiconductors\"]},
            \"preferences\": {\"language\": \"en\", \"report_time\": \"09:00\"}
        }
    }")
    case "$status" in
        201) say "made the user \"$user\" with a watchlist" ;;
        409) say "the user \"$user\" is there from an earlier run" ;;
        *) fail "POST /users answered $status: $(cat "$work/body")" ;;
    esac
    # The demo user's own data folder: quotes are read from there. The name says in every report what they are.
    local data="$home/workspaces/$user/data"
    [ -d "$data" ] || fail "the workspace of \"$user\" has no folder data/"
    install -m 0600 deploy/sample-data/quotes.csv "$data/quotes-sample.csv"
    say "put sample quotes (made up, see deploy/sample-data) into $data/quotes-sample.csv"
}

submit_report() {
    local status
    status=$(status_of POST /reports "${json[@]}" -d "{\"user_id\": \"$user\", \"report_type\": \"daily\"}")
    [ "$status" = 202 ] || fail "POST /reports answered $status: $(cat "$work/body")"
    report=$(jq -r .report_id "$work/body")
    say "202: report $report"
}

poll_report() {
    local end=$((SECONDS + report_limit)) state progress last="" http
    while [ "$SECONDS" -lt "$end" ]; do
        http=$(status_of GET "/reports/$report?wait=10") || fail "the service does not answer"
        [ "$http" = 200 ] || fail "GET /reports/$report answered $http: $(cat "$work/body")"
        state=$(jq -r .status "$work/body")
        progress=$(jq -r .progress "$work/body")
        if [ "$state $progress" != "$last" ]; then say "$state, $progress %"; fi
        last="$state $progress"
        case "$state" in
            completed) return ;;
            failed | cancelled) fail "the report is $state: $(jq -r .error_message "$work/body")" ;;
        esac
        # A long poll answers early when something changes: do not ask in a tight loop.
        sleep 0.3
    done
    fail "the report is still $state after $report_limit s"
}

print_report() {
    local status
    status=$(status_of GET "/reports/$report" -H 'Accept: text/markdown')
    [ "$status" = 200 ] || fail "the report's text: $status $(cat "$work/body")"
    say "----------------------------------------------------------------------"
    cat "$work/body"
    printf '\n----------------------------------------------------------------------\n'
}

where_next() {
    cat <<END

The service listens on http://127.0.0.1:$port (log: $log). From here:

  chat        curl -s http://127.0.0.1:$port/chat -H 'Content-Type: application/json' \\
                -d '{"user_id":"$user","message":"How is my watchlist doing?"}'
  API pages   http://127.0.0.1:$port/docs
  by hand     cp spool/examples/report.json spool/incoming/ && sleep 1 && cat spool/receipts/report.json
  commands    export NANOBOT_HOME=$root/$home NANOBOT_SPOOL=$root/spool
              $binary list-users
  the report  curl -s -H 'Accept: text/html' http://127.0.0.1:$port/reports/$report
  its files   $home/workspaces/$user/reports/
  a real model, schedules, all calls: README.md
END
}

deploy/setup.sh
# Users' conversations and keys come to stand here.
install -d -m 0700 "$home"
work=$(mktemp -d "$home/.quickstart.XXXXXX")
get_binary

auth=()
token=${NANOBOT_ADMIN_TOKEN-}
token_file=${NANOBOT_ADMIN_TOKEN_FILE-$home/admin-token}
if [ -z "$token" ] && [ -r "$token_file" ]; then token=$(tr -d '[:space:]' <"$token_file"); fi
if [ -n "$token" ]; then
    # By file: arguments can be seen by every user of the machine.
    (umask 077 && printf 'Authorization: Bearer %s\n' "$token" >"$work/auth")
    auth=(-H "@$work/auth")
fi

if [ -z "${NANOBOT_DOCS_ASSETS-}" ]; then
    if deploy/fetch-docs-assets.sh "$home/docs-assets"; then
        export NANOBOT_DOCS_ASSETS="$root/$home/docs-assets"
    else
        say "going on without: /docs and /redoc are plain pages"
    fi
fi

step "starting the service"
start_service
say "ready on http://127.0.0.1:$port"
step "making a user"
make_user
step "submitting a report"
submit_report
poll_report
print_report

if $once; then
    step "stopping the service"
    stop_server || exit 1
    say "done: the report completed"
    exit 0
fi
where_next
printf '\nCtrl-C ends the service. Its log follows.\n\n'
tail -n 0 -F --pid="$server" "$log" 2>/dev/null &
status=0
wait "$server" || status=$?
server=""
[ "$status" -eq 0 ] || fail "the service ended with status $status"
