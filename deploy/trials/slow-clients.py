#!/usr/bin/env python3
"""Slow, silent, broken and rude clients by the thousand, and what the others see of them.

    deploy/trials/slow-clients.py BINARY [CLIENTS, default 2000] [SECONDS, default 40]

On loopback. Starts a service, measures a well-behaved client alone, then beside the flood: connections that say nothing, send a byte
of a head or of a body now and then, never read their answers, send rubbish, heads and bodies that are too large, or hang up in
the middle. Holds if every good call is answered as it should be, 99 in 100 within half a second, the slow ones are let go in time, and
the service has its descriptors back afterwards. Ends with 0 if all held.
"""
import asyncio, json, os, random, resource, socket, statistics, subprocess, sys, tempfile, time

binary = os.path.realpath(sys.argv[1])
clients = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 40
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
random.seed(1)
failures = []


def check(what, held, more=""):
    print(("ok      " if held else "FAILED  ") + what + (f": {more}" if more != "" else ""))
    if not held:
        failures.append(what)


home = tempfile.mkdtemp(prefix="nanobot-slow-")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
with open(f"{home}/config.json", "w") as file:
    json.dump({"server": {"port": port}, "limits": {"user": {"waiting": 100_000}}}, file)
subprocess.run([binary, "create-user", "alice", "--home", home], check=True, stdout=subprocess.DEVNULL)
with open(f"{home}/log", "wb") as log:
    service = subprocess.Popen([binary, "serve", "--home", home], stdout=log, stderr=log)


def descriptors():
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def resident():
    with open(f"/proc/{service.pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


async def good(times, errors, until):
    """One connection, kept; a health check, a status and a chat by turns."""
    reader = writer = None
    number = 0
    while time.monotonic() < until:
        number += 1
        begin = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if number % 5 == 0:
                body = json.dumps({"user_id": "alice", "run_at": "2035-01-01T00:00:00Z"}).encode()
                writer.write(b"POST /reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                expected = b" 202 "
            else:
                writer.write(b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % random.choice([b"health", b"users/alice", b"queue"]))
                expected = b" 200 "
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await asyncio.wait_for(reader.readexactly(length), 10)
            if expected not in head.split(b"\r\n")[0]:
                errors.append(head.split(b"\r\n")[0].decode())
        except Exception as error:
            errors.append(repr(error))
            if writer:
                writer.close()
            writer = None
        times.append(time.monotonic() - begin)
        await asyncio.sleep(0.02)
    if writer:
        writer.close()


async def rude(kind, until, ended):
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
            continue
        begin = time.monotonic()
        try:
            if kind == "silent":
                await reader.read(1)
            elif kind == "head":
                for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 100_000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    if await asyncio.wait_for(asyncio.shield(asyncio.sleep(1)), 2) is None and reader.at_eof():
                        break
                    if time.monotonic() > until:
                        break
            elif kind == "body":
                writer.write(b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
                while not reader.at_eof() and time.monotonic() < until:
                    writer.write(b"{")
                    await writer.drain()
                    await asyncio.sleep(1)
            elif kind == "deaf":
                writer.transport.pause_reading()
                for _ in range(50):
                    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    await asyncio.wait_for(writer.drain(), 60)
                    await asyncio.sleep(0.5)
                    if time.monotonic() > until:
                        break
            elif kind == "rubbish":
                writer.write(os.urandom(2_000))
                await asyncio.wait_for(reader.read(), 60)
            elif kind == "large":
                writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n")
                await asyncio.wait_for(reader.read(), 60)
            elif kind == "hangup":
                writer.write(b"POST /reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"user_id\": ")
                await writer.drain()
                writer.transport.abort()
                await asyncio.sleep(random.random())
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            ended.setdefault(kind, []).append(time.monotonic() - begin)
            writer.transport.abort()
        await asyncio.sleep(0.1)


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] * 1000


async def main():
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.05)
    alone, beside, errors = [], [], []
    await asyncio.gather(*(good(alone, errors, time.monotonic() + 5) for _ in range(10)))
    check("alone, every call is answered", not errors, f"{len(alone)} calls, p99 {percentile(alone, .99):.1f} ms {errors[:3]}")
    before = descriptors()
    end = time.monotonic() + seconds
    kinds = ["silent", "head", "body", "deaf", "rubbish", "large", "hangup"]
    ended = {}
    flood = [asyncio.create_task(rude(kinds[number % len(kinds)], end, ended)) for number in range(clients)]
    await asyncio.sleep(3)
    errors = []
    most = descriptors()
    await asyncio.gather(*(good(beside, errors, end) for _ in range(10)))
    check(f"beside {clients} rude clients every call is answered", not errors,
          f"{len(beside)} calls, p50 {percentile(beside, .5):.1f}, p99 {percentile(beside, .99):.1f} ms; {most} descriptors, {resident()} MB {errors[:3]}")
    check("99 in 100 within half a second", percentile(beside, .99) < 500)
    done, late = await asyncio.wait(flood, timeout=90)
    for task in late:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    for kind, times in sorted(ended.items()):
        print(f"        {kind}: {len(times)} connections, the longest {max(times):.0f} s")
    check("silent and slow ones were let go", all(kind in ended for kind in ["silent", "head", "body"]))
    for _ in range(100):
        if descriptors() <= before + 5:
            break
        await asyncio.sleep(0.2)
    check("the descriptors are back", descriptors() <= before + 5, f"{before} before, {descriptors()} after, {resident()} MB")
    check("the service lives", service.poll() is None)


try:
    asyncio.run(main())
finally:
    service.terminate()
    service.wait()
    subprocess.run(["rm", "-rf", home])
sys.exit(1 if failures else 0)
