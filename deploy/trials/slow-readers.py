#!/usr/bin/env python3
"""Readers that take nothing and writers that never finish, and the memory they cost.

    deploy/trials/slow-readers.py BINARY [CLIENTS, default 60]

On loopback. A user has a file of 16 MiB and a conversation of 12 MiB. CLIENTS clients with that user's read token ask for one of them,
or for the export, and read no more than the head of the answer; then CLIENTS clients with a user token send all but the end of a file
of 16 MiB, and of JSON. For each, with a service of its own: memory of the service (VmRSS) before, while they wait, and five seconds after they are gone. Holds if no kind
costs more than 64 MiB while it lasts or 32 MiB afterwards, if another user gets a whole file beside them, and if what was answered with 429 or 503 carries
Retry-After. Ends with 0 if all held.
"""
import hashlib, http.client, json, os, socket, subprocess, sys, tempfile, time

binary = os.path.realpath(sys.argv[1])
clients = int(sys.argv[2]) if len(sys.argv) > 2 else 60
MIB = 1 << 20
failures = []


def check(what, held, more=""):
    print(("ok      " if held else "FAILED  ") + what + (f": {more}" if more != "" else ""), flush=True)
    if not held:
        failures.append(what)


home = tempfile.mkdtemp(prefix="nanobot-readers-")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
with open(f"{home}/config.json", "w") as file:
    json.dump({"server": {"port": port}}, file)
for user in ("alice", "bob"):
    subprocess.run([binary, "create-user", user, "--home", home], check=True, stdout=subprocess.DEVNULL)


def token(user, *options):
    command = [binary, "token", "create", user, *options, "--home", home, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["token"]


reading, writing, other = token("alice", "--read"), token("alice"), token("bob")
workspace = f"{home}/workspaces/alice"
content = os.urandom(16 * MIB)
for user in ("alice", "bob"):
    with open(f"{home}/workspaces/{user}/data/big.bin", "wb") as file:
        file.write(content)
with open(f"{workspace}/sessions/long.jsonl", "w") as file:
    file.write(json.dumps({"t": "meta", "session_id": "long", "created_at": "2026-11-01T00:00:00Z", "title": "Long"}, separators=(",", ":")) + "\n")
    for number in range(200):
        line = {"id": f"j{number}:1", "role": "user", "content": "x" * 62_000, "timestamp": "2026-11-01T00:00:00Z", "job_id": f"j{number}"}
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
service = None


def start():
    global service
    with open(f"{home}/log", "ab") as log:
        service = subprocess.Popen([binary, "serve", "--home", home], stdout=log, stderr=log)
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)


def stop():
    service.terminate()
    service.wait(30)


def resident():
    with open(f"/proc/{service.pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def connected():
    connection = socket.socket()
    # A small window: what the kernel holds for a reader is none of the service's memory.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return connection


def head(method, path, token, more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()


def first_line(connection, seconds=30):
    connection.settimeout(seconds)
    got = b""
    try:
        while b"\r\n\r\n" not in got and len(got) < 4096:
            piece = connection.recv(512)
            if not piece:
                break
            got += piece
    except OSError:
        pass
    return got


def whole():
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    begin = time.monotonic()
    connection.request("GET", "/users/bob/file?path=data/big.bin", headers={"Authorization": f"Bearer {other}"})
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, hashlib.sha256(body).digest() == hashlib.sha256(content).digest(), time.monotonic() - begin


def run(name, request, body=b""):
    start()
    whole()
    before = resident()
    open_ones = []
    for _ in range(clients):
        connection = connected()
        connection.sendall(request)
        open_ones.append(connection)
    if body:
        for connection in open_ones:
            connection.setblocking(False)
        left = {connection: memoryview(body) for connection in open_ones}
        quiet = time.monotonic()
        while left and time.monotonic() - quiet < 3:
            for connection in list(left):
                try:
                    sent = connection.send(left[connection][:MIB])
                    quiet = time.monotonic()
                    left[connection] = left[connection][sent:]
                    if not left[connection]:
                        del left[connection]
                except BlockingIOError:
                    pass
                except OSError:
                    del left[connection]
            time.sleep(0.005)
        statuses = {}
    else:
        statuses = {}
        for connection in open_ones:
            got = first_line(connection)
            status = got.split(b" ")[1].decode() if b" " in got else "none"
            statuses[status] = statuses.get(status, 0) + 1
            if status in ("429", "503"):
                check(f"{name}: a refused one is told when to come again", b"retry-after:" in got.lower())
    time.sleep(2)
    during = resident()
    status, is_whole, seconds = whole()
    for connection in open_ones:
        connection.close()
    time.sleep(5)
    after = resident()
    print(f"{name}: {before:.0f} MiB before, {during:.0f} during, {after:.0f} after; answers {statuses or '-'}; another user: {status} in {seconds:.1f} s", flush=True)
    check(f"{name}: at most 64 MiB more while it lasts", during - before <= 64, f"{during - before:.0f}")
    check(f"{name}: at most 32 MiB more afterwards", after - before <= 32, f"{after - before:.0f}")
    check(f"{name}: another user gets the whole file", status == 200 and is_whole)
    stop()


try:
    run("files", head("GET", "/users/alice/file?path=data/big.bin", reading))
    run("exports", head("GET", "/users/alice/export", reading))
    run("messages", head("GET", "/users/alice/sessions/long/messages?limit=200", reading))
    run("session lists", head("GET", "/users/alice/sessions", reading))
    large = head("PUT", "/users/alice/file?path=data/new.bin", writing, f"Content-Length: {len(content)}\r\n")
    run("uploads", large, content[:-1024])
    chunked = head("PUT", "/users/alice/file?path=data/new.bin", writing, "Transfer-Encoding: chunked\r\n")
    run("uploads in chunks", chunked, f"{len(content):x}\r\n".encode() + content[:-1024])
    small = head("POST", "/users/alice/schedules", writing, f"Content-Type: application/json\r\nContent-Length: {MIB}\r\n")
    run("JSON bodies", small, b" " * (MIB - 1024))
finally:
    service.kill()
    subprocess.run(["rm", "-rf", home])
print("all held" if not failures else f"{len(failures)} failed")
sys.exit(1 if failures else 0)
