#!/usr/bin/env python3
"""What a hostile report costs the service beside plain prose of the same size, asked for as HTML.

    Benchmarks/hostile_report.py BINARY [KiB, default 234]

On loopback, with the offline model. Each text is put in place of a report's Markdown and asked for twice; the lower CPU time of the
process counts (user and system, /proc/PID/stat). Prints a table. Ends with 1 if a text costs over 10 times plain prose.
"""
import json, os, subprocess, sys, tempfile, time, urllib.request, socket

binary = os.path.realpath(sys.argv[1])
size = (int(sys.argv[2]) if len(sys.argv) > 2 else 234) * 1024
texts = {
    "brackets": "[a](", "emphasis": "*a* ", "emphasis, open": "a*", "strong, open": "**a", "underscores": "_a_ ",
    "backticks": "`a``b```", "quotes": "> > > > a\n", "nested lists": "- a\n  - b\n", "tables": "|a|b|\n|-|-|\n|c|d|\n",
    "entities": "&amp;&lt;&#x41;", "images": "![a](b) ", "links": "[a](http://b) ", "references": "[a]: b\n",
    "HTML": "<b>a</b>", "fences": "```\na\n```\n", "empty lines": "\n", "a long line": "a", "marks on a letter": "\u0316\u0301",
}
prose = "The quick brown fox jumps over the lazy dog, and nobody minds at all. " * 40 + "\n\n"


def filled(piece):
    return (piece * (size // len(piece.encode()) + 1)).encode()[:size].decode(errors="ignore").encode()


home = tempfile.mkdtemp(prefix="nanobot-hostile-")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
with open(f"{home}/config.json", "w") as file:
    json.dump({"server": {"port": port}}, file)
subprocess.run([binary, "create-user", "alice", "--home", home], check=True, stdout=subprocess.DEVNULL)
log = open(f"{home}/log", "w")
service = subprocess.Popen([binary, "serve", "--home", home], stdout=log, stderr=log)


def call(method, path, body=None, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return answer.read()


def cpu():
    fields = open(f"/proc/{service.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(text):
    call("PUT", f"/users/alice/file?path=reports/{report}.md", text, **{"Content-Type": "text/markdown"})
    best = None
    for _ in range(2):
        before = cpu()
        call("GET", f"/reports/{report}", Accept="text/html")
        best = min(cpu() - before, best if best is not None else 1e9)
    return best


try:
    for _ in range(200):
        try:
            call("GET", "/health")
            break
        except OSError:
            time.sleep(0.05)
    made = call("POST", "/reports", b'{"user_id":"alice"}', **{"Content-Type": "application/json"})
    report = json.loads(made)["report_id"]
    call("GET", f"/reports/{report}?wait=30")
    # The kernel counts hundredths of a second: less cannot be told apart.
    plain = max(cost(filled(prose)), 0.02)
    print(f"| {size // 1024} KiB of | s of CPU | beside prose |\n|---|---:|---:|\n| plain prose | {plain:.2f} | 1.0 |")
    worst = 0.0
    for name, piece in texts.items():
        seconds = cost(filled(piece))
        worst = max(worst, seconds / plain)
        print(f"| {name} | {seconds:.2f} | {seconds / plain:.1f} |", flush=True)
    print(f"worst: {worst:.1f} times plain prose")
finally:
    service.terminate()
    service.wait(60)
sys.exit(0 if worst <= 10 else 1)
