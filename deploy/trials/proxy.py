#!/usr/bin/env python3
"""A model behind a company's proxy and its own certificate authority: does a chat get its answer by that way, and by no other?

    deploy/trials/proxy.py BINARY

On loopback: a model server with TLS whose name, models.test, nothing here can look up; a proxy with a password that knows it.
Needs openssl. Says what it checks, and ends with 0 if all held.
"""
import base64, http.server, json, os, socket, ssl, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request

binary = os.path.realpath(sys.argv[1])
work = tempfile.mkdtemp(prefix="nanobot-proxy-")
failures = []


def check(what, held, more=""):
    print(("ok    " if held else "FAILED ") + what + (f": {more}" if more and not held else ""))
    if not held:
        failures.append(what)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=a company")
openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "model.key", "-out", "model.csr", "-subj", "/CN=models.test")
with open(f"{work}/ext", "w") as file:
    file.write("subjectAltName=DNS:models.test\n")
openssl("x509", "-req", "-in", "model.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "model.pem", "-days", "2",
        "-extfile", "ext")

asked, tunnels = [], []


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked.append((self.path, self.headers.get("Authorization"), self.headers.get("Proxy-Authorization")))
        pieces = [{"choices": [{"index": 0, "delta": {"content": "by the tunnel"}}]},
                  {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                   "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}]
        if question.get("stream"):
            body = "".join("data: " + json.dumps(piece) + "\n\n" for piece in pieces) + "data: [DONE]\n\n"
            kind = "text/event-stream"
        else:
            body = json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "by the tunnel"}}],
                               "usage": pieces[1]["usage"]})
            kind = "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{work}/model.pem", f"{work}/model.key")
model.socket = context.wrap_socket(model.socket, server_side=True)
threading.Thread(target=model.serve_forever, daemon=True).start()

proxy = socket.create_server(("127.0.0.1", 0))
password = "Basic " + base64.b64encode(b"user:pass-word").decode()


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def tunnel(client):
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(65536)
        if not data:
            return
        head += data
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    tunnels.append((lines[0], headers))
    if headers.get("proxy-authorization") != password.lower():
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return client.close()
    if lines[0] != "CONNECT models.test:443 HTTP/1.1":
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return client.close()
    server = socket.create_connection(model.server_address)
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def serve_proxy():
    while True:
        client, _ = proxy.accept()
        threading.Thread(target=tunnel, args=(client,), daemon=True).start()


threading.Thread(target=serve_proxy, daemon=True).start()
address = f"127.0.0.1:{proxy.getsockname()[1]}"


def chat(**environment):
    """One chat of a new service; its last view."""
    home = tempfile.mkdtemp(dir=work)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(f"{home}/config.json", "w") as file:
        json.dump({"model": "company/m", "server": {"port": port}, "providers": {
            "company": {"type": "openai", "base_url": "https://models.test/v1", "api_key_env": "COMPANY_KEY"}}}, file)
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and name != "SSL_CERT_FILE"}
    environment = {**clean, "COMPANY_KEY": "model-key", **environment}
    subprocess.run([binary, "create-user", "alice", "--home", home], check=True, stdout=subprocess.DEVNULL, env=environment)
    with open(f"{home}/log", "wb") as log:
        service = subprocess.Popen([binary, "serve", "--home", home], stdout=log, stderr=log, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(url + "/ready").close()
                break
            except OSError:
                time.sleep(0.05)
        request = urllib.request.Request(url + "/jobs", json.dumps(
            {"kind": "chat", "user_id": "alice", "message": "hello", "max_attempts": 1}).encode(), {"Content-Type": "application/json"})
        job = json.load(urllib.request.urlopen(request))["job_id"]
        return json.load(urllib.request.urlopen(f"{url}/jobs/{job}?wait=60"))
    finally:
        service.terminate()
        service.wait()


good = f"http://user:pass-word@{address}"
view = chat(HTTPS_PROXY=good, SSL_CERT_FILE=f"{work}/ca.pem")
check("a chat is answered through the tunnel", view.get("response") == "by the tunnel", json.dumps(view))
check("the model got its own key and not the proxy's", asked[-1:] == [("/v1/chat/completions", "Bearer model-key", None)], str(asked[-1:]))
check("the proxy never saw the model's key", all("authorization" not in headers for _, headers in tunnels), str(tunnels))

before = len(asked)
view = chat(HTTPS_PROXY=good)
check("an unknown authority is refused, and said so", view["status"] == "failed" and "certificate" in json.dumps(view["error"]).lower(), json.dumps(view))
view = chat(HTTPS_PROXY=f"http://user:wrong@{address}", SSL_CERT_FILE=f"{work}/ca.pem")
check("a wrong password is said to be the proxy's", view["status"] == "failed" and "407" in json.dumps(view["error"]), json.dumps(view))
check("no password stands in an error", "wrong" not in json.dumps(view["error"]), json.dumps(view))
count = len(tunnels)
view = chat(HTTPS_PROXY=good, NO_PROXY="models.test", SSL_CERT_FILE=f"{work}/ca.pem")
check("NO_PROXY goes past the proxy, where the name is unknown", view["status"] == "failed" and len(tunnels) == count, json.dumps(view))
check("none of those reached the model", len(asked) == before)
subprocess.run(["rm", "-rf", work])
sys.exit(1 if failures else 0)
