#!/usr/bin/env bash
# Installs what nanobot needs to be built and run (with --test: also what its checks need) on Debian or Ubuntu.
# Installs only what is missing and touches the network only then; running it again changes nothing.
#
#   deploy/setup.sh           for building and running
#   deploy/setup.sh --test    for deploy/test.sh as well
#
# Works as root or with sudo. Exit: 0 all there, 1 an installation failed, 2 usage, 69 something this script cannot
# install is missing (the Swift toolchain; a system without apt).
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@" # for those who say: sh FILE
set -euo pipefail

base=(
    ca-certificates git              # SwiftPM fetches the packages of Package.swift
    pkg-config libcurl4-openssl-dev  # the HTTP client stands on libcurl
    curl jq                          # quickstart and the examples of README.md
    python3 python3-pip              # deploy/*.py, deploy/fetch-docs-assets.sh
    tzdata                           # the scheduler reads /usr/share/zoneinfo
)
for_tests=(bubblewrap shellcheck python3-yaml python3-jsonschema python3-venv)

# Oldest Swift that reads Package.swift, and the one it is developed with.
oldest_swift=6.1
usual_swift=6.3
# Seconds another apt may hold the package database before we give up.
apt_lock_wait=300
# inotify instances of one user that all tests beside each other need, with room to spare.
inotify_instances=1024
is_for_tests=false

say() { printf 'setup: %s\n' "$*"; }
fail() {
    local status=$1
    shift
    printf 'setup: %s\n' "$*" >&2
    exit "$status"
}

wanted=("${base[@]}")
case "${1-}" in
    "") ;;
    --test)
        wanted+=("${for_tests[@]}")
        is_for_tests=true
        ;;
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail 2 "unknown argument: $1 (see deploy/setup.sh --help)" ;;
esac

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_missing() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        fail 69 "this system has no apt. Install the counterparts of: ${wanted[*]}"
    fi
    local missing=() package
    for package in "${wanted[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "all ${#wanted[@]} packages are installed"
        return
    fi
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail 69 "not root and no sudo. As root: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    say "installing: ${missing[*]}"
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o "DPkg::Lock::Timeout=$apt_lock_wait"
        -o Acquire::Retries=3)
    "${apt[@]}" update || say "apt-get update failed; trying with the package lists there are"
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
        fail 1 "apt-get could not install: ${missing[*]}"
}

# True when version $1 is at least $2.
is_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_swift() {
    command -v swift >/dev/null ||
        fail 69 "no Swift toolchain in PATH. Install Swift $usual_swift or newer: https://www.swift.org/install/linux/"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || fail 69 "'swift --version' names no version; is the toolchain whole?"
    is_at_least "$version" "$oldest_swift" ||
        fail 69 "Swift $version is too old, $usual_swift or newer is needed: https://www.swift.org/install/linux/"
    is_at_least "$version" "$usual_swift" || say "Swift $version is older than $usual_swift: not tested with it"
    say "Swift $version"
}

# Tests run services side by side, each with some inotify instances; the kernel's default of 128 for a user is then too few,
# and a test that waits for a notification would wait in vain. Where it may not be raised, the tests take their chance.
raise_watch_limit() {
    local limit=/proc/sys/fs/inotify/max_user_instances
    if [ "$(cat "$limit" 2>/dev/null || echo "$inotify_instances")" -ge "$inotify_instances" ]; then return; fi
    # shellcheck disable=SC2320
    if { echo "$inotify_instances" >"$limit"; } 2>/dev/null; then
        say "fs.inotify.max_user_instances raised to $inotify_instances for the tests, until the next boot"
    else
        say "fs.inotify.max_user_instances is $(cat "$limit"): tests beside each other may lack some (sysctl needs root)"
    fi
}

# promtool checks /metrics and the alert rules. Debian ships it inside the package of the server, which would start a service and
# bring many packages: only the one program is taken out of it. SystemTests and test.sh look for it in PATH, then here.
tools="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.build/tools"
install_promtool() {
    if command -v promtool >/dev/null || [ -x "$tools/promtool" ]; then return; fi
    say "taking promtool out of the package prometheus"
    local folder archive
    folder=$(mktemp -d)
    # apt-get drops its rights for a download where it can.
    chmod 755 "$folder"
    (cd "$folder" && apt-get -q -o Acquire::Retries=3 download prometheus) ||
        (apt_update && cd "$folder" && apt-get -q -o Acquire::Retries=3 download prometheus) ||
        fail 1 "apt-get could not download the package prometheus, which has promtool"
    archive=$(find "$folder" -name 'prometheus_*.deb' -print -quit)
    mkdir -p "$tools"
    dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$folder" ./usr/bin/promtool || fail 1 "the package prometheus has no promtool"
    mv "$folder/usr/bin/promtool" "$tools/promtool"
    rm -rf "$folder"
}

apt_update() {
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get -q -o "DPkg::Lock::Timeout=$apt_lock_wait" update
}

install_missing
check_swift
if [ "$is_for_tests" = true ]; then
    install_promtool
    raise_watch_limit
fi
