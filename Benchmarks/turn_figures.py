#!/usr/bin/env python3
"""What a turn costs beside its model, and how many turns stream at once.

    Benchmarks/turn_figures.py BINARY [--turns 1000] [--rounds 10] [--peer FOLDER] [--json]

Starts a scripted model server (a process of its own, OpenAI's wire format) and `BINARY serve` on a home of its own under
TMPDIR, both on loopback, and reports:
  step     between two model calls of one turn, seen by the model server: from the last byte of its answer, which asks for
           one read-only tool (list_dir), to the last byte of the next request. Everything but the model is in it:
           reading the answer, the journal's fsync, the tool, the context, the request
  at once  N chats of N users, streamed: the model server waits 5 s, then sends 5 tokens a second for 5 s, each with the
           moment it was sent; this process reads all streams and takes the difference. Its own delay, and that of the
           kernel, count against the server: `direct` is the same reading from the model server itself, in the same run
  memory   resident memory, threads and descriptors of the server while all stream
--peer FOLDER is a virtual environment with the Python package nanobot-ai: its own server gets the same turns.
Figures compare within one run only. Loopback only.
"""
import argparse, asyncio, json, os, re, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path

FOLDERS = ["data", "memory", "reports", "sessions", "skills"]
STEPS = 10
FIRST_TOKEN, TOKENS, BETWEEN = 5.0, 25, 0.2


# ---------------------------------------------------------------- the model server
class Model(asyncio.Protocol):
    """Speaks just enough HTTP/1.1 for keep-alive POSTs with a length. Paths: /steps/v1/…, /slow/v1/…, GET /gaps."""

    gaps = []
    answered = 0.0

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            found = re.search(r"(?im)^content-length: *(\d+)", head)
            size = int(found.group(1)) if found else 0
            if len(self.buffer) < end + 4 + size:
                return
            body, self.buffer = self.buffer[end + 4:end + 4 + size], self.buffer[end + 4 + size:]
            self.answer(head.split(" ", 2)[1], body, time.perf_counter())

    def whole(self, value):
        body = json.dumps(value).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def answer(self, path, body, arrived):
        if path == "/gaps":
            self.whole(Model.gaps)
            Model.gaps = []
            self.transport.close()
            return
        request = json.loads(body)
        if path.startswith("/steps/"):
            self.step(request, arrived)
        else:
            self.begin()
            asyncio.get_running_loop().call_later(FIRST_TOKEN, self.token, 0)

    def begin(self):
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    def event(self, value, last=False):
        text = "data: [DONE]\n\n" if value is None else "data: " + json.dumps(value) + "\n\n"
        data = text.encode()
        return b"%x\r\n" % len(data) + data + b"\r\n" + (b"0\r\n\r\n" if last else b"")

    def chunk(self, delta, reason=None, usage=None):
        return self.event({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": usage,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    def token(self, number):
        if self.transport.is_closing():
            return
        if number == TOKENS:
            usage = {"prompt_tokens": 100, "completion_tokens": TOKENS, "total_tokens": 100 + TOKENS}
            self.transport.write(self.chunk({}, "stop", usage) + self.event(None, last=True))
            return
        self.transport.write(self.chunk({"content": f"<{number} {time.monotonic():.6f}>"}))
        asyncio.get_running_loop().call_later(BETWEEN, self.token, number + 1)

    def step(self, request, arrived):
        """The n-th call of a turn asks for a folder; the last one answers."""
        messages = request["messages"]
        asked = next((n for n, m in enumerate(reversed(messages)) if m["role"] == "user"), 0)
        done = sum(1 for m in messages[len(messages) - asked:] if m["role"] == "tool")
        # One turn at a time: the call before this one was the same turn's.
        if done:
            Model.gaps.append(arrived - Model.answered)
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        message = {"role": "assistant", "content": "Done."}
        if done < STEPS:
            call = {"name": "list_dir", "arguments": json.dumps({"path": FOLDERS[done % len(FOLDERS)]})}
            message = {"role": "assistant", "content": "", "tool_calls": [
                {"id": f"call_{done}", "type": "function", "function": call}]}
        reason = "tool_calls" if done < STEPS else "stop"
        if request.get("stream"):
            self.begin()
            delta = dict(message)
            if "tool_calls" in delta:
                delta["tool_calls"] = [dict(delta["tool_calls"][0], index=0)]
            self.transport.write(self.chunk(delta) + self.chunk({}, reason, usage) + self.event(None, last=True))
        else:
            self.whole({
                "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
                "choices": [{"index": 0, "message": message, "finish_reason": reason}]})
        Model.answered = time.perf_counter()


async def serve_model(port):
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


# ---------------------------------------------------------------- clients
async def exchange(port, method, path, body=None, headers=""):
    """One request on a connection of its own; returns reader and status. The caller reads on and closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    data = b"" if body is None else json.dumps(body).encode()
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{headers}"
        f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    head = await reader.readuntil(b"\r\n\r\n")
    return reader, writer, int(head.split(b" ", 2)[1])


async def call(port, method, path, body=None, headers=""):
    reader, writer, status = await exchange(port, method, path, body, headers)
    text = await reader.read()
    writer.close()
    return status, text


async def stream(port, path, body, delays, done):
    """Reads a stream whose tokens carry their moments; `delays`: (number, seconds)."""
    try:
        reader, writer, status = await exchange(port, "POST", path, body)
    except (OSError, asyncio.IncompleteReadError):
        return
    whole = status == 200
    last = -1
    while (line := await reader.readline()) and b"[DONE]" not in line:
        now = time.monotonic()
        # The text is escaped in some dialects; a joined delta holds several tokens.
        for found in re.finditer(rb"<(\d+) (\d+\.\d+)>", line):
            number = int(found.group(1))
            if number > last:
                last = number
                delays.append((number, now - float(found.group(2))))
    writer.close()
    done.append(whole and last == TOKENS - 1)


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def process_figures(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return {
        "rss_mb": round(int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024, 1),
        "threads": int(re.search(r"Threads:\s+(\d+)", status).group(1)),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "cpu_s": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
    }


async def streams(port, requests, pid):
    """All requests at once; figures of the delays, and of the process while all stream."""
    delays, done = [], []
    begun = process_figures(pid)["cpu_s"]
    start = time.monotonic()
    tasks = [asyncio.create_task(stream(port, path, body, delays, done)) for path, body in requests]
    await asyncio.sleep(FIRST_TOKEN + TOKENS * BETWEEN / 2)
    inside = process_figures(pid)
    _, late = await asyncio.wait(tasks, timeout=120)
    for task in late:
        task.cancel()
    first = [seconds * 1000 for number, seconds in delays if number == 0]
    every = [seconds * 1000 for _, seconds in delays]
    return {
        "streams": len(requests), "whole": sum(done), "seconds": round(time.monotonic() - start, 1),
        "first_ms": {name: round(percentile(first, part), 1) for name, part in (("p50", .5), ("p99", .99), ("max", 1))},
        "all_ms": {name: round(percentile(every, part), 1) for name, part in (("p50", .5), ("p99", .99), ("max", 1))},
        **inside, "cpu_s": round(process_figures(pid)["cpu_s"] - begun, 1),
    }


async def gaps(model):
    return [1000 * value for value in json.loads((await call(model, "GET", "/gaps"))[1])]


def summary(values):
    return {"steps": len(values), "p50_ms": round(percentile(values, .5), 3), "p99_ms": round(percentile(values, .99), 3)}


# ---------------------------------------------------------------- what is measured
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def ready(port, path, process, log):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if (await call(port, "GET", path))[0] < 500:
                return
        except OSError:
            pass
        await asyncio.sleep(0.05)
    sys.exit(f"a server does not become ready; see {log}")


class Ours:
    name = "nanobot"

    def __init__(self, binary, folder, model, turns):
        self.port, self.log = free_port(), folder + "/ours.log"
        home = folder + "/ours"
        os.makedirs(home)
        account = {"type": "openai", "max_concurrent": turns}
        settings = {
            "workers": turns, "server": {"port": self.port, "connections_per_address": 0},
            "limits": {"user": {"running": 0, "waiting": 0}},
            "providers": {
                "steps": {**account, "base_url": f"http://127.0.0.1:{model}/steps/v1"},
                "slow": {**account, "base_url": f"http://127.0.0.1:{model}/slow/v1"}}}
        Path(home, "config.json").write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            [binary, "serve", "--home", home], stdout=open(self.log, "wb"), stderr=subprocess.STDOUT)

    async def prepare(self, turns):
        await ready(self.port, "/ready", self.process, self.log)
        for number in range(turns):
            status, text = await call(self.port, "POST", "/users", {"user_id": f"u{number}"})
            if status != 201:
                sys.exit(f"a user was not made: {status} {text[:200]}")

    async def turn(self, number):
        body = {"user_id": "u0", "session_id": f"s{number}", "message": "Look around.", "model": "steps/m"}
        return (await call(self.port, "POST", "/chat", body))[0]

    def streamed(self, number):
        return "/chat", {"user_id": f"u{number}", "message": "Talk.", "stream": True, "model": "slow/m"}


class Peer:
    """The Python package's own server with its OpenAI-like interface, one process for each kind of model."""

    name = "nanobot-ai"

    def __init__(self, folder, environment, model, kind):
        self.port, self.log = free_port(), f"{folder}/peer-{kind}.log"
        home = f"{folder}/peer-{kind}"
        for name in FOLDERS:
            os.makedirs(f"{home}/workspace/{name}")
        config = {
            "agents": {"defaults": {"workspace": home + "/workspace", "model": "m", "provider": "custom"}},
            "providers": {"custom": {
                "apiKey": "k", "apiBase": f"http://127.0.0.1:{model}/{kind}/v1"}}}
        Path(home, "config.json").write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [environment + "/bin/nanobot", "serve", "--port", str(self.port), "--config", home + "/config.json"],
            stdout=open(self.log, "wb"), stderr=subprocess.STDOUT, env={**os.environ, "HOME": home})

    async def turn(self, number):
        return (await call(self.port, *self.post(number, False)))[0]

    def post(self, number, streamed):
        return "POST", "/v1/chat/completions", {
            "model": "m", "stream": streamed, "session_id": f"s{number}",
            "messages": [{"role": "user", "content": "Look around."}]}

    def streamed(self, number):
        return self.post(number, True)[1:]


async def steps(server, model, rounds):
    await server.turn(0)
    await gaps(model)
    for number in range(1, rounds + 1):
        status = await server.turn(number)
        if status != 200:
            sys.exit(f"{server.name}: a turn ended with {status}; see {server.log}")
    return summary(await gaps(model))


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()


async def measure(options, folder):
    model = free_port()
    processes = [subprocess.Popen([sys.executable, __file__, "--model-server", str(model)])]
    figures = {}
    try:
        await ready(model, "/gaps", processes[0], "the terminal")
        ours = Ours(options.binary, folder, model, options.turns)
        processes.append(ours.process)
        await ours.prepare(options.turns)
        figures["step"] = {ours.name: await steps(ours, model, options.rounds)}
        direct = [("/slow/v1/chat/completions", {"messages": [], "stream": True})] * options.turns
        figures["at once"] = {
            "direct": await streams(model, direct, processes[0].pid),
            ours.name: await streams(
                ours.port, [ours.streamed(number) for number in range(options.turns)], ours.process.pid)}
        stop(ours.process)
        if options.peer:
            for kind in ("steps", "slow"):
                peer = Peer(folder, options.peer, model, kind)
                processes.append(peer.process)
                await ready(peer.port, "/health", peer.process, peer.log)
                if kind == "steps":
                    figures["step"][peer.name] = await steps(peer, model, options.rounds)
                else:
                    figures["at once"][peer.name] = await streams(
                        peer.port, [peer.streamed(number) for number in range(options.turns)], peer.process.pid)
                stop(peer.process)
    finally:
        for process in processes:
            if process.poll() is None:
                stop(process)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?")
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--peer")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model-server", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model_server:
        try:
            asyncio.run(serve_model(options.model_server))
        except (KeyboardInterrupt, asyncio.CancelledError):
            pass
        return
    if not options.binary:
        parser.error("BINARY is missing")
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(options, folder))
    if options.json:
        print(json.dumps(figures))
        return
    for part, rows in figures.items():
        print(part)
        for name, row in rows.items():
            print(f"  {name:12}", "  ".join(f"{key} {value}" for key, value in row.items()))


main()
