#!/usr/bin/env python3
"""What share of a long conversation's input a vendor's prompt cache can give back.

    Benchmarks/cache_figures.py BINARY [--turns 100] [--json]

Starts `BINARY serve` on a home of its own under TMPDIR and a scripted model server, both on loopback, once for each wire:
questions of 100 words, answers of 300, a tool in every third turn, consolidation on. The requests the model server got are
then read with the vendors' documented rules, four bytes for a token:
  openai     the longest prefix of an earlier request, from 1,024 tokens on, in steps of 128
  anthropic  at most four marks; each writes the prefix that ends there at 1.25 times the price, and finds the longest
             prefix written up to 20 blocks before it, from 1,024 (Sonnet), 2,048 or 4,096 tokens on
Turns 3 and later are counted; requests of consolidation are shown by themselves. Exit status 1 where less than 90 % is read.
Loopback only; nothing is timed.
"""
import argparse, hashlib, http.server, json, os, re, signal, socket, subprocess, sys, tempfile, threading, time
import urllib.request
from pathlib import Path

STOCK = "market rates chips index bonds growth yield sector demand margin supply".split()
LEAST_SHARE = 0.90


def words(count, number):
    return " ".join(STOCK[(i * 7 + number * 3 + i * i) % len(STOCK)] for i in range(count))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---------------------------------------------------------------- the model server
class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests = []

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Model.requests.append(body)
        is_openai = self.path.endswith("/chat/completions")
        text = json.dumps(body["messages"], ensure_ascii=False)
        last = body["messages"][-1]
        content = last["content"] if isinstance(last["content"], list) else []
        is_result = last["role"] == "tool" or bool(content and content[-1].get("type") == "tool_result")
        turn = int(re.findall(r"Turn (\d+): ", text)[-1])
        calls, answer = False, words(300, turn)
        if "Answer with exactly two parts" in text:
            answer = "SUMMARY\n" + words(80, turn) + "\n\nFACTS\n- none"
        elif turn % 3 == 0 and not is_result:
            calls, answer = True, ""
        call_id = f"call_{len(Model.requests)}"
        if is_openai:
            message = {"role": "assistant", "content": answer}
            if calls:
                function = {"name": "list_dir", "arguments": json.dumps({"path": "memory"})}
                message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
            whole = {"choices": [{"message": message, "finish_reason": "tool_calls" if calls else "stop"}],
                     "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
        else:
            block = {"type": "text", "text": answer}
            if calls:
                block = {"type": "tool_use", "id": call_id, "name": "list_dir", "input": {"path": "memory"}}
            whole = {"type": "message", "role": "assistant", "content": [block],
                     "stop_reason": "tool_use" if calls else "end_turn", "usage": {"input_tokens": 10, "output_tokens": 5}}
        data = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


# ---------------------------------------------------------------- the vendors' rules
def size(text):
    return len(text.encode()) // 4


class OpenAICache:
    def __init__(self):
        self.before = []

    def use(self, body):
        text = json.dumps(body.get("tools", []), ensure_ascii=False)
        text += "\n".join(json.dumps(m, ensure_ascii=False) for m in body["messages"])
        common = max((len(os.path.commonprefix([text, old]).encode()) for old in self.before), default=0) // 4
        self.before = (self.before + [text])[-8:]
        return size(text), 0 if common < 1024 else common // 128 * 128, 0


class AnthropicCache:
    def __init__(self, least):
        self.least, self.written = least, set()

    def use(self, body):
        blocks = [("", b) for b in body.get("tools", []) + body.get("system", [])]
        blocks += [(m["role"], b) for m in body["messages"] for b in m["content"]]
        digest, total, ends, marks = hashlib.sha256(), 0, [], []
        for index, (role, block) in enumerate(blocks):
            plain = {k: v for k, v in block.items() if k != "cache_control"}
            text = role + json.dumps(plain, ensure_ascii=False)
            digest.update(text.encode() + b"\0")
            total += len(text.encode())
            ends.append((digest.hexdigest(), total // 4))
            if "cache_control" in block:
                marks.append(index)
        if len(marks) > 4:
            sys.exit(f"a request has {len(marks)} marks")
        found = [ends[i] for mark in marks for i in range(max(0, mark - 20), mark + 1) if ends[i][0] in self.written]
        read = max((tokens for _, tokens in found), default=0)
        self.written |= {ends[mark][0] for mark in marks if ends[mark][1] >= self.least}
        last = ends[marks[-1]][1] if marks else 0
        return total // 4, read, max(0, last - read) if last >= self.least else 0


# ---------------------------------------------------------------- the conversation
def call(port, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.loads(reply.read())


def converse(binary, wire, turns):
    """The requests of each turn, and those of consolidation."""
    Model.requests = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        provider = {"type": wire, "base_url": f"http://127.0.0.1:{server.server_port}/v1", "context_window": 200_000}
        Path(home, "config.json").write_text(json.dumps({"model": "house/m", "providers": {"house": provider}}))
        port = free_port()
        service = subprocess.Popen(
            [binary, "serve", "--home", home, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(300):
                try:
                    call(port, "/health")
                    break
                except OSError:
                    time.sleep(0.1)
            call(port, "/users", {"user_id": "alice"})
            by_turn, background, seen = [], [], 0
            for turn in range(1, turns + 1):
                call(port, "/chat", {"user_id": "alice", "message": f"Turn {turn}: " + words(98, turn)})
                # A person reads the answer meanwhile: what it has left to do in the background is done.
                while (queue := call(port, "/queue"))["queued"] + queue["running"] > 0:
                    time.sleep(0.02)
                for body in Model.requests[seen:]:
                    is_background = "Answer with exactly two parts" in json.dumps(body["messages"])
                    (background.append(body) if is_background else by_turn.append((turn, body)))
                seen = len(Model.requests)
            return by_turn, background
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(30)
            server.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for wire in ["openai", "anthropic"]:
        by_turn, background = converse(options.binary, wire, options.turns)
        for least in [1024] if wire == "openai" else [1024, 2048, 4096]:
            cache = OpenAICache() if wire == "openai" else AnthropicCache(least)
            total = read = written = 0
            for turn, body in by_turn:
                use = cache.use(body)
                if turn >= 3:
                    total, read, written = total + use[0], read + use[1], written + use[2]
            rows.append({
                "wire": wire, "from_tokens": least, "requests": len(by_turn), "consolidations": len(background),
                "input": total, "read": read, "written": written, "share": round(read / total, 4)})
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print("| wire | cached from | requests | consolidations | input tokens | read from cache | written at 1.25 | share read |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for row in rows:
            print("| {wire} | {from_tokens:,} | {requests} | {consolidations} | {input:,} | {read:,} | {written:,} | {share:.1%} |"
                  .format(**row))
    sys.exit(0 if all(row["share"] >= LEAST_SHARE for row in rows) else 1)


if __name__ == "__main__":
    main()
