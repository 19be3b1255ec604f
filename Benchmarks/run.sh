#!/usr/bin/env bash
# All figures of docs/benchmarks.md, one after the other: builds spool-bench (release), makes a journalled ext4 image on a
# loop device if it is run as root and --root is not given, installs the peers it can, prints tables.
#
#   Benchmarks/run.sh [--root DIR] [--quick]
#
# Results are only comparable within one run. Exit: 0, or the first failing step's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"

root=""
waiting=1000000
rounds=3
while [ $# -gt 0 ]; do
    case "$1" in
        --root)
            root=$2
            shift
            ;;
        --quick)
            waiting=50000
            rounds=1
            ;;
        *)
            sed -n '2,8s/^# \{0,1\}//p' "$0"
            exit 2
            ;;
    esac
    shift
done

work=$(mktemp -d)
mounted=""
finish() {
    [ -z "$mounted" ] || umount "$mounted"
    rm -rf "$work"
}
trap finish EXIT

if [ -z "$root" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "run.sh: not root, so no file system of its own: give --root DIR on a journalled file system" >&2
        exit 2
    fi
    fallocate -l 12G "$work/image"
    mkfs.ext4 -q -F "$work/image"
    mkdir "$work/mount"
    mount -o loop "$work/image" "$work/mount"
    mounted=$work/mount
    root=$mounted
fi

NANOBOT_ONLY=Workers swift build -c release
bench=$(NANOBOT_ONLY=Workers swift build -c release --show-bin-path)/spool-bench

if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q beanstalkd redis-server postgresql >/dev/null || true
fi
python3 -m venv "$work/python"
"$work/python/bin/pip" -q install redis greenstalk 'psycopg[binary]' huey dirq persist-queue

echo "== beside other queues, jobs per second =="
"$work/python/bin/python" peers.py --root "$root" --spool-bench "$bench" --rounds "$rounds" 2>"$work/log"
echo "== submit → started on an idle pool =="
"$bench" pickup --root "$root"
echo "== through a pool of 16 workers =="
"$bench" pool --root "$root" --clients 8 --jobs 8000
echo "== scale =="
"$bench" scale --root "$root" --waiting "$waiting"
echo "== fairness =="
"$bench" fair --root "$root" --waiting 100000
