#!/usr/bin/env bash
# The tests of the spool and the worker pool under ThreadSanitizer, without the web stack: about two minutes.
#
#   deploy/thread-sanitizer.sh [arguments for 'swift test', such as --filter WorkersTests]
#
# Exit: 0 no race and all tests passed, 66 a race, else what 'swift test' says.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@" # for those who say: sh FILE
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export NANOBOT_ONLY=Spool,Workers
export TSAN_OPTIONS="suppressions=$PWD/deploy/tsan.supp exitcode=66 halt_on_error=1"
scratch=${NANOBOT_SCRATCH:-.build-tsan}
swift build --build-tests --sanitize=thread --scratch-path "$scratch"
swift test --skip-build --sanitize=thread --scratch-path "$scratch" --disable-xctest "$@"
