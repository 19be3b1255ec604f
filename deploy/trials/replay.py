"""Builds from a log of dm-log-writes what a disk holds after a power cut, and looks for what nanobot had acknowledged.

    replay.py --log log.img --fs ext4 --size BYTES --nanobot BINARY [--points N] [--seed N] [--only POINT:VARIANT] [--keep]

A *point* is a place in the log. The *strict* disk at a point holds the log's writes up to there and nothing behind it:
the log has a write only once the disk was asked to make it durable (FLUSH, FUA) and has said so. The *mixed* disk also holds
some of the writes the disk had already taken by then and was not yet asked to make durable, each one whole, cut off at a
4 KiB page, or not at all, as the seed decides: disks may write them in any order. Points are taken behind every FLUSH, FUA and mark; points
without a write between them have the same disk, and the last one of them, with the most marks, stands for them.

At each point: mount (which replays the file system's journal), start `nanobot serve`, ask it for every job whose mark
stands before the point, let it finish, stop it, read the status files, run `nanobot check`.
"""

import argparse
import calendar
import collections
import glob
import http.client
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
PAGE = 4096
FINAL = ("completed", "failed", "cancelled")

Entry = collections.namedtuple("Entry", "sector count flags offset text")


def read_log(path):
    """All entries, and the bytes of a sector of the log."""
    with open(path, "rb") as file:
        magic, version, number, size = struct.unpack("<QQQI", file.read(28))
        if magic != MAGIC or version != 1:
            sys.exit("replay: no log of dm-log-writes, version 1")
        entries, place = [], size
        for _ in range(number):
            file.seek(place)
            sector, count, flags, length = struct.unpack("<QQQQ", file.read(32))
            text = file.read(length).decode() if flags & MARK else ""
            entries.append(Entry(sector, count, flags, place + size, text))
            place += size + (0 if flags & (MARK | DISCARD) else count * size)
    return entries, size


def has_data(entry):
    return entry.count > 0 and not entry.flags & MARK


class Disk:
    """The disk as it is at a point that only moves forward, in a sparse file that is never mounted itself."""

    def __init__(self, path, size, log, entries, sector):
        self.file = open(path, "w+b")
        self.file.truncate(size)
        self.path, self.log, self.entries, self.sector = path, open(log, "rb"), entries, sector
        self.place = 0

    def write(self, file, entry, length=None):
        where, length = entry.sector * self.sector, entry.count * self.sector if length is None else length
        if entry.flags & DISCARD:
            # What a disk gives back for discarded blocks is its own business: zeros here.
            data = bytes(length)
        else:
            self.log.seek(entry.offset)
            data = self.log.read(length)
        file.seek(where)
        file.write(data)

    def go(self, point):
        """Applies the entries before index `point`."""
        for entry in self.entries[self.place:point]:
            if has_data(entry):
                self.write(self.file, entry)
        self.place = max(self.place, point)
        self.file.flush()

    def copy(self, path, extra, rng):
        """A disk to try: this one, and with `extra` some of those entries."""
        subprocess.run(["cp", "--sparse=always", self.path, path], check=True)
        with open(path, "r+b") as file:
            for entry in extra:
                chance = rng.random()
                length = entry.count * self.sector
                if chance < 0.45:
                    self.write(file, entry)
                elif chance < 0.6 and length > PAGE and not entry.flags & DISCARD:
                    self.write(file, entry, rng.randrange(length // PAGE) * PAGE)


def window(entries, point):
    """The writes the disk had taken at this point and was not yet asked to make durable, as far as the log tells: those
    that the next FLUSH brings. An FUA write in between has an order of its own, so nothing is taken from there."""
    found = []
    for entry in entries[point:]:
        if entry.flags & FUA:
            return []
        if entry.flags & FLUSH:
            return found
        if has_data(entry):
            found.append(entry)
    return []


def points(entries):
    """Indices: the entries before one are on the disk. From the mark "start" on."""
    begin = next(index for index, entry in enumerate(entries) if entry.text == "start")
    found, dirty = [], False
    for index in range(begin, len(entries)):
        entry = entries[index]
        if has_data(entry):
            dirty = True
        if entry.flags & (FLUSH | FUA | MARK):
            if dirty or not found:
                found.append(index + 1)
            else:
                found[-1] = index + 1
            dirty = False
    return found


class Service:
    def __init__(self, options, home):
        self.home, self.began = home, time.time()
        env = {"PATH": os.environ["PATH"], "NANOBOT_HOME": home, "HOME": "/nonexistent", "TZ": "UTC"}
        self.log = open(f"{options.work}/serve.log", "w")
        self.process = subprocess.Popen(
            [options.nanobot, "serve", "--port", "0"], env=env, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if match is None:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"does not start: {open(self.log.name).read()[-500:]}")
        self.connection = http.client.HTTPConnection("127.0.0.1", int(match.group(1)), timeout=30)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data else None

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed after 60 s"


def names(folder):
    """Job files in a folder of the spool: id to name."""
    found = {}
    for path in glob.glob(f"{folder}/**/*.json*", recursive=True):
        match = re.search(r"\.([0-9a-f-]{36})(\.dead)?\.json(\.fin)?$", path)
        if match:
            found.setdefault(match.group(1), []).append(path)
    return found


def records(spool):
    """Status files: id to its lines, without those that do not check or parse."""
    found = {}
    for path in glob.glob(f"{spool}/status/*/*/*.jsonl"):
        lines = []
        with open(path, "rb") as file:
            for line in file.read().split(b"\n")[:-1]:
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    pass
        found[os.path.basename(path)[:-6]] = lines
    return found


def glued(path):
    """Lines of a file of JSON lines that cannot be read because zeros stand before them in the same line: the file system
    had stored the file's size and not its data, and something was written behind the zeros."""
    with open(path, "rb") as file:
        for line in file.read().split(b"\n"):
            rest = line.lstrip(b"\0")
            if rest and rest != line:
                try:
                    yield json.loads(rest)
                except ValueError:
                    pass


def seconds_of(moment):
    whole, _, rest = moment.rstrip("Z").partition(".")
    return float(f"0.{rest or 0}") + calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))


def examine(options, mount, marks):
    """Faults found on a mounted disk, as (kind, words), and a few counts."""
    faults, facts = [], collections.Counter()
    home, spool = f"{mount}/home", f"{mount}/home/spool"
    acknowledged, promised = {}, collections.defaultdict(dict)
    for text in marks:
        what, *rest = text.split(":")
        if what in ("queued", "ended", "later", "cancelling"):
            acknowledged[rest[0]] = text
        if rest:
            promised[what][rest[0]] = rest[1:]
    if not os.path.isdir(home):
        return [("lost", f"{len(acknowledged)} jobs: there is no home")] if acknowledged else [], facts
    tomorrow = set(promised["later"]) | set(promised["cancelling"])
    began = time.time()
    if options.without_log:
        for path in glob.glob(f"{spool}/log/*/*.wal"):
            os.remove(path)
    service = Service(options, home)
    try:
        for identifier, text in acknowledged.items():
            status, _ = service.get(f"/jobs/{identifier}")
            if status == 404:
                faults.append(("lost", f"{text}: unknown after the start"))
            elif status != 200:
                faults.append(("answer", f"{text}: {status}"))
        for user in promised["user"]:
            if service.get(f"/users/{user}")[0] != 200:
                faults.append(("user lost", user))
        for user, (stock,) in promised["stock"].items():
            status, answer = service.get(f"/users/{user}")
            if status == 200 and stock not in answer["watchlist"]["stocks"]:
                faults.append(("watchlist lost", f"{user} {stock}"))
        for user, (identifier,) in promised["schedule"].items():
            status, answer = service.get(f"/schedule?user_id={user}")
            if status == 200 and identifier not in [entry["id"] for entry in answer["schedules"]]:
                faults.append(("schedule lost", f"{user} {identifier}"))
        deadline = time.time() + options.patience
        while True:
            waiting = [identifier for folder in ("queued", "running") for identifier, paths in names(f"{spool}/{folder}").items()
                       if int(os.path.basename(paths[0]).split(".")[0]) < (began + 3600) * 1000]
            dropped = glob.glob(f"{spool}/incoming/*.json") + glob.glob(f"{spool}/admitting/*")
            if not waiting and not dropped:
                break
            if time.time() > deadline:
                faults.append(("stuck", f"{len(waiting)} jobs, {len(dropped)} dropped files, first {(waiting + dropped)[0]}"))
                break
            time.sleep(0.05)
    finally:
        status = service.stop()
    if status != 0:
        faults.append(("stop", f"serve ended with {status}"))
    with open(f"{options.work}/serve.log") as file:
        for line in file:
            restored = re.search(r"restored=(\d+)", line)
            if restored and restored.group(1) != "0":
                facts["disks on which the log restored something"] += 1
                facts["jobs restored from the log"] += int(restored.group(1))
            elif " info " not in line:
                facts["log: " + re.sub(r"[0-9a-f]{6,}[0-9a-f-]*|\d+", "#", line.split(" ", 1)[1].strip())[:100]] += 1

    found = records(spool)
    folders = {folder: names(f"{spool}/{folder}") for folder in ("queued", "running", "done", "dead")}
    for identifier, lines in found.items():
        states = [line for line in lines if line.get("t") == "status"]
        finals = collections.Counter(line["run"] for line in states if line["state"] in FINAL)
        if any(number > 1 for number in finals.values()):
            faults.append(("ended twice", f"{identifier} {acknowledged.get(identifier, 'not acknowledged')}"))
        places = [path for folder in folders.values() for path in folder.get(identifier, [])]
        if len(places) > 1:
            faults.append(("two places", f"{identifier} {places}"))
        hidden = list(glued(glob.glob(f"{spool}/status/*/*/{identifier}.jsonl")[0]))
        for line in hidden:
            what = line.get("t") if line.get("t") != "status" else line["state"]
            faults.append((f"unreadable durable line ({what})", f"{identifier} {acknowledged.get(identifier, 'not acknowledged')}"))
        if sum(1 for line in states + hidden if line.get("t") == "status" and line["state"] in FINAL and line["run"] == 1) > 1:
            faults.append(("ended twice, the first one unreadable", f"{identifier} {acknowledged.get(identifier)}"))
        steps = collections.Counter(line["step"] for line in lines + hidden if line.get("t") == "model")
        if any(number > 1 for number in steps.values()):
            faults.append(("model call repeated", f"{identifier} {acknowledged.get(identifier, 'not acknowledged')}"))
        facts["jobs"] += 1
        facts["resumed"] += sum(1 for line in states if line["state"] == "running" and line["epoch"] > 1) > 0
    for path in glob.glob(f"{home}/workspaces/*/**/*.jsonl", recursive=True):
        for line in glued(path):
            faults.append((f"unreadable line in {os.path.basename(os.path.dirname(path))}/", f"{path}: {json.dumps(line)[:200]}"))
    for identifier, text in acknowledged.items():
        states = [line for line in found.get(identifier, []) if line.get("t") == "status"]
        if not states:
            faults.append(("lost", f"{text}: no record at the end"))
            continue
        last = states[-1]
        if identifier in promised["cancelled"]:
            wanted = ("cancelled",)
        elif identifier in promised["cancelling"]:
            wanted = ("cancelled", "queued")
        elif identifier in promised["later"]:
            wanted = ("queued",)
        else:
            wanted = ("completed",)
        if last["state"] not in wanted:
            faults.append(("wrong end", f"{text}: {last['state']} {json.dumps(last.get('error'))}"))
        if last["state"] == "queued" and identifier not in folders["queued"]:
            where = [folder for folder in ("running", "done", "dead") if identifier in folders[folder]]
            faults.append(("for ever queued", f"{text}: its record says queued, its job file lies in {where or 'no folder'}"))
        if identifier in promised["ended"] or identifier in promised["cancelled"]:
            if last["state"] in FINAL and seconds_of(last["at"]) > began:
                faults.append(("end lost", f"{text}: its end was known before the cut, and is from after it"))
        if identifier in promised["ended"] and promised["ended"][identifier] == ["report"]:
            path = (last.get("result") or {}).get("path", "")
            if not path or not glob.glob(f"{home}/workspaces/*/{path}"):
                faults.append(("report lost", f"{text}: no file {path}"))
    for path in glob.glob(f"{spool}/receipts/*.json"):
        with open(path) as file:
            receipt = json.load(file)
        states = [line["state"] for line in found.get(receipt.get("id"), []) if line.get("t") == "status"]
        if "id" in receipt and states[-1:] != ["completed"]:
            faults.append(("dropped file not done", f"{os.path.basename(path)} {receipt['id']}: {states[-1:]}"))
    if glob.glob(f"{spool}/log/corrupt-*"):
        facts["log set aside as corrupt"] += 1
    check = subprocess.run([options.nanobot, "check", "--json"], capture_output=True, text=True,
                           env={"PATH": os.environ["PATH"], "NANOBOT_HOME": home, "HOME": "/nonexistent"})
    try:
        report = json.loads(check.stdout)
        facts["notes of check"] += len(report["notes"])
        for problem in report["problems"]:
            of = [text for identifier, text in acknowledged.items() if identifier in problem["path"] + problem["detail"]]
            if of or problem["path"].startswith(("order/", "control/", "log/")):
                faults.append((f"check {problem['code']} in {problem['path'].split('/')[0]}/",
                               f"{', '.join(of)} {problem['path']}: {problem['detail']}"))
            else:
                # Left over from a submission nobody has an answer to.
                remark = f"check {problem['code']} in {problem['path'].split('/')[0]}/, of a job that was not acknowledged"
                faults.append((remark, f"{problem['path']}: {problem['detail']}"))
        if check.returncode != 0 and not report["problems"]:
            faults.append(("check", check.stderr.strip()[:600]))
    except ValueError:
        faults.append(("check", (check.stdout + check.stderr).strip()[:600]))
    facts["acknowledged"] = len(acknowledged)
    return faults, facts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--fs", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--nanobot", required=True)
    parser.add_argument("--points", type=int, default=0, help="how many disks to try at most; 0: all")
    parser.add_argument("--seconds", type=float, default=0, help="end after that long; 0: when done")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one disk, such as 812:mixed")
    parser.add_argument("--between", type=int, nargs=2, metavar="POINT", help="only these points")
    parser.add_argument("--tell", type=int, default=5, help="faults of one kind to print; all are counted")
    parser.add_argument("--keep", action="store_true", help="keep the disks that show a fault, about 100 MB each")
    parser.add_argument("--patience", type=float, default=60, help="seconds a start may take to finish all jobs")
    parser.add_argument("--without-log", action="store_true",
                        help="a control: remove nanobot's shared log from each disk first; jobs must then be missing")
    parser.add_argument("--list", action="store_true", help="only say what is in the log")
    options = parser.parse_args()
    options.nanobot = os.path.abspath(options.nanobot)

    entries, sector = read_log(options.log)
    places = points(entries)
    disks = [(point, "strict") for point in places] + [(point, "mixed") for point in places if window(entries, point)]
    kinds = collections.Counter(
        name for entry in entries for flag, name in ((FLUSH, "flush"), (FUA, "FUA"), (DISCARD, "discard"), (MARK, "mark"))
        if entry.flags & flag)
    print(f"log: {len(entries)} entries ({dict(kinds)}), {sum(map(has_data, entries))} writes,",
          f"{len(places)} points, {len(disks)} different disks")
    print("marks:", dict(collections.Counter(entry.text.split(":")[0] for entry in entries if entry.flags & MARK)))
    rng = random.Random(options.seed)
    if options.only:
        point, variant = options.only.split(":")
        disks = [(int(point), variant)]
    elif options.points and options.points < len(disks):
        # Up to half of them end with an acknowledgement: the power goes at once. The others by chance.
        rng.shuffle(disks)
        at_marks = [disk for disk in disks if entries[disk[0] - 1].flags & MARK][:options.points // 2]
        others = [disk for disk in disks if disk not in at_marks]
        disks = at_marks + others[:options.points - len(at_marks)]
        print(f"sample: {len(disks)} disks, seed {options.seed},",
              f"{sum(1 for point, _ in disks if entries[point - 1].flags & MARK)} of them right behind a mark")
    if options.list:
        return 0
    if options.between:
        disks = [disk for disk in disks if options.between[0] <= disk[0] <= options.between[1]]
    disks.sort()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))

    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    options.work = tempfile.mkdtemp(prefix="power-cut-", dir=base)
    mount = f"{options.work}/mnt"
    os.mkdir(mount)
    disk = Disk(f"{options.work}/disk", options.size, options.log, entries, sector)
    told = collections.Counter()
    totals, tried, facts, deepest, began = collections.Counter(), collections.Counter(), collections.Counter(), 0, time.time()
    try:
        for number, (point, variant) in enumerate(disks):
            if options.seconds and time.time() - began > options.seconds:
                print(f"time is up after {number} of {len(disks)} disks")
                break
            disk.go(point)
            marks = [entry.text for entry in entries[:point] if entry.flags & MARK]
            # A name of its own for each: the loop device of the last one may not be gone yet, with its pages.
            cut = f"{options.work}/cut-{number}"
            extra = window(entries, point) if variant == "mixed" else []
            disk.copy(cut, extra, random.Random(f"{options.seed} {point}"))
            how = "loop,nouuid" if options.fs == "xfs" else "loop"
            mounted = subprocess.run(["mount", "-t", options.fs, "-o", how, cut, mount], capture_output=True, text=True)
            if mounted.returncode != 0:
                faults = [("mount", mounted.stderr.strip())]
            else:
                try:
                    faults, seen = examine(options, mount, marks)
                    deepest = max(deepest, seen.pop("acknowledged", 0))
                    facts.update(seen)
                except (RuntimeError, OSError, http.client.HTTPException) as error:
                    faults = [("start", repr(error)[:600])]
                finally:
                    subprocess.run(["umount", mount], check=True)
            os.remove(cut)
            tried[variant] += 1
            for kind in {kind for kind, _ in faults}:
                totals[kind] += 1
            for kind, words in faults:
                told[kind] += 1
                if told[kind] <= options.tell:
                    print(f"{point}:{variant} {kind}: {words}", flush=True)
            if options.keep and any(not kind.startswith("check ") for kind, _ in faults):
                disk.copy(f"{options.log}.{point}.{variant}", extra, random.Random(f"{options.seed} {point}"))
                shutil.copy(f"{options.work}/serve.log", f"{options.log}.{point}.{variant}.serve.log")
            if number % 50 == 49:
                print(f"… {number + 1} of {len(disks)}, {time.time() - began:.0f} s, faults so far: {dict(totals)}", flush=True)
    finally:
        subprocess.run(["umount", mount], capture_output=True)
        shutil.rmtree(options.work)
    print(f"tried {dict(tried)} disks in {time.time() - began:.0f} s; most acknowledged jobs on one: {deepest}")
    for name, count in sorted(facts.items()):
        print(f"  {name}: {count}")
    print("disks with a fault:" if totals else "no fault on any disk")
    for kind, count in totals.most_common():
        print(f"  {kind}: {count} disks, {told[kind]} times")
    return 1 if totals else 0


if __name__ == "__main__":
    sys.exit(main())
