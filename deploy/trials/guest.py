"""What happens in the machine whose power is cut: nanobot works, and what it acknowledges is marked in the disk's log.

A mark has the form "<what>:<id or name>[:<more>]", put into the log of dm-log-writes after the acknowledgement was
read. What stands in the log before a mark was durable when the acknowledgement came; replay.py relies on nothing else.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time

SECONDS = float(os.environ["seconds"])
FS = os.environ["fs"]
HOME = "/mnt/home"
USERS = ["ann", "ben", "cho", "dan"]
ENV = {"PATH": os.environ["PATH"], "NANOBOT_HOME": HOME, "HOME": "/tmp", "TZ": "UTC"}
counts = {}
counting = threading.Lock()
stop = threading.Event()


def say(*words):
    print("guest:", *words, flush=True)


def run(*command):
    return subprocess.run(command, check=True, env=ENV, capture_output=True, text=True).stdout.strip()


def mark(text):
    # A message is split at spaces; a mark is one word of it.
    subprocess.run(["dmsetup", "message", "power", "0", "mark", text.replace(" ", ":")], check=True)
    with counting:
        word = text.split()[0]
        counts[word] = counts.get(word, 0) + 1


class Client:
    """One connection to the service in this machine. A request that breaks off is acknowledged by nobody."""

    def __init__(self):
        self.connection = None

    def ask(self, method, path, body=None, **headers):
        """Status and parsed answer, or (0, {}) if the connection failed."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Content-Type"] = "application/json"
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=120)
            self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self.connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else {}
        except (OSError, http.client.HTTPException, ValueError):
            self.connection = None
            time.sleep(0.5)
            return 0, {}


def chats(number):
    """Chats that are put into the queue and not waited for; the shared log of the service makes them durable."""
    client, turn = Client(), 0
    while not stop.is_set():
        turn += 1
        user = random.choice(USERS)
        session = f"s{random.randrange(2)}" if turn % 3 else f"own-{number}-{turn}"
        headers = {"Prefer": "respond-async"}
        if turn % 2:
            headers["Idempotency_Key"] = f"key-{number}-{turn}"
        text = f"Remember that I like number {number}{turn}." if turn % 4 == 0 else "What is on my watchlist?"
        body = {"user_id": user, "session_id": session, "message": text}
        status, answer = client.ask("POST", "/chat", body, **headers)
        if status == 202:
            mark(f"queued {answer['job_id']} http")
        time.sleep(random.random() * 1.5)


def waits():
    """Chats and reports whose answer is waited for: who has read an answer must find it again after the power cut."""
    client, turn = Client(), 0
    while not stop.is_set():
        turn += 1
        user = random.choice(USERS)
        if turn % 3:
            status, answer = client.ask(
                "POST", "/chat", {"user_id": user, "session_id": f"wait-{turn}", "message": "Hello, what can you do?"})
            if status == 200:
                mark(f"ended {answer['job_id']} chat")
            elif status == 202:
                mark(f"queued {answer['job_id']} http")
        else:
            status, answer = client.ask("POST", "/reports", {"user_id": user, "report_type": "daily"})
            if status != 202:
                continue
            identifier = answer["report_id"]
            mark(f"queued {identifier} report")
            status, answer = client.ask("GET", f"/reports/{identifier}?wait=60")
            if status == 200 and answer.get("status") == "completed":
                mark(f"ended {identifier} report")
        time.sleep(random.random())


def commands():
    """Jobs by command, which syncs file by file, beside the service; every second one is followed to its end."""
    turn = 0
    while not stop.is_set():
        turn += 1
        identifier = run("nanobot", "submit", "chat", "--user", random.choice(USERS), "--session", f"command-{turn}", "Hello")
        mark(f"queued {identifier} command")
        if turn % 2:
            run("nanobot", "status", identifier, "--follow")
            mark(f"ended {identifier} command")
        time.sleep(random.random() * 3)


def drops():
    """Files into the drop box; the receipt is the acknowledgement."""
    turn = 0
    while not stop.is_set():
        turn += 1
        name = f"drop-{turn}.json"
        with open(f"{HOME}/spool/tmp/{name}.part", "w") as file:
            json.dump({"kind": "chat", "user_id": random.choice(USERS), "message": f"Hello for the {turn}th time"}, file)
        os.rename(f"{HOME}/spool/tmp/{name}.part", f"{HOME}/spool/incoming/{name}")
        while not stop.is_set():
            try:
                with open(f"{HOME}/spool/receipts/{name}") as file:
                    mark(f"queued {json.load(file)['id']} drop")
                break
            except FileNotFoundError:
                time.sleep(0.2)
        time.sleep(random.random() * 4)


def laters():
    """Jobs for tomorrow: every second one is cancelled, the others must still wait after the power cut."""
    client, turn = Client(), 0
    while not stop.is_set():
        turn += 1
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 86400))
        status, answer = client.ask("POST", "/jobs", {
            "kind": "report", "user_id": random.choice(USERS), "report_type": "weekly", "run_at": when})
        if status == 202:
            identifier = answer["job_id"]
            if turn % 2:
                mark(f"later {identifier}")
            else:
                mark(f"cancelling {identifier}")
                status, _ = client.ask("POST", f"/jobs/{identifier}/cancel")
                if status in (200, 202):
                    mark(f"cancelled {identifier}")
        time.sleep(random.random() * 4)


def accounts():
    """New users, watchlists and schedules: not jobs, but acknowledged as well."""
    client, turn = Client(), 0
    while not stop.is_set():
        turn += 1
        user = f"new-{turn}"
        status, _ = client.ask("POST", "/users", {"user_id": user, "initial_data": {"preferences": {"language": "en"}}})
        if status == 201:
            mark(f"user {user}")
            status, _ = client.ask("PUT", f"/users/{user}/watchlist", {"stocks": [f"X{turn}"]})
            if status == 200:
                mark(f"stock {user} X{turn}")
            status, answer = client.ask("POST", f"/users/{user}/schedules", {
                "kind": "cron", "expression": "0 3 1 1 *", "job": {"kind": "report", "report_type": "weekly"}})
            if status in (200, 201):
                mark(f"schedule {user} {answer['id']}")
        time.sleep(2 + random.random() * 5)


def serve():
    process = subprocess.Popen(["nanobot", "serve", "--port", "8000"], env=ENV, stdout=subprocess.PIPE,
                               stderr=open("/tmp/serve.log", "a"), text=True)
    say(process.stdout.readline().strip())
    return process


def main():
    def sectors(disk):
        with open(f"/sys/block/{disk}/size") as file:
            return int(file.read())

    table = f"0 {sectors('vda')} log-writes /dev/vda /dev/vdb"
    subprocess.run(["dmsetup", "create", "power", "--noudevsync", "--table", table], check=True)
    disk = "/dev/dm-0"
    if FS == "ext4":
        # Blocks of 4 KiB as on every disk of some size; small ones hide what becomes of appended lines.
        make = ["mkfs.data", "-q", "-t", "ext4", "-b", "4096", "-J", "size=16",
                "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", disk]
    else:
        make = ["mkfs.data", "-q", "-K", disk]
    subprocess.run(make, check=True)
    subprocess.run(["mount", "-t", FS, disk, "/mnt"], check=True)
    os.sync()
    mark("start")
    say("mounted", FS)
    for user in USERS:
        run("nanobot", "create-user", user, "--language", "en")
        mark(f"user {user}")
    for turn in range(6):
        kind = ["report"] if turn % 3 == 2 else ["chat"]
        words = [] if kind == ["report"] else ["Remember that I like short answers."]
        mark(f"queued {run('nanobot', 'submit', *kind, '--user', USERS[turn % 4], *words)} command")
    say("six jobs by command")

    service = serve()
    threads = [threading.Thread(target=chats, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=work) for work in (waits, waits, commands, drops, laters, accounts)]
    for thread in threads:
        thread.start()
    for round_ in range(3):
        time.sleep(SECONDS / 3)
        say("marks so far", counts)
        if round_ < 2:
            # The process dies with work in its hands; the next one replays its log. No mark: nothing was acknowledged.
            service.kill()
            service.wait()
            service = serve()
    stop.set()
    for thread in threads:
        thread.join()
    mark(f"queued {run('nanobot', 'submit', 'chat', '--user', 'ann', 'Bye')} command")
    service.terminate()
    say("serve ended with", service.wait())
    mark("end")
    subprocess.run(["umount", "/mnt"], check=True)
    subprocess.run(["dmsetup", "remove", "--noudevsync", "power"], check=True)
    say("log lines", sum(1 for _ in open("/tmp/serve.log")), "of which no info:")
    with open("/tmp/serve.log") as file:
        for line in file:
            if " info " not in line:
                print(line, end="", flush=True)
    say("done", json.dumps(counts))


if __name__ == "__main__":
    sys.exit(main())
