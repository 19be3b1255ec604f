#!/usr/bin/env python3
"""Figures of a built nanobot over HTTP on loopback: acknowledgement, pickup, throughput, idle cost.

    Benchmarks/http_figures.py BINARY [--jobs 400] [--clients 8] [--idle 20] [--json]

Starts `BINARY serve` on a home of its own in a temporary folder (TMPDIR chooses the disk), makes users, submits chats for
the offline model and reports:
  ack      POST /chat with Prefer: respond-async until the 202 is there (durable by then), one client and several
  pickup   from the `queued` line of the status file to the first `running` line, one job at a time on an idle server
  jobs/s   from the first submission to the last final line, 16 workers, offline chats (they read files and call tools)
  idle     CPU seconds per second and resident memory of the server with nothing to do
Times come from this process's clock, pickup times from the server's own record (whole milliseconds). Loopback only.
"""
import argparse, http.client, json, os, signal, socket, statistics, subprocess, sys, tempfile, threading, time
from datetime import datetime
from pathlib import Path


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, binary, home, workers=16):
        self.port = free_port()
        self.home = home
        self.log = open(home + ".log", "wb")
        self.process = subprocess.Popen(
            [binary, "serve", "--home", home, "--port", str(self.port), "--workers", str(workers)],
            stdout=self.log, stderr=self.log, env={**os.environ, "NANOBOT_MODEL": "offline"})
        end = time.monotonic() + 30
        while True:
            try:
                if self.call("GET", "/ready")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"the server does not become ready; see {home}.log")
            time.sleep(0.01)

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def call(self, method, path, body=None, connection=None, headers=None):
        own = connection is None
        connection = connection or self.connect()
        connection.request(
            method, path, None if body is None else json.dumps(body),
            {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        if own:
            connection.close()
        return answer.status, json.loads(text) if text else None

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def submit(server, connection, user, session):
    begin = time.perf_counter()
    status, answer = server.call(
        "POST", "/chat", {"user_id": user, "message": "What is on my watchlist?", "session_id": session},
        connection, {"Prefer": "respond-async"})
    if status != 202:
        sys.exit(f"POST /chat answered {status}: {answer}")
    return (time.perf_counter() - begin) * 1000, answer["job_id"]


def wait_all(server, ids):
    connection = server.connect()
    for job in ids:
        while True:
            status, answer = server.call("GET", f"/jobs/{job}", None, connection)
            if answer["status"] in ("completed", "failed", "cancelled"):
                if answer["status"] != "completed":
                    sys.exit(f"{job}: {answer}")
                break
            time.sleep(0.002)
    connection.close()


def pickup(home, job):
    path = next(Path(home, "spool", "status").glob(f"*/*/{job}.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    def first(state):
        at = next(line["at"] for line in lines if line["t"] == "status" and line["state"] == state)
        return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000
    return first("running") - first("queued")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--idle", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        home = folder + "/home"
        server = Server(options.binary, home)
        users = [f"u{number}" for number in range(32)]
        for user in users:
            server.call("POST", "/users", {"user_id": user, "initial_data": {"watchlist": {"stocks": ["AAPL"]}}})
        connection = server.connect()
        warm = [submit(server, connection, users[0], f"w{n}")[1] for n in range(20)]
        wait_all(server, warm)
        begin, spent = time.monotonic(), server.cpu()
        time.sleep(options.idle)
        figures["idle_cpu_percent"] = 100 * (server.cpu() - spent) / (time.monotonic() - begin)
        figures["resident_mb"] = server.resident()
        # One at a time, each on an idle server.
        acks, waits = [], []
        for number in range(min(200, options.jobs)):
            ack, job = submit(server, connection, users[number % 32], f"p{number}")
            wait_all(server, [job])
            acks.append(ack)
            waits.append(pickup(home, job))
        figures["ack_1_p50_ms"], figures["ack_1_p99_ms"] = percentile(acks, 0.5), percentile(acks, 0.99)
        figures["pickup_p50_ms"], figures["pickup_p99_ms"] = percentile(waits, 0.5), percentile(waits, 0.99)
        connection.close()
        # Several clients at once, and the time until all is done.
        ids, acks, guard = [], [], threading.Lock()
        share = options.jobs // options.clients

        def client(number):
            own = server.connect()
            for turn in range(share):
                ack, job = submit(server, own, users[(number * share + turn) % 32], f"c{number}-{turn}")
                with guard:
                    acks.append(ack)
                    ids.append(job)
            own.close()

        begin = time.monotonic()
        threads = [threading.Thread(target=client, args=(number,)) for number in range(options.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        figures[f"ack_{options.clients}_p50_ms"] = percentile(acks, 0.5)
        figures[f"ack_{options.clients}_p99_ms"] = percentile(acks, 0.99)
        figures["submits_per_second"] = len(ids) / (time.monotonic() - begin)
        wait_all(server, ids)
        figures["jobs_per_second"] = len(ids) / (time.monotonic() - begin)
        server.stop()
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:10.2f}")


if __name__ == "__main__":
    main()
