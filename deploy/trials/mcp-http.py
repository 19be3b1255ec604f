#!/usr/bin/env python3
"""A public MCP server over Streamable HTTP (FastMCP of PyPI's `mcp`) behind a built nanobot, with a scripted model.

    python3 -m venv DIR && DIR/bin/pip install 'mcp==1.30.0'
    DIR/bin/python deploy/trials/mcp-http.py BINARY

Loopback only. Exit: 0 when a tool answers; what the server asks in mid-call on its own stream (roots, sampling, ping) is answered
at once; a tool that appears is offered to the next chat without another call; and the sessions end with a DELETE.
"""
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

SERVER = '''
import sys
from mcp.server.fastmcp import Context, FastMCP
from mcp import types

app = FastMCP("trial", host="127.0.0.1", port=int(sys.argv[1]), log_level="INFO")


@app.tool()
def add(a: int, b: int) -> int:
    return a + b


@app.tool()
async def ask(ctx: Context) -> str:
    await ctx.session.send_ping()
    roots = (await ctx.session.list_roots()).roots
    try:
        message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="hi"))
        await ctx.session.create_message([message], max_tokens=5)
        sampled = "sampled"
    except Exception as error:
        sampled = str(error)
    return f"roots {len(roots)}; {sampled}"


@app.tool()
async def grow(ctx: Context) -> str:
    app.add_tool(lambda: "here", name="grown", description="appeared")
    await ctx.session.send_tool_list_changed()
    return "grown"


app.run("streamable-http")
'''


class Model(http.server.BaseHTTPRequestHandler):
    """Calls the tool that the user's message names, then repeats what it said; "tools" names those on offer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = asked["messages"][-1]
        offered = sorted(t["function"]["name"] for t in asked.get("tools", []) if "mcp_" in t["function"]["name"])
        words = str(last["content"]).split("\n")[0].split(" ", 1)
        if last["role"] == "tool":
            delta = {"content": last["content"]}
        elif words[0] == "tools":
            delta = {"content": ",".join(offered)}
        else:
            call = {"name": "mcp_web_" + words[0], "arguments": words[1] if len(words) > 1 else "{}"}
            delta = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": call}]}
        reason = "tool_calls" if "tool_calls" in delta else "stop"
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(check, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := check():
                return found
        except OSError:
            pass
        threading.Event().wait(0.1)
    raise SystemExit(f"in vain: {what}")


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    work = pathlib.Path(tempfile.mkdtemp())
    model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    web, port = free_port(), free_port()
    (work / "server.py").write_text(SERVER)
    log = open(work / "server.log", "w")
    server = subprocess.Popen([sys.executable, str(work / "server.py"), str(web)], stdout=log, stderr=log)
    until(lambda: socket.create_connection(("127.0.0.1", web), 1), "the MCP server")
    home = work / "home"
    home.mkdir()
    (home / "config.json").write_text(json.dumps({
        "model": "local/m", "server": {"port": port},
        "providers": {"local": {"type": "openai", "base_url": f"http://127.0.0.1:{model.server_address[1]}/v1"}},
        "tools": {"mcp_servers": {"web": {"url": f"http://127.0.0.1:{web}/mcp", "timeout_s": 20}}}}))
    subprocess.run([binary, "create-user", "alice", "--home", str(home)], check=True, stdout=subprocess.DEVNULL)
    nanobot = subprocess.Popen([binary, "serve", "--home", str(home)], stdout=log, stderr=log)
    try:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5), "nanobot")

        def chat(message):
            body = json.dumps({"user_id": "alice", "message": message, "session_id": os.urandom(4).hex(), "wait": 60})
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/chat", body.encode(), {"Content-Type": "application/json"})
            begin = time.monotonic()
            answer = json.load(urllib.request.urlopen(request, timeout=90))["response"]
            print(f"{message!r} → {answer[:300]!r} in {time.monotonic() - begin:.1f} s")
            return answer, time.monotonic() - begin

        assert "mcp_web_add" in chat("tools")[0]
        assert "42" in chat('add {"a": 40, "b": 2}')[0]
        answer, seconds = chat("ask")
        assert "roots 0" in answer and "not offered" in answer and seconds < 10, answer
        chat("grow")
        until(lambda: "mcp_web_grown" in chat("tools")[0], "the tool that appeared", 10)
        assert "here" in chat("grown")[0]
    finally:
        nanobot.send_signal(signal.SIGTERM)
        nanobot.wait(60)
        log.flush()
        said = (work / "server.log").read_text()
        server.kill()
    assert '"GET /mcp HTTP/1.1" 200' in said, said[-3000:]
    assert '"DELETE /mcp HTTP/1.1" 200' in said, said[-3000:]
    print("all held; GETs", said.count('"GET /mcp'), "DELETEs", said.count('"DELETE /mcp'))


main()
