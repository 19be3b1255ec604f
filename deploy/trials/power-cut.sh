#!/bin/bash
# Cuts the power under a working nanobot, at many moments, and looks at what is left each time.
#
#   sudo deploy/trials/power-cut.sh [ext4|xfs] [seconds of work] [folder] [options of replay.py]
#   sudo deploy/trials/power-cut.sh xfs 120 /var/tmp/power-cut --points 300
#
# 1. A virtual machine (qemu, no KVM needed, no network) starts Debian's cloud kernel with nanobot in its initramfs. Its
#    data disk lies under dm-log-writes, which writes every block that reaches the disk into a log, in the order in which
#    the disk was told to make it durable. guest.py works there: commands, HTTP, dropped files, a kill -9. Behind every
#    acknowledgement it puts a mark into the same log.
# 2. replay.py, on this machine, builds from the log what the disk holds if the power goes at a given moment, mounts it,
#    lets nanobot start on it and finish, and looks for everything that was acknowledged before that moment.
#
# The log stays in the folder: one disk again with replay.py --only POINT:VARIANT (the command line is printed), to look
# at by hand with look.py, and as a control, --without-log takes nanobot's shared log away: then jobs must be missing.
#
# Needs root (loop mounts), Debian or Ubuntu with qemu-system-x86, busybox-static, dmsetup, e2fsprogs or xfsprogs,
# python3; the kernel package is only downloaded and unpacked. NANOBOT names the binary (default .build/debug/nanobot).
# The end status is 0 if nothing was lost, 1 if something was, 2 if the trial itself could not be made.
# shellcheck disable=SC2086 # lists of packages and files are meant to be split
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
fs=${1:-ext4}
seconds=${2:-90}
work=${3:-/tmp/nanobot-power-cut}
shift $(($# > 3 ? 3 : $#))
nanobot=${NANOBOT:-$here/../../.build/debug/nanobot}

fail() {
    echo "power-cut: $*" >&2
    exit 2
}

[ "$(id -u)" = 0 ] || fail "needs root, for loop mounts"
[ -x "$nanobot" ] || fail "no binary at $nanobot: set NANOBOT, or build first"
nanobot=$(realpath "$nanobot")
mkfs=$(command -v "mkfs.$fs") || fail "no mkfs.$fs"
missing=
command -v qemu-system-x86_64 >/dev/null || missing="$missing qemu-system-x86"
command -v dmsetup >/dev/null || missing="$missing dmsetup"
busybox=$(command -v busybox) || missing="$missing busybox-static"
python=$(readlink -f /usr/bin/python3) && [ -x "$python" ] || missing="$missing python3"
[ -z "$missing" ] || fail "first: apt-get install --no-install-recommends$missing"

mkdir -p "$work"
work=$(cd "$work" && pwd)
cd "$work"

# The kernel and its modules, unpacked into the work folder; nothing is installed.
if ! ls kernel/boot/vmlinuz-* >/dev/null 2>&1; then
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1)
    [ -n "$package" ] || fail "apt knows no linux-image-cloud-amd64"
    apt-get download "$package"
    dpkg -x "$package"_*.deb kernel
fi
vmlinuz=$(find kernel/boot -name 'vmlinuz-*' | head -n 1)
version=${vmlinuz##*/vmlinuz-}

# The initramfs: programs with the libraries they need at the same paths as here, Python's library, a few modules.
root=$work/root
rm -rf "$root"
mkdir -p "$root"/{bin,sbin,proc,sys,dev,tmp,mnt,run,etc,usr/bin,usr/share}
cp "$busybox" "$root/bin/busybox"
programs="$python $(command -v dmsetup) $mkfs"
cp "$nanobot" "$root/bin/nanobot"
strip -g "$root/bin/nanobot" 2>/dev/null || true
stdlib=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
mkdir -p "$root$stdlib"
tar -C "$stdlib" --exclude=test --exclude=dist-packages --exclude=site-packages --exclude=__pycache__ \
    --exclude=idlelib --exclude=tkinter --exclude='config-*' -cf - . | tar -C "$root$stdlib" -xf -
for program in $programs; do
    mkdir -p "$root$(dirname "$program")"
    cp -L "$program" "$root$program"
done
ln -sf "$python" "$root/usr/bin/python3"
[ -e "$root/sbin/dmsetup" ] || ln -s "$(command -v dmsetup)" "$root/sbin/dmsetup"
ln -sf "$mkfs" "$root/sbin/mkfs.data"
libraries=$(for file in $programs "$nanobot" "$stdlib"/lib-dynload/*.so; do
    ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true
done | sort -u)
for library in $libraries; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp -rL /usr/share/zoneinfo "$root/usr/share/"
echo 'root:x:0:0:root:/tmp:/bin/sh' >"$root/etc/passwd"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
[ ! -e /etc/mke2fs.conf ] || cp /etc/mke2fs.conf "$root/etc/"
mkdir -p "$root/lib/modules/$version/kernel"
for module in block virtio md lib crypto xfs nvme; do
    for folder in kernel/lib/modules/"$version"/kernel/{drivers/"$module","$module",fs/"$module",arch/x86/"$module"}; do
        [ ! -d "$folder" ] || (cd "kernel/lib/modules/$version" && find "${folder#kernel/lib/modules/"$version"/}" -name '*.ko*' |
            tar -cf - -T -) | tar -C "$root/lib/modules/$version" -xf -
    done
done
cp kernel/lib/modules/"$version"/modules.{builtin,order} "$root/lib/modules/$version/"
"$busybox" depmod -b "$root" "$version"
cp "$here/guest.py" "$root/guest.py"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
# The machine's only process besides what it starts: the parts, then the work, then off.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in virtio_pci virtio_blk dm-mod dm-log-writes xfs; do modprobe "$module"; done
ip link set lo up
for word in $(cat /proc/cmdline); do
    case $word in trial.*=*) export "${word#trial.}" ;; esac
done
python3 /guest.py || echo "guest: FAILED"
poweroff -f
INIT
chmod 755 "$root/init"
(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >initramfs

# A run of the machine: disks of its own, so that the log begins with an empty disk.
run() {
    rm -f data.img log.img
    truncate -s 320M data.img
    truncate -s 8G log.img
    timeout $((seconds * 4 + 600)) nice -n 15 qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m 2560 -net none -nodefaults -display none \
        -serial stdio -no-reboot -kernel "$vmlinuz" -initrd initramfs \
        -append "console=ttyS0 quiet panic=-1 trial.fs=$fs trial.seconds=$seconds" \
        -drive file=data.img,if=virtio,format=raw,cache=unsafe -drive file=log.img,if=virtio,format=raw,cache=unsafe |
        tee console.txt
    grep -q 'guest: done' console.txt || fail "the machine did not come to its end: see $work/console.txt"
}

run
echo "replay: replay.py --log $work/log.img --fs $fs --size $(stat -c %s data.img) --nanobot $nanobot $*"
exec nice -n 15 "$python" "$here/replay.py" --log log.img --fs "$fs" --size "$(stat -c %s data.img)" --nanobot "$nanobot" "$@"
