#!/usr/bin/env python3
"""Tokens of an identity provider, made by PyJWT, its keys by HTTP: who gets in, who does not, and what a change of keys does.

    python3 -m venv V && V/bin/pip install 'pyjwt[crypto]' && V/bin/python deploy/trials/identity-provider.py BINARY

On loopback. Ends with 0 if all held.
"""
import base64, http.server, json, os, socket, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

binary = os.path.realpath(sys.argv[1])
failures = []


def check(what, held, more=""):
    print(("ok      " if held else "FAILED  ") + what + (f": {more}" if not held else ""))
    if not held:
        failures.append(what)


def key(kind):
    return rsa.generate_private_key(65537, 2048) if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())


def jwk(private, kind, name):
    algorithm = jwt.algorithms.RSAAlgorithm if kind == "RS256" else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(private.public_key())), "kid": name, "alg": kind, "use": "sig"}


keys = {"r1": ("RS256", key("RS256")), "e1": ("ES256", key("ES256"))}
asked = []


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked.append(self.path)
        body = json.dumps({"keys": [jwk(private, kind, name) for name, (kind, private) in keys.items()]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=provider.serve_forever, daemon=True).start()
home = tempfile.mkdtemp(prefix="nanobot-jwt-")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
with open(f"{home}/config.json", "w") as file:
    json.dump({"server": {"port": port, "jwt": {
        "jwks_url": f"http://127.0.0.1:{provider.server_address[1]}/jwks.json", "issuer": "https://id.test", "audience": "nanobot",
        "admin_scope": "nanobot:admin", "read_scope": "nanobot:read"}}}, file)
for user in ["alice", "bob"]:
    subprocess.run([binary, "create-user", user, "--home", home], check=True, stdout=subprocess.DEVNULL)
with open(f"{home}/log", "wb") as log:
    service = subprocess.Popen([binary, "serve", "--home", home], stdout=log, stderr=log)


def token(name="r1", user="alice", private=None, kind=None, drop=(), **claims):
    now = int(time.time())
    body = {"iss": "https://id.test", "aud": "nanobot", "sub": user, "iat": now, "exp": now + 600, **claims}
    for claim in drop:
        body.pop(claim)
    return jwt.encode(body, private or keys[name][1], algorithm=kind or keys[name][0], headers={"kid": name})


def status(bearer, path="/users/alice", method="GET", body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Authorization": f"Bearer {bearer}"}, method=method)
    if body:
        request.add_header("Content-Type", "application/json")
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code


def is_status(what, expected, bearer, *arguments):
    found = status(bearer, *arguments)
    check(f"{what}: {expected}", found == expected, found)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


try:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
            break
        except OSError:
            time.sleep(0.05)
    is_status("RS256, herself", 200, token())
    is_status("ES256, herself", 200, token("e1"))
    is_status("another user, as if absent", 404, token(user="bob"))
    is_status("a user nobody has created", 404, token(user="carol"), "/users/carol")
    is_status("a list among the audiences", 200, token(aud=["other", "nanobot"]))
    is_status("users by a user", 403, token(), "/users")
    is_status("users by an admin's scope", 200, token(user="ops", scope="openid nanobot:admin"), "/users")
    is_status("a reader reads", 200, token(scope="nanobot:read"))
    is_status("a reader changes nothing", 403, token(scope="nanobot:read"), "/users/alice/watchlist", "PUT", b'{"stocks": []}')
    now = int(time.time())
    for what, bad in [
        ("expired", token(exp=now - 120)), ("not yet valid", token(nbf=now + 600)), ("of another issuer", token(iss="https://evil.test")),
        ("for another audience", token(aud="shop")), ("without an end", token(drop=["exp"])), ("without a user", token(drop=["sub"])),
        ("signed by another key", token(private=key("RS256"))),
        ("its text changed", ".".join([token().split(".")[0], part({"iss": "https://id.test", "aud": "nanobot", "sub": "alice", "exp": now + 600}),
                                       token().split(".")[2]])),
        ("signed by nothing", f'{part({"alg": "none", "kid": "r1"})}.{token().split(".")[1]}.'),
        ("an HMAC with the public key as its secret", f'{part({"alg": "HS256", "kid": "r1"})}.{token().split(".")[1]}.{"A" * 43}'),
        ("rubbish", "a.b.c"),
    ]:
        is_status(what, 401, bad)
    before = len(asked)
    for _ in range(50):
        status(token("unknown", private=key("RS256"), kind="RS256"))
    check("unknown keys do not turn into a flood of questions", len(asked) - before <= 2, f"{len(asked) - before} questions")
    keys["r2"] = ("RS256", key("RS256"))
    found = 401
    end = time.monotonic() + 90
    while found == 401 and time.monotonic() < end:
        found = status(token("r2"))
        time.sleep(1)
    check("a new key of the provider is learnt when a token names it", found == 200, found)
    provider.shutdown()
    provider.server_close()
    is_status("the provider is away: known keys go on", 200, token())
finally:
    service.terminate()
    service.wait()
    subprocess.run(["rm", "-rf", home])
sys.exit(1 if failures else 0)
