#!/usr/bin/env python3
"""A page of another origin in a real browser: can it call what it may, read what it must, follow a stream, and can no other page?

    deploy/trials/browser-origin.py BINARY

Needs chromium (Debian's package). Two pages on two ports of loopback, of which `server.cors_origins` lists the first, run the calls in headless Chromium and
tell this program what came. Says what it checks, and ends with 0 if all held.
"""
import http.server, json, os, queue, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request

binary = os.path.realpath(sys.argv[1])
chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not chromium:
    sys.exit("chromium is missing: apt install chromium")
work = tempfile.mkdtemp(prefix="nanobot-browser-")
home = f"{work}/home"
os.mkdir(home)
failures = []


def check(what, held, more=""):
    print(("ok    " if held else "FAILED ") + what + (f": {more}" if more != "" and not held else ""), flush=True)
    if not held:
        failures.append(what)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


port, listed, other = free_port(), free_port(), free_port()
api = f"http://127.0.0.1:{port}"
with open(f"{home}/config.json", "w") as file:
    json.dump({"server": {"cors_origins": [f"http://127.0.0.1:{listed}"], "port": port}, "workers": 2}, file)


class Service:
    process = None

    def start(self):
        self.process = subprocess.Popen([binary, "serve", "--home", home], stdout=subprocess.DEVNULL, stderr=open(f"{work}/log", "a"))
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{api}/health", timeout=2).read()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"the service does not start: {work}/log")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)


service = Service()


def run(*arguments):
    return subprocess.run([binary, *arguments, "--home", home], check=True, capture_output=True, text=True).stdout.strip()


def call(method, path, body=None, token=None):
    request = urllib.request.Request(api + path, method=method, data=None if body is None else json.dumps(body).encode())
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    return json.loads(urllib.request.urlopen(request, timeout=60).read() or b"null")


results = queue.Queue()
PAGE = """<!doctype html><meta charset="utf-8"><title>trial</title><script type="module">
const q = Object.fromEntries(new URLSearchParams(location.search)), api = q.api
const auth = q.token ? {Authorization: `Bearer ${q.token}`} : {}
const json = {"Content-Type": "application/json"}
async function ask(name, method, path, headers = {}, body) {
  try {
    const r = await fetch(api + path, {method, headers, body: body && JSON.stringify(body)})
    const read = ["etag", "location", "retry-after", "x-request-id", "link", "x-job-id", "x-session-id", "preference-applied"]
    const text = await r.text()
    let data = null
    try { data = JSON.parse(text) } catch {}
    return {name, status: r.status, headers: Object.fromEntries(read.map(h => [h, r.headers.get(h)])), data, text}
  } catch (error) { return {name, failed: String(error)} }
}
const helper = path => fetch(path, {method: "POST"}).then(r => r.text())
function follow(url, onEvent = () => {}, until = 60000) {
  return new Promise(end => {
    const stream = new EventSource(url), seen = []
    const finish = how => { stream.close(); end({how, seen, state}) }
    let state = null
    const timer = setTimeout(() => finish("timeout"), until)
    for (const type of ["message", "status", "delta", "tool", "error", "done", "reset"]) stream.addEventListener(type, event => {
      if (type == "error" && event.data === undefined) {
        state = stream.readyState
        seen.push("lost")
        if (state == EventSource.CLOSED) { clearTimeout(timer); finish("closed") }
        return
      }
      seen.push(event.data === "" ? "EMPTY" : type)
      onEvent(type, event, seen)
    })
  })
}
const out = []
const say = async step => { out.push(step); return step }
const script = {
  async listed() {
    const user = await say(await ask("GET", "GET", "/users/alice", auth))
    await say(await ask("GET again", "GET", "/users/alice", {...auth, "If-None-Match": user.headers.etag}))
    await say(await ask("PUT right If-Match", "PUT", "/users/alice/preferences", {...auth, ...json, "If-Match": user.headers.etag}, {language: "en"}))
    await say(await ask("PUT wrong If-Match", "PUT", "/users/alice/preferences", {...auth, ...json, "If-Match": '"1-0"'}, {language: "en"}))
    await say(await ask("POST chat", "POST", "/chat", {...auth, ...json, "Idempotency-Key": "k1"}, {user_id: "alice", message: "hello"}))
    await say(await ask("PATCH", "PATCH", "/users/alice/sessions/default", {...auth, ...json}, {title: "From a page"}))
    await say(await ask("POST report", "POST", "/reports", {...auth, ...json}, {user_id: "alice"}))
    await say(await ask("POST v1", "POST", "/v1/chat/completions", {...auth, ...json, "X-Stainless-Lang": "js"}, {model: "nanobot", messages: [{role: "user", content: "hi"}], user: "alice"}))
    await say(await ask("DELETE", "DELETE", "/users/alice/sessions/default", auth))
    await say(await ask("401", "GET", "/users/alice"))
    await say(await ask("404", "GET", "/users/nobody", auth))
    await say(await ask("405", "PUT", "/chat", {...auth, ...json}, {}))
    await say(await ask("422", "PUT", "/users/alice/preferences", {...auth, ...json}, {report_time: "25:00"}))
    await say(await ask("413", "POST", "/chat", {...auth, ...json}, {user_id: "alice", message: "x".repeat(1100000)}))
    const streamed = await ask("fetch stream", "POST", "/chat", {...auth, ...json}, {user_id: "alice", message: "hello", stream: true})
    await say(streamed)
    // A job that waits: its stream is open when the service is started again.
    await helper("/pause")
    const job = await ask("", "POST", "/chat?wait=0", {...auth, ...json}, {user_id: "alice", message: "hello"})
    const path = `/jobs/${job.data.job_id}/events`
    const ticket = await say(await ask("ticket", "POST", "/users/alice/stream-tickets", {...auth, ...json}, {path}))
    const url = `${api}${path}?ticket=${ticket.data.ticket}`
    let second
    const first = await follow(url, async (type, event, seen) => {
      if (seen.length != 1) return
      second = await follow(url, () => {}, 5000)
      await helper("/kill")
      await new Promise(wake => setTimeout(wake, 500))
      await helper("/resume")
    })
    await say({name: "EventSource over a restart", ...first})
    await say({name: "second EventSource", ...second})
    await say({name: "EventSource of another path", ...await follow(`${api}/jobs/${streamed.text.match(/[0-9a-f-]{36}/)[0]}/events?ticket=${ticket.data.ticket}`, () => {}, 5000)})
    await say({name: "EventSource without a ticket", ...await follow(`${api}${path}`, () => {}, 5000)})
  },
  async other() {
    await say(await ask("GET", "GET", "/users/alice", auth))
    await say(await ask("POST", "POST", "/chat", {...auth, ...json}, {user_id: "alice", message: "hello"}))
    await say({name: "EventSource", ...await follow(`${api}/jobs/${q.job}/events`, () => {}, 5000)})
  },
  async open() {
    await say(await ask("GET", "GET", "/users/alice"))
    await say(await ask("POST", "POST", "/chat", json, {user_id: "alice", message: "hello"}))
    await say({name: "EventSource", ...await follow(`${api}/jobs/${q.job}/events`, () => {}, 8000)})
  },
}
try { await script[q.script]() } catch (error) { out.push({name: "script", failed: String(error.stack)}) }
await fetch("/result", {method: "POST", body: JSON.stringify(out)})
</script>"""


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path.startswith("/page") else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/result":
            results.put(json.loads(body))
        elif self.path == "/kill":
            service.stop(signal.SIGKILL)
            service.start()
        elif self.path in ("/pause", "/resume"):
            call("POST", f"/queue{self.path}", token=admin)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


for page_port in (listed, other):
    threading.Thread(target=http.server.ThreadingHTTPServer(("127.0.0.1", page_port), Pages).serve_forever, daemon=True).start()


def browse(page_port, script, **values):
    query = "&".join(f"{name}={value}" for name, value in dict(values, api=api, script=script).items())
    browser = subprocess.Popen(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={work}/{script}{page_port}",
         f"http://127.0.0.1:{page_port}/page?{query}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        steps = results.get(timeout=150)
    except queue.Empty:
        sys.exit(f"the page {script} says nothing; log: {work}/log")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    return {step["name"]: step for step in steps}


def status(steps, name):
    return steps.get(name, {}).get("status") or steps.get(name)


# MARK: an open service

run("create-user", "alice")
service.start()
job = call("POST", "/chat", {"user_id": "alice", "message": "hello"})["job_id"]
steps = browse(listed, "open", job=job)
check("without tokens a listed page may read", status(steps, "GET") == 200, steps)
check("without tokens a listed page may post JSON", status(steps, "POST") == 200, steps)
check("without tokens a listed page follows a stream", "done" in steps["EventSource"]["seen"], steps)
check("at the end of the stream EventSource is told not to come back", steps["EventSource"]["how"] == "closed", steps["EventSource"])
steps = browse(other, "open", job=job)
check("without tokens another page reads nothing", "failed" in steps["GET"] and "failed" in steps["POST"], steps)
check("without tokens another page follows no stream", steps["EventSource"]["seen"] == ["lost"], steps["EventSource"])

# MARK: a closed service

admin = run("token", "create", "--admin", "--json")
admin = json.loads(admin)["token"]
token = json.loads(run("token", "create", "alice", "--json"))["token"]
steps = browse(listed, "listed", token=token)
check("the page's script ran to its end", "script" not in steps, steps.get("script"))
wanted = {"GET": 200, "GET again": 304, "PUT right If-Match": 200, "PUT wrong If-Match": 412, "POST chat": 200, "PATCH": 200, "POST report": 202,
          "POST v1": 200, "DELETE": 204, "401": 401, "404": 404, "405": 405, "422": 422, "413": 413, "fetch stream": 200, "ticket": 201}
for name, code in wanted.items():
    step = steps.get(name, {})
    # fetch gives 304 to a page that sent If-None-Match itself.
    check(f"{name}: the page reads {code}", step.get("status") == code, step)
    if "status" in step:
        check(f"{name}: the page reads X-Request-Id", bool(step["headers"]["x-request-id"]), step["headers"])
for name, header in [("GET", "etag"), ("POST report", "location"), ("POST report", "retry-after"), ("POST v1", "x-job-id"), ("POST v1", "x-session-id")]:
    check(f"{name}: the page reads {header}", bool(steps.get(name, {}).get("headers", {}).get(header)), steps.get(name))
for name, code in [("401", "unauthorized"), ("404", "user_not_found"), ("422", "invalid_field"), ("PUT wrong If-Match", "version_conflict")]:
    check(f"{name}: the page reads the code {code}", (steps.get(name, {}).get("data") or {}).get("code") == code, steps.get(name))
stream = steps.get("EventSource over a restart", {})
seen = stream.get("seen", [])
print(f"      events over the restart: {seen}, then {stream.get('how')}")
check("EventSource with a ticket goes on after the service was killed and started", "lost" in seen and "done" in seen, stream)
check("after the end EventSource is told not to come back", stream.get("how") == "closed", stream)
check("EventSource gets no empty message", "EMPTY" not in seen, seen)
check("a second reader with the ticket is refused", steps.get("second EventSource", {}).get("seen") == ["lost"], steps.get("second EventSource"))
check("the ticket opens no other path", steps.get("EventSource of another path", {}).get("seen") == ["lost"], steps)
check("without a ticket there is no stream", steps.get("EventSource without a ticket", {}).get("seen") == ["lost"], steps)
steps = browse(other, "other", token=token, job=job)
check("another page reads nothing, even with a token", "failed" in steps["GET"] and "failed" in steps["POST"], steps)
check("another page follows no stream", steps["EventSource"]["seen"] == ["lost"], steps["EventSource"])
logs = open(f"{work}/log").read() + "".join(open(f"{home}/audit/{name}").read() for name in os.listdir(f"{home}/audit"))
check("no log holds a ticket", "nbs_" not in logs and "ticket=" not in logs)
service.stop()
shutil.rmtree(work, ignore_errors=True)
print("all held" if not failures else f"{len(failures)} failed")
sys.exit(1 if failures else 0)
