#!/usr/bin/env python3
"""Clients generated from openapi.json read every answer of a tour of the service.

    deploy/generated-clients.py BINARY

openapi-python-client makes the calls: each answer must have the type that the description promises, with no member that the
type lacks. datamodel-codegen makes pydantic models that forbid unknown members: each JSON answer must be one of them. The
requests of the tour are checked against the description, too. The tour uses loopback and the offline model only.

The generators are pinned and installed from PyPI into .build/tools/clients. Exit: 0 all well, 1 an answer or a request is not
as described, 69 the generators or the binary cannot be had.
"""
import importlib
import inspect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = ROOT / "Sources" / "API" / "Assets" / "openapi.json"
TOOLS = ROOT / ".build" / "tools" / "clients"
PINNED = [
    "openapi-python-client==0.29.1", "datamodel-code-generator==0.89.0", "pydantic==2.14.4", "jsonschema==4.26.0",
    "rfc3339-validator==0.1.4",
]
METHODS = ("get", "put", "post", "patch", "delete")


def fail(status, text):
    print(f"generated-clients.py: {text}", file=sys.stderr)
    sys.exit(status)


def install():
    """Makes the environment of the generators once for each set of pins."""
    python = TOOLS / "bin" / "python"
    mark = TOOLS / "pins"
    if python.exists() and mark.exists() and mark.read_text() == "\n".join(PINNED):
        return python
    shutil.rmtree(TOOLS, ignore_errors=True)
    TOOLS.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run([sys.executable, "-m", "venv", TOOLS], capture_output=True, text=True)
    if made.returncode != 0:
        fail(69, f"no virtual environment can be made (apt install python3-venv): {made.stdout}{made.stderr}")
    pip = subprocess.run([python, "-m", "pip", "install", "-q", "--retries", "2", *PINNED], capture_output=True, text=True)
    if pip.returncode != 0:
        fail(69, "the generators cannot be installed from PyPI; this check needs it once:\n" + pip.stderr[-2000:])
    mark.write_text("\n".join(PINNED))
    return python


def generate(folder):
    """Writes the client and the models into the folder. A call that a generator leaves out is a failure."""
    document = json.loads(SPEC.read_text(encoding="utf-8"))
    bin_folder = TOOLS / "bin"
    run = subprocess.run(
        [bin_folder / "openapi-python-client", "generate", "--path", SPEC, "--output-path", folder / "client", "--meta", "none",
         "--config", written(folder / "client.yml", "post_hooks: []\ncontent_type_overrides:\n  application/x-tar: application/octet-stream\n")],
        capture_output=True, text=True)
    warnings = run.stdout + run.stderr
    if run.returncode != 0 or "WARNING" in warnings or "ERROR" in warnings:
        fail(1, f"openapi-python-client does not take the whole description:\n{warnings}")
    hoisted = written(folder / "hoisted.json", json.dumps(with_named_answers(document)))
    run = subprocess.run(
        [bin_folder / "datamodel-codegen", "--input", hoisted, "--input-file-type", "openapi", "--output", folder / "models.py",
         "--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11",
         "--formatters", "builtin"],
        capture_output=True, text=True)
    if run.returncode != 0:
        fail(1, f"datamodel-codegen does not take the description:\n{run.stderr[-3000:]}")
    return document


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def answer_name(operation, status):
    return f"Answer{operation[0].upper()}{operation[1:]}{status.capitalize()}"


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def responses(document, operation):
    for status, response in operation["responses"].items():
        if "$ref" in response:
            response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        yield status, response


def with_named_answers(document):
    """Each JSON answer as a schema with a name, so that a model is made for it."""
    document = closed(document)
    for _, _, operation in operations(document):
        for status, response in responses(document, operation):
            for kind, content in response.get("content", {}).items():
                if "json" in kind:
                    document["components"]["schemas"][answer_name(operation["operationId"], status)] = content["schema"]
    return document


def closed(node):
    """Objects that name their members have no others, unless the description says so with `additionalProperties`."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: value if key in ("example", "examples") else closed(value) for key, value in node.items()}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    elif made.get("type") == "object":
        made.setdefault("additionalProperties", True)
    return made


# MARK: - In the environment of the generators


class Tour:
    """Calls operations by their ids, and checks what they answer."""

    def __init__(self, folder, document, url, token):
        sys.path.insert(0, str(folder))
        import pydantic
        from client.client import AuthenticatedClient, Client

        self.models = importlib.import_module("models")
        self.types = importlib.import_module("client.types")
        self.document = document
        self.adapter = pydantic.TypeAdapter
        self.operations = {op["operationId"]: (path, method, op) for path, method, op in operations(document)}
        self.modules = self.find_modules(folder)
        self.admin = AuthenticatedClient(base_url=url, token=token, timeout=100)
        self.nobody = Client(base_url=url, timeout=100)
        self.url, self.token = url, token
        self.called, self.faults = set(), []

    def find_modules(self, folder):
        found = {}
        for path in (folder / "client" / "api").rglob("*.py"):
            found[path.stem.replace("_", "").lower()] = "client.api." + ".".join(path.relative_to(folder / "client" / "api").with_suffix("").parts)
        return found

    def with_token(self, token):
        from client.client import AuthenticatedClient

        return AuthenticatedClient(base_url=self.url, token=token, timeout=100)

    def call(self, operation, expected, *path, body=None, client=None, **arguments):
        """Makes one call by the generated function. - Returns: the parsed answer and its JSON (or bytes)."""
        module = importlib.import_module(self.modules[operation.lower()])
        function = module.sync_detailed
        if body is not None:
            arguments["body"] = self.body(operation, function, body)
        try:
            answer = function(*path, client=client or self.admin, **arguments)
            # As clients do where the service asks for it: a job's record is in use for a moment after the job has ended.
            for _ in range(5):
                if int(answer.status_code) != 503 or expected == 503:
                    break
                time.sleep(float(answer.headers.get("retry-after", "1")))
                answer = function(*path, client=client or self.admin, **arguments)
        except Exception as error:  # A generated parser fails with KeyError, ValueError, TypeError …
            self.faults.append(f"{operation}: the generated client cannot read the answer: {error!r}")
            return None, {}
        status = int(answer.status_code)
        where = f"{operation} {status}"
        self.called.add((operation, status))
        if status != expected:
            self.faults.append(f"{where}: {expected} was expected: {answer.content[:300]!r}")
        kind = answer.headers.get("content-type", "").split(";")[0]
        if "json" not in kind:
            return answer.parsed, answer.content
        data = json.loads(answer.content)
        self.check_described(operation, status, kind, where)
        self.check_model(operation, status, data, where)
        if status < 400 or answer.parsed is not None:
            self.check_parsed(answer.parsed, data, where)
        return answer.parsed, data

    def body(self, operation, function, data):
        """The body as the generated type, which must give the same JSON back."""
        if isinstance(data, bytes):
            import io

            return self.types.File(payload=io.BytesIO(data), mime_type="application/octet-stream")
        self.check_request(operation, data)
        hint = inspect.signature(function).parameters["body"].annotation
        for candidate in getattr(hint, "__args__", (hint,)):
            if hasattr(candidate, "from_dict") and isinstance(data, dict):
                made = candidate.from_dict(dict(data))
                self.check_same(made.to_dict(), data, f"body of {operation}")
                return made
        if isinstance(data, list):
            return data
        raise AssertionError(f"{operation} takes no JSON object")

    def check_request(self, operation, data):
        _, _, described = self.operations[operation]
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        for error in validator(self.document, schema).iter_errors(data):
            self.faults.append(f"{operation}: the request {str(data)[:200]} is outside the description: {error.message}")

    def check_described(self, operation, status, kind, where):
        _, _, described = self.operations[operation]
        listed = dict(responses(self.document, described))
        response = listed.get(str(status), listed.get("default", {}))
        if kind not in response.get("content", {}):
            self.faults.append(f"{where}: {kind} is not described")

    def check_model(self, operation, status, data, where):
        names = [answer_name(operation, str(status)), answer_name(operation, "default")]
        model = next((getattr(self.models, name) for name in names if hasattr(self.models, name)), None)
        if model is None:
            self.faults.append(f"{where}: no model was generated")
            return
        try:
            self.adapter(model).validate_json(json.dumps(data))
        except ValueError as error:
            self.faults.append(f"{where}: {str(error)[:600]}\n    {json.dumps(data)[:400]}")
        # Formats and patterns, which the models leave out in part.
        listed = dict(responses(self.document, self.operations[operation][2]))
        content = listed.get(str(status), listed.get("default", {})).get("content", {})
        for schema in (c["schema"] for k, c in content.items() if "json" in k):
            for error in validator(self.document, schema).iter_errors(data):
                self.faults.append(f"{where}: {error.json_path}: {error.message[:200]}")

    def check_parsed(self, parsed, data, where):
        if parsed is None:
            self.faults.append(f"{where}: the generated client has no type for the answer")
            return
        self.check_same(plain(parsed), data, where)

    def check_same(self, left, right, where):
        """Nothing may be lost. Times may be written differently."""
        if isinstance(left, dict) and isinstance(right, dict):
            if set(left) != set(right):
                self.faults.append(f"{where}: the generated type has {sorted(set(left) ^ set(right))} more or less than the answer")
            for key in set(left) & set(right):
                self.check_same(left[key], right[key], f"{where}.{key}")
        elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
            for index, pair in enumerate(zip(left, right)):
                self.check_same(*pair, f"{where}[{index}]")
        elif isinstance(left, str) and isinstance(right, str) and right[10:11] == "T":
            return
        elif left != right:
            self.faults.append(f"{where}: {left!r} was made of {right!r}")


def plain(value):
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def validator(document, schema):
    import jsonschema

    resolved = {**schema, "components": document["components"]}
    return jsonschema.Draft202012Validator(resolved, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def tour(t):
    """Every kind of answer of the service once, with the values at the edges of what it takes."""
    people(t)
    conversations(t)
    reports(t)
    files(t)
    schedules(t)
    jobs(t)
    rights(t)
    clients_of_others(t)


def people(t):
    names = ["AAPL", "600519.SS", "贵州茅台", "Société Générale", "Straße", "ÇELİK", "சென்னை", "日本電産", "🚗 EV", "a" * 100]
    t.call("createUser", 201, body={
        "user_id": "alice", "initial_data": {
            "watchlist": {"stocks": names[:2]}, "preferences": {"report_time": "08:30", "timezone": "Asia/Shanghai", "language": "zh"},
            "persona": {"risk_preference": "conservative"}, "custom_data": {"crm": {"id": 7}}}})
    t.call("createUser", 409, body={"user_id": "alice"})
    t.call("createUser", 201, body={"user_id": "bob"})
    t.call("listUsers", 200, limit=1)
    t.call("getUser", 200, "alice")
    t.call("getUser", 404, "nobody")
    t.call("putWatchlist", 200, "alice", body={"stocks": names, "influencers": ["@任正非"], "keywords": None, "sectors": ["Ölindustrie"]})
    t.call("getWatchlist", 200, "alice")
    for zone in ["Asia/Shanghai", "Etc/GMT+8", "UTC", "America/Argentina/Buenos_Aires", "Asia/Calcutta", "EST5EDT", ""]:
        t.call("putPreferences", 200, "alice", body={"timezone": zone})
    for language in ["zh", "en", "pt-BR", "zh-Hans-CN", "sr-Latn"]:
        t.call("putPreferences", 200, "alice", body={"language": language})
    t.call("putPreferences", 200, "alice", body={
        "report_frequency": "both", "report_time": "23:59", "report_weekday": "sunday", "report_format": "html",
        "max_report_length": 100000, "notification_channels": ["file"], "timezone": "Asia/Shanghai", "language": "en"})
    t.call("getPreferences", 200, "alice")
    t.call("putPersona", 200, "alice", body={"risk_preference": "moderate", "investment_horizon": "10 år", "focus_areas": ["分红"]})
    t.call("getPersona", 200, "alice")
    t.call("patchCustomData", 200, "alice", body={"note": "né", "crm": None})
    t.call("getCustomData", 200, "alice")
    t.call("getLimits", 200, "alice")
    t.call("setPlan", 200, "alice", body={"plan": None})
    t.call("suspendUser", 200, "bob", body={"reason": "未付款"})
    t.call("chat", 403, body={"user_id": "bob", "message": "hello"})
    t.call("resumeUser", 200, "bob")
    t.call("listSkills", 200, "alice")


def conversations(t):
    sessions = ["default", "家庭", "Æther", "a b", "x" * 128, "🧵"]
    for session in sessions:
        t.call("chat", 200, body={"user_id": "alice", "message": "hello\n\twhat is on my watchlist? 你好", "session_id": session})
    t.call("chat", 202, prefer="respond-async", body={
        "user_id": "alice", "message": "hello", "callback_url": "https://example.com/done", "metadata": {"Ä key": "wért", "note": ""},
        "priority": 9, "timeout_s": 3600, "max_attempts": 100, "on_busy": "enqueue", "language": "en-GB",
        "run_at": "2027-01-31T09:00:00+08:00", "expires_at": "2030-01-31T09:00:00.5-03:30"})
    t.call("chat", 404, body={"user_id": "nobody", "message": "hello"})
    t.call("listSessions", 200, "alice")
    for session in sessions[:3]:
        t.call("getSession", 200, "alice", session)
        t.call("listMessages", 200, "alice", session, limit=1)
    t.call("renameSession", 200, "alice", "家庭", body={"title": "十一月 — watchlist"})
    t.call("getSession", 404, "alice", "none")
    t.call("deleteSession", 204, "alice", "a b")
    t.call("listUsage", 200, "alice")


def reports(t):
    for form in ["markdown", "html", "json", "text"]:
        _, made = t.call("orderReport", 202, body={
            "user_id": "alice", "format": form, "report_type": "custom", "custom_prompt": "Röntgen\nzwei", "focus_areas": ["新能源", "x" * 200]})
        t.call("getReport", 200, made["report_id"], wait=60)
    t.call("orderReport", 200, wait=60, body={"user_id": "alice"})
    t.call("listReports", 200, "alice")
    t.call("deleteReport", 204, made["report_id"])
    t.call("getReport", 404, made["report_id"])


def files(t):
    for path, data in [("data/quotes.csv", b"symbol,price\nAAPL,1\n"), ("notes/图.bin", bytes(range(256)))]:
        t.call("writeFile", 201, "alice", body=data, path=path)
        t.call("writeFile", 200, "alice", body=data, path=path)
        _, read = t.call("readFile", 200, "alice", path=path)
        if read != data:
            t.faults.append(f"readFile: {path} came back as {read!r}")
    t.call("listFiles", 200, "alice")
    t.call("listFiles", 200, "alice", path="notes")
    t.call("readFile", 404, "alice", path="none.txt")
    t.call("deleteFile", 204, "alice", path="notes/图.bin")
    t.call("exportUser", 200, "alice")


def schedules(t):
    chat = {"kind": "chat", "message": "What moved?\n涨跌", "session_id": "早报", "metadata": {"from": "tour"}}
    taken = [
        "09:00", "monday 09:00", "Fri 23:59", "30 8 * * MON-FRI", "0 18 L * *", "0 9 * JAN,jul mon#1", "*/5 9-17 1-15/2 * *", "@daily",
        "@hourly", "PT15M", "P1DT12H", "P2W", "2027-12-24T18:00:00Z", "2027-12-24T18:00:00.250+08:00", "2027-12-24T18:00"]
    for index, expression in enumerate(taken):
        _, made = t.call("createSchedule", 201, "alice", body={
            "expression": expression, "job": chat if index % 2 else {"kind": "report", "user_id": "alice"},
            "timezone": ["Etc/GMT+8", "Asia/Shanghai", None][index % 3], "misfire": ["latest", "all", "skip"][index % 3],
            "overlap": ["skip", "queue"][index % 2]})
    t.call("createSchedule", 422, "alice", body={"expression": "99 99 * * *", "job": chat})
    one = made["id"]
    t.call("changeSchedule", 200, "alice", one, body={"enabled": False})
    t.call("changeSchedule", 200, "alice", one, body={"enabled": True, "kind": "cron", "expression": "0 9 * * 1-5", "timezone": "Europe/Berlin"})
    _, ran = t.call("runSchedule", 202, "alice", one)
    t.call("getJob", 200, ran["job_id"], wait=60)
    t.call("getScheduleHistory", 200, "alice", one)
    t.call("getScheduleByID", 200, "alice", one)
    t.call("getScheduleByID", 404, "alice", "none")
    t.call("listSchedules", 200, "alice")
    t.call("getSchedule", 200, user_id="alice")
    t.call("runSchedule", 202, "alice", "daily-report")
    t.call("deleteSchedule", 204, "alice", one)


def jobs(t):
    _, ticket = t.call("submitJobs", 202, body={"kind": "chat", "user_id": "alice", "message": "later", "run_at": "2030-01-01T00:00:00Z"})
    t.call("submitJobs", 202, body=[{"kind": "report", "user_id": "alice"}, {"kind": "chat", "user_id": "nobody", "message": "hi"}, 7])
    t.call("submitJobs", 422, body={"kind": "report", "user_id": "alice", "session_id": "\u202e"})
    t.call("submitJobs", 202, body={"kind": "chat", "user_id": "alice", "message": "keyed", "idempotency_key": "k 1"})
    t.call("getJob", 200, ticket["job_id"])
    t.call("cancelJob", 200, ticket["job_id"])
    t.call("getJob", 404, "01999999-0000-7000-8000-000000000000")
    _, failed = t.call("chat", 502, body={"user_id": "alice", "message": "hello", "model": "none/such", "max_attempts": 1})
    if "job_id" in failed:
        t.call("getJob", 200, failed["job_id"])
        t.call("retryJob", 202, failed["job_id"])
        t.call("retryJob", 409, ticket["job_id"])
    t.call("listJobs", 200)
    t.call("listJobs", 200, user_id="alice", limit=1)
    t.call("listUserJobs", 200, "alice")
    t.call("getQueue", 200)
    t.call("pauseQueue", 200)
    t.call("resumeQueue", 200)


def rights(t):
    _, made = t.call("createToken", 201, "alice", body={"scope": "read", "name": "手机", "expires_at": "2029-01-31T09:00:00+08:00"})
    t.call("rotateToken", 201, "alice", made["id"], body={"overlap_s": 60})
    t.call("listTokens", 200, "alice")
    reader = t.with_token(made["token"])
    t.call("getUser", 200, "alice", client=reader)
    t.call("getUser", 200, "me", client=reader)
    t.call("getSchedule", 200, client=reader)
    t.call("getUser", 404, "bob", client=reader)
    t.call("chat", 403, client=reader, body={"message": "hello"})
    _, job = t.call("submitJobs", 202, body={"kind": "report", "user_id": "alice"})
    t.call("createStreamTicket", 201, "alice", client=reader, body={"path": f"/jobs/{job['job_id']}/events"})
    t.call("revokeToken", 204, "alice", made["id"])
    t.call("revokeToken", 404, "alice", "0" * 12)
    t.call("getUser", 401, "alice", client=t.nobody)
    t.call("getService", 200)
    t.call("getHealth", 200, client=t.nobody)
    t.call("getReadiness", 200, client=t.nobody)
    t.call("getMetrics", 200)
    t.call("getOpenAPI", 200)


def clients_of_others(t):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello\nthere"}]
    t.call("listModels", 200)
    t.call("getModel", 200, "offline")
    t.call("createCompletion", 200, body={"model": "nanobot", "messages": messages, "user": "alice"})
    t.call("createCompletion", 404, body={"model": "nanobot", "messages": messages, "user": "nobody"})
    _, made = t.call("createResponse", 200, body={"model": "offline", "input": "hello\nthere", "user": "alice"})
    t.call("getResponse", 200, made["id"])
    t.call("listInputItems", 200, made["id"])
    t.call("deleteResponse", 200, made["id"])
    t.call("createMessage", 200, body={
        "model": "nanobot", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}], "metadata": {"user_id": "alice"}})
    t.call("deleteUser", 204, "bob")


# No calls of the tour, with the reason.
LEFT_OUT = {
    "streamJob": "an event stream has no type", "getDocs": "a page", "getRedoc": "a page", "getDocsAsset": "a file of the page",
    "getProviderModel": "the offline model has no slash in its name", "cancelResponse": "as getResponse",
}


def in_environment(folder, url, token):
    document = json.loads(SPEC.read_text(encoding="utf-8"))
    t = Tour(pathlib.Path(folder), document, url, token)
    ids = list(t.operations)
    if len(ids) != len(set(ids)) or sum(1 for _ in operations(document)) != len(ids):
        t.faults.append("operationIds are not unique")
    examples(t, document)
    tour(t)
    for operation in sorted(set(ids) - {name for name, _ in t.called} - set(LEFT_OUT)):
        t.faults.append(f"{operation}: the tour does not call the operation")
    for fault in t.faults:
        print(f"generated-clients.py: {fault}", file=sys.stderr)
    print(f"generated clients: {len(t.called)} kinds of answers of {len(set(name for name, _ in t.called))} of {len(ids)} operations read, "
          f"{len(t.faults)} faults")
    return 1 if t.faults else 0


def examples(t, document):
    """The examples of the description and the request bodies of README.md are inside the description."""
    for path, method, operation in operations(document):
        contents = list(operation.get("requestBody", {}).get("content", {}).values())
        contents += [c for _, r in responses(document, operation) for k, c in r.get("content", {}).items() if "json" in k]
        for content in contents:
            values = [content["example"]] if "example" in content else []
            values += [one["value"] for one in content.get("examples", {}).values()]
            for value in values:
                for error in validator(document, content["schema"]).iter_errors(value):
                    t.faults.append(f"example of {method} {path}: {error.json_path}: {error.message[:200]}")
    import re

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    bodies = {"/users": "createUser", "/chat": "chat", "/reports": "orderReport", "/jobs": "submitJobs"}
    found = 0
    for path, body in re.findall(r"\$api(/[a-z_/{}]*)[^\n`]*?-d '(\{.*?\})'", text, re.S):
        path = re.sub(r"^/users/[a-z]+/", "/users/{user_id}/", path)
        operation = bodies.get(path) or next(
            (op["operationId"] for p, m, op in operations(document) if p == path and m in ("put", "patch")), None) or next(
            (op["operationId"] for p, m, op in operations(document) if p == path and m == "post"), None)
        if operation is None:
            t.faults.append(f"README.md: {path} is no call")
            continue
        found += 1
        t.check_request(operation, json.loads(body))
    if found < 4:
        t.faults.append(f"README.md: only {found} request bodies were found")


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "--in-environment":
        return in_environment(*arguments[1:])
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    binary = pathlib.Path(arguments[0]).resolve()
    if not os.access(binary, os.X_OK):
        fail(69, f"{binary} is no program")
    python = install()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        generate(folder)
        home = folder / "home"
        home.mkdir()
        written(home / "config.json", json.dumps({"limits": {"user": {"requests_per_minute": 0, "waiting": 0}}, "server": {"requests_per_minute": 0}}))
        made = subprocess.run([binary, "token", "create", "--admin", "--home", home, "--json"], capture_output=True, text=True, check=True)
        token = json.loads(made.stdout)["token"]
        with open(folder / "log", "w", encoding="utf-8") as log:
            server = subprocess.Popen([binary, "serve", "--home", home, "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                url = address(server)
                return subprocess.run([python, __file__, "--in-environment", folder, url, token], timeout=300).returncode
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(60)


def address(server):
    """The service prints where it listens once it answers."""
    for line in server.stdout:
        for word in line.split():
            if word.startswith("http://127.0.0.1:"):
                return word.rstrip(".,/")
    fail(1, "the service did not start")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
