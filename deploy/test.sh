#!/usr/bin/env bash
# Installs what is missing and runs every check and test there is; CI runs this and nothing else.
#
#   deploy/test.sh [arguments for 'swift test', such as --filter SpoolTests]
#
# Order: scripts (bash -n, shellcheck, Python's grammar), documents made from others (openapi.json), the job schema
# against its examples, alert rules, build with the arrows between targets checked, clients generated from
# openapi.json on a tour of the service, build of the benchmarks, swift test for each test target. The last line counts the
# tests. Nothing is skipped silently: what a check needs and setup.sh could not install is a failure. Exit: 0 all passed,
# else the failing step's.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@" # for those who say: sh FILE
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Bounds, in seconds: a hang must end as a failure that says where.
build_limit=2400
test_limit=1500
end_grace=30

case "${1-}" in
    -h | --help)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
esac

current="start"
begun=$SECONDS
step() {
    current=$1
    begun=$SECONDS
    printf '\n== %s ==\n' "$1"
}
done_step() { printf '   %s: ok, %s s (%s s in all)\n' "$current" "$((SECONDS - begun))" "$SECONDS"; }
ended() {
    local status=$?
    [ "$status" -eq 0 ] || printf '\ntest.sh: failed in "%s" with status %s after %s s\n' "$current" "$status" "$SECONDS" >&2
}
trap ended EXIT

# Debian's Python modules belong to /usr/bin/python3; another python3 may come first in PATH.
python_with() {
    local candidate
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c "import $1" >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    printf 'test.sh: no python3 has the module %s; run deploy/setup.sh --test\n' "$1" >&2
    return 69
}

step "set-up"
deploy/setup.sh --test
done_step

step "scripts"
scripts=(deploy/*.sh deploy/trials/*.sh Benchmarks/*.sh .ci/run)
for script in "${scripts[@]}"; do bash -n "$script"; done
for script in deploy/*.py deploy/trials/*.py Benchmarks/*.py; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script"
done
shellcheck --severity=style "${scripts[@]}"
done_step

step "openapi.json is what docs/openapi.yaml says"
"$(python_with yaml)" deploy/openapi-json.py --check
done_step

step "job schema and examples"
"$(python_with jsonschema)" deploy/check-job-schema.py
done_step

# Also for SystemTests, which check /metrics with it.
export PATH="$PATH:$root/.build/tools"
step "alert rules"
promtool check rules deploy/prometheus/alerts.yml
done_step

step "build with tests (clean: several minutes)"
# The import check makes an undeclared import between our targets an error.
timeout --foreground --kill-after="$end_grace" "$build_limit" \
    swift build --build-tests --explicit-target-dependency-import-check error
NANOBOT_BINARY="$(swift build --show-bin-path)/nanobot"
export NANOBOT_BINARY
[ -x "$NANOBOT_BINARY" ] || swift build --product nanobot
done_step

step "generated clients read every answer"
python3 deploy/generated-clients.py "$NANOBOT_BINARY"
done_step

step "benchmarks build"
# A package of its own, which nobody else builds: without this it would follow the sources only when somebody measures.
NANOBOT_ONLY=Workers timeout --foreground --kill-after="$end_grace" "$build_limit" \
    swift build --package-path Benchmarks --scratch-path .build/benchmarks
done_step

# SystemTests start $NANOBOT_BINARY.
run_tests() {
    timeout --foreground --kill-after="$end_grace" "$test_limit" swift test --skip-build --disable-xctest --parallel "$@"
}
if [ "$#" -gt 0 ]; then
    step "swift test $*"
    run_tests "$@"
    done_step
    exit 0
fi
# One target after the other; the tests of a target run side by side. All thousand at once would share so few threads that tests
# of servers pass their time limits, and the whole takes four times as long.
# A target that fails does not keep the others from being tried; the last lines name every failed test.
passed=0
failures=""
log=$(mktemp)
for folder in Tests/*Tests; do
    target=${folder#Tests/}
    step "swift test $target"
    status=0
    run_tests --filter "^$target\\." 2>&1 | tee "$log" || status=$?
    count=$(sed -n 's/.*Test run with \([0-9]*\) tests\{0,1\} .* passed after.*/\1/p' "$log" | tail -n 1)
    if [ "$status" -eq 0 ] && [ "${count:-0}" -gt 0 ]; then
        passed=$((passed + count))
        done_step
    else
        failures+="$target (status $status): $(grep -aE '^[^ ]*(✘|Fatal error)|recorded an issue' "$log" | head -n 20 || true)"$'\n'
        printf '   %s: FAILED, status %s, %s tests passed\n' "$current" "$status" "${count:-0}"
    fi
done
rm -f "$log"
[ -z "$failures" ] || {
    printf '\nFailed:\n%s' "$failures" >&2
    exit 1
}
printf '\n%s tests passed in %s s\n' "$passed" "$SECONDS"
