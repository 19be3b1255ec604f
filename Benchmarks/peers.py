#!/usr/bin/env python3
"""The same work on other queues, 1 KB jobs, client processes on this machine. put: durable submissions. flow: the same
client puts, takes and finishes. pipe: so many clients put, others (--consumers) take and finish, until all is finished.

    Benchmarks/peers.py --root DIR [--spool-bench BINARY] [--rounds 3] [--seconds 2] [--work put,flow,pipe]
                        [--clients 1,8,32] [--consumers 4] [--only NAME,…] [--json FILE]

Each peer gets a folder of its own below DIR and a server of its own on loopback, started and stopped here. Disks of
shared machines change their speed by the minute, so every round measures every queue, one after the other, and the
table has the median of the rounds; the last column is nanobot's rate over the best durable peer's, round by round.
What is not installed is reported as missing, not skipped silently.
Debian: beanstalkd redis-server postgresql. PyPI: redis greenstalk psycopg[binary] huey dirq persist-queue.
"""
import argparse, json, multiprocessing, os, pwd, shutil, signal, socket, statistics, subprocess, sys, time
from pathlib import Path

BODY = b"x" * 1024


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(check, seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Peer:
    """start, connect and put; take: takes one job and finishes it, false when there was none."""

    def flow(self, client):
        self.put(client)
        self.take(client)


class Beanstalkd(Peer):
    durable = "-b -f 0: fsync of the log for each put and delete"

    def start(self, root):
        self.port = port()
        return subprocess.Popen(["beanstalkd", "-l", "127.0.0.1", "-p", str(self.port), "-b", root, "-f", "0"])

    def connect(self):
        import greenstalk
        return until(lambda: greenstalk.Client(("127.0.0.1", self.port)))

    def put(self, client):
        client.put(BODY.decode())

    def take(self, client):
        import greenstalk
        try:
            client.delete(client.reserve(timeout=1))
        except greenstalk.TimedOutError:
            return False
        return True


class Redis(Peer):
    durable = "appendonly, appendfsync always"

    def start(self, root):
        self.port = port()
        return subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", root, "--appendonly", "yes",
             "--appendfsync", "always", "--save", "", "--daemonize", "no"], stdout=subprocess.DEVNULL)

    def connect(self):
        import redis
        client = redis.Redis(port=self.port)
        until(client.ping)
        return client

    def put(self, client):
        client.lpush("q", BODY)

    def take(self, client):
        job = client.blmove("q", "taken", 1, "RIGHT", "LEFT")
        if job is None:
            return False
        client.lrem("taken", 1, job)
        return True


class Postgres(Peer):
    durable = "synchronous_commit on; FOR UPDATE SKIP LOCKED"

    def start(self, root):
        self.port = port()
        binary = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        user = pwd.getpwnam("postgres")
        os.chown(root, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid}
        subprocess.run([binary / "initdb", "-D", root + "/db", "-A", "trust"], check=True, stdout=subprocess.DEVNULL,
                       cwd=root, **as_user)
        return subprocess.Popen(
            [binary / "postgres", "-D", root + "/db", "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-k", root],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=root, **as_user)

    def connect(self):
        import psycopg
        client = until(lambda: psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres",
                                               autocommit=True))
        try:
            client.execute("CREATE TABLE IF NOT EXISTS jobs (id bigserial PRIMARY KEY, taken boolean DEFAULT false, body bytea)")
        except psycopg.Error:
            pass  # another client makes it at the same moment
        return client

    def put(self, client):
        client.execute("INSERT INTO jobs (body) VALUES (%s)", (BODY,))

    def take(self, client):
        with client.transaction():
            job = client.execute("SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED").fetchone()
            if job:
                client.execute("DELETE FROM jobs WHERE id = %s", job)
        return job is not None


class HueySQLite(Peer):
    durable = "SQLite, fsync on"

    def start(self, root):
        self.file = root + "/huey.db"

    def connect(self):
        from huey.storage import SqliteStorage
        return until(lambda: SqliteStorage(filename=self.file, fsync=True, timeout=30))

    def put(self, client):
        client.enqueue(BODY)

    def take(self, client):
        return client.dequeue() is not None


class HueyFiles(HueySQLite):
    durable = "none: no fsync"

    def start(self, root):
        self.folder = root + "/huey"

    def connect(self):
        from huey.storage import FileStorage
        return FileStorage("h", path=self.folder)


class Dirq(Peer):
    durable = "none: no fsync"

    def start(self, root):
        self.folder = root + "/dirq"

    def connect(self):
        from dirq.QueueSimple import QueueSimple
        return QueueSimple(self.folder)

    def put(self, client):
        client.add(BODY.decode())

    def take(self, client):
        for name in client:
            if client.lock(name):
                client.get(name)
                client.remove(name)
                return True
        return False


class PersistQueue(Peer):
    durable = "SQLite, its default (synchronous FULL)"

    def start(self, root):
        self.folder = root + "/pq"

    def connect(self):
        import persistqueue
        return until(lambda: persistqueue.SQLiteAckQueue(self.folder, multithreading=True, auto_commit=True))

    def put(self, client):
        client.put(BODY)

    def take(self, client):
        import persistqueue
        try:
            client.ack(client.get(block=False))
        except persistqueue.Empty:
            return False
        return True


PEERS = {"beanstalkd": Beanstalkd, "redis": Redis, "postgres": Postgres, "huey-sqlite": HueySQLite,
         "huey-files": HueyFiles, "dirq": Dirq, "persist-queue": PersistQueue}


def client(peer, work, seconds, gate, counts):
    try:
        connection = peer.connect()
        step = getattr(peer, work)
        gate.wait(60)
        begin, done = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            step(connection)
            done += 1
        counts.put((done, time.monotonic() - begin))
    except Exception as error:  # the parent reports it
        gate.abort()
        counts.put((repr(error), 0))


def measure(peer, work, clients, seconds):
    gate, counts = multiprocessing.Barrier(clients), multiprocessing.Queue()
    processes = [multiprocessing.Process(target=client, args=(peer, work, seconds, gate, counts)) for _ in range(clients)]
    for process in processes:
        process.start()
    results = [counts.get(timeout=seconds + 90) for _ in processes]
    for process in processes:
        process.join()
    errors = [done for done, _ in results if isinstance(done, str)]
    return (None, errors[0]) if errors else (sum(done / spent for done, spent in results), None)


def producer(peer, seconds, gate, counts):
    connection = peer.connect()
    gate.wait(60)
    begin, done = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        peer.put(connection)
        done += 1
    counts.put(done)


def consumer(peer, gate, finished, total):
    connection = peer.connect()
    gate.wait(60)
    while not 0 <= total.value <= finished.value:
        if peer.take(connection):
            with finished.get_lock():
                finished.value += 1
        else:
            time.sleep(0.001)


def measure_pipe(peer, clients, consumers, seconds):
    """Jobs finished a second, from the first put until the last one is finished."""
    gate, counts = multiprocessing.Barrier(clients + consumers + 1), multiprocessing.Queue()
    finished, total = multiprocessing.Value("q", 0), multiprocessing.Value("q", -1)
    processes = [multiprocessing.Process(target=producer, args=(peer, seconds, gate, counts)) for _ in range(clients)]
    processes += [multiprocessing.Process(target=consumer, args=(peer, gate, finished, total)) for _ in range(consumers)]
    for process in processes:
        process.start()
    try:
        gate.wait(60)
        begin = time.monotonic()
        total.value = sum(counts.get(timeout=seconds + 90) for _ in range(clients))
        while finished.value < total.value:
            if time.monotonic() - begin > 120 or not all(process.exitcode in (None, 0) for process in processes):
                return None, f"only {finished.value} of {total.value} jobs were finished"
            time.sleep(0.002)
        return total.value / (time.monotonic() - begin), None
    except Exception as error:
        return None, repr(error)
    finally:
        for process in processes:
            process.join(10)
            if process.exitcode is None:
                process.kill()


class Nanobot:
    durable = "one fdatasync of the shared log for each batch"

    def __init__(self, binary):
        self.binary = binary

    def rate(self, root, work, clients, consumers, seconds):
        command = [self.binary, "pool" if work == "pipe" else work, "--root", root, "--clients", str(clients),
                   "--seconds", str(int(seconds))]
        if work == "pipe":
            command += ["--workers", str(consumers)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            return None, done.stderr[-300:]
        return json.loads(done.stdout)["per_second"], None


def one(name, peer, work, clients, options):
    root = f"{options.root}/peer-{name}-{os.getpid()}"
    os.makedirs(root)
    server = None
    try:
        if isinstance(peer, Nanobot):
            return peer.rate(root, work, clients, options.consumers, options.seconds)
        server = peer.start(root)
        if work == "pipe":
            return measure_pipe(peer, clients, options.consumers, options.seconds)
        return measure(peer, work, clients, options.seconds)
    except FileNotFoundError as error:
        return None, f"not installed: {error.filename}"
    finally:
        if server:
            server.send_signal(signal.SIGINT)
            server.wait(30)
        shutil.rmtree(root, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--spool-bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--work", default="put,flow,pipe")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--consumers", type=int, default=4)
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--json")
    options = parser.parse_args()
    # A shell's background job ignores it, and so would the servers that are stopped with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    queues = {name: PEERS[name]() for name in options.only.split(",")}
    if options.spool_bench:
        queues = {"nanobot": Nanobot(options.spool_bench), **queues}
    columns = [(work, int(clients)) for work in options.work.split(",") for clients in options.clients.split(",")]
    rates, errors = {}, {}
    for turn in range(options.rounds):
        for column in columns:
            for name, queue in queues.items():
                rate, error = one(name, queue, *column, options)
                rates.setdefault((name, column), []).append(rate)
                if error:
                    errors[name] = error
                print(f"round {turn + 1} {column[0]} {column[1]} {name}: {rate and round(rate)}", file=sys.stderr, flush=True)

    def median(name, column):
        values = [rate for rate in rates[name, column] if rate]
        return statistics.median(values) if values else None

    print("| queue | " + " | ".join(f"{work} {clients}" for work, clients in columns) + " | durable setting |")
    print("|---|" + "---:|" * len(columns) + "---|")
    for name, queue in queues.items():
        cells = [f"{median(name, column):,.0f}" if median(name, column) else "–" for column in columns]
        print(f"| {name} | " + " | ".join(cells) + f" | {errors.get(name, queue.durable)} |")
    if "nanobot" in queues:
        cells = []
        for column in columns:
            ratios = []
            for turn in range(options.rounds):
                peers = [rates[name, column][turn] for name, queue in queues.items()
                         if name != "nanobot" and not queue.durable.startswith("none") and rates[name, column][turn]]
                own = rates["nanobot", column][turn]
                if peers and own:
                    ratios.append(own / max(peers))
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "–")
        print("| **nanobot / best durable peer** | " + " | ".join(cells) + " | median of the rounds' ratios |")
    if options.json:
        Path(options.json).write_text(json.dumps(
            [{"queue": name, "bench": column[0], "clients": column[1], "per_second": values}
             for (name, column), values in rates.items()], indent=1))


if __name__ == "__main__":
    main()
