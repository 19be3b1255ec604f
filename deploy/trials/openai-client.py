#!/usr/bin/env python3
"""The official `openai` package against a built nanobot: its main calls, and its exceptions.

    python3 -m venv V && V/bin/pip install openai==3.57.0 && V/bin/python deploy/trials/openai-client.py BINARY

Starts `BINARY serve` on a home of its own under TMPDIR with the offline model, on loopback. Exit: 0 when all held, else 1
after saying what did not.
"""
import json, os, socket, subprocess, sys, tempfile, time, urllib.request

import openai


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


failures = []


def check(name, held, seen=""):
    print(("ok    " if held else "FAILS ") + name, "" if held else seen)
    if not held:
        failures.append(name)


def raises(name, kind, call, status=None, code=None):
    try:
        seen = call()
    except kind as error:
        right = type(error) is kind and (status is None or error.status_code == status)
        check(name, right and (code is None or error.code == code), repr(error))
    except Exception as error:  # anything else is what is reported
        check(name, False, repr(error))
    else:
        check(name, False, f"no error but {seen!r}")


def command(binary, home, *words):
    made = subprocess.run([binary, *words, "--home", home, "--json"], capture_output=True, text=True)
    if made.returncode:
        sys.exit(f"{words}: {made.stderr}{made.stdout}")
    return json.loads(made.stdout)


def completions(client):
    answer = client.chat.completions.create(
        model="nanobot", messages=[{"role": "user", "content": "Add TSLA to my watchlist"}])
    check("completion", "TSLA" in answer.choices[0].message.content, answer)
    check("finish", answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens >= 0)
    raw = client.chat.completions.with_raw_response.create(
        model="nanobot", messages=[{"role": "user", "content": "What is on my watchlist?"}], extra_body={"session_id": "s1"})
    check("raw headers", raw.headers["x-session-id"] == "s1" and raw.headers["x-job-id"])
    check("sees what it did", "TSLA" in raw.parse().choices[0].message.content, raw.text)
    check("request id", bool(raw.parse()._request_id))
    parts = client.chat.completions.create(
        model="offline", temperature=0, max_tokens=50, user="somebody",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}])
    check("parts and system", bool(parts.choices[0].message.content))
    text, usage, last = "", None, None
    for chunk in client.chat.completions.create(
            model="nanobot", stream=True, stream_options={"include_usage": True},
            messages=[{"role": "user", "content": "What is on my watchlist?"}]):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            last = chunk.choices[0].finish_reason or last
        usage = chunk.usage or usage
    check("stream", "TSLA" in text and last == "stop" and usage is not None, (text, last, usage))
    with client.chat.completions.stream(model="nanobot", messages=[{"role": "user", "content": "Hi"}]) as stream:
        for _ in stream:
            pass
        check("stream helper", bool(stream.get_final_completion().choices[0].message.content))


def responses(client):
    first = client.responses.create(model="nanobot", input="Remember that my broker is called Acorn.")
    check("response", first.status == "completed" and bool(first.output_text), first)
    second = client.responses.create(
        model="nanobot", input=[{"role": "user", "content": "Hello again"}], previous_response_id=first.id,
        metadata={"app": "trial"}, instructions="Be kind.")
    check("continues", second.conversation.id == first.conversation.id and second.metadata == {"app": "trial"}, second)
    got = client.responses.retrieve(first.id)
    check("retrieve", got.output_text == first.output_text and got.usage.total_tokens == first.usage.total_tokens)
    queued = client.responses.create(model="nanobot", input="What is on my watchlist?", background=True)
    check("background", queued.status in ("queued", "in_progress", "completed") and queued.background is True, queued)
    for _ in range(200):
        queued = client.responses.retrieve(queued.id)
        if queued.status not in ("queued", "in_progress"):
            break
        time.sleep(0.05)
    check("background ends", queued.status == "completed" and "TSLA" in queued.output_text, queued)
    check("cancel of an ended one", client.responses.cancel(queued.id).status == "completed")
    kinds, text = [], ""
    for event in client.responses.create(model="nanobot", input="What is on my watchlist?", stream=True):
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
    check("events", kinds[0] == "response.created" and kinds[-1] == "response.completed" and "TSLA" in text, kinds)
    again = [event.sequence_number for event in client.responses.retrieve(queued.id, stream=True, starting_after=3)]
    check("events again", again and again[0] == 4, again)
    with client.responses.stream(model="nanobot", input="Hi") as stream:
        for _ in stream:
            pass
        check("response stream helper", bool(stream.get_final_response().output_text))


def errors(client, base, tokens):
    hello = [{"role": "user", "content": "Hi"}]
    create = client.chat.completions.create
    raises("unknown model", openai.NotFoundError, lambda: create(model="gpt-9", messages=hello), 404, "model_not_found")
    raises("tools", openai.BadRequestError, lambda: create(model="nanobot", messages=hello, tools=[
        {"type": "function", "function": {"name": "f", "parameters": {}}}]), 400, "unsupported_parameter")
    raises("no messages", openai.BadRequestError, lambda: create(model="nanobot", messages=[]), 400)
    raises("structured", openai.BadRequestError, lambda: create(
        model="nanobot", messages=hello, response_format={"type": "json_object"}), 400)
    raises("unknown response", openai.NotFoundError, lambda: client.responses.retrieve("resp_x"), 404)
    wrong = openai.OpenAI(base_url=base, api_key="nbt_wrong", max_retries=0)
    raises("wrong key", openai.AuthenticationError, lambda: wrong.models.list(), 401)
    reader = openai.OpenAI(base_url=base, api_key=tokens["read"], max_retries=0)
    raises("read-only key", openai.PermissionDeniedError, lambda: reader.chat.completions.create(
        model="nanobot", messages=hello), 403, "read_only")
    admin = openai.OpenAI(base_url=base, api_key=tokens["admin"], max_retries=0)
    raises("nobody", openai.NotFoundError, lambda: admin.chat.completions.create(
        model="nanobot", messages=hello, user="nobody"), 404, "user_not_found")
    check("admin for alice", bool(admin.chat.completions.create(
        model="nanobot", messages=hello, user="alice").choices[0].message.content))
    raises("other's response", openai.NotFoundError, lambda: openai.OpenAI(
        base_url=base, api_key=tokens["bob"], max_retries=0).responses.retrieve(
            client.responses.create(model="nanobot", input="Hi").id), 404)
    poor = openai.OpenAI(base_url=base, api_key=tokens["poor"], max_retries=0)
    seen = None
    for _ in range(4):
        try:
            poor.chat.completions.create(model="nanobot", messages=hello)
        except openai.RateLimitError as error:
            seen = error
            break
    check("rate limit", seen is not None and seen.response.headers.get("retry-after"), seen)
    slow = openai.OpenAI(base_url=base, api_key=tokens["alice"], max_retries=0, timeout=0.001)
    raises("timeout", openai.APITimeoutError, lambda: slow.models.list())
    check("models", "nanobot" in [model.id for model in client.models.list()])
    check("model", client.models.retrieve("offline").id == "offline")


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        with open(home + "/config.json", "w") as file:
            json.dump({"server": {"port": port}, "plans": {"poor": {"requests_per_minute": 2}}}, file)
        for user in ("alice", "bob", "poor"):
            command(binary, home, "create-user", user)
        command(binary, home, "set-plan", "poor", "poor")
        tokens = {user: command(binary, home, "token", "create", user)["token"] for user in ("alice", "bob", "poor")}
        tokens["read"] = command(binary, home, "token", "create", "alice", "--read")["token"]
        tokens["admin"] = command(binary, home, "token", "create", "--admin")["token"]
        log = open(home + "/log", "wb")
        server = subprocess.Popen([binary, "serve", "--home", home], stdout=log, stderr=log)
        try:
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ready")
                    break
                except OSError:
                    time.sleep(0.05)
            base = f"http://127.0.0.1:{port}/v1"
            client = openai.OpenAI(base_url=base, api_key=tokens["alice"], max_retries=0)
            completions(client)
            responses(client)
            errors(client, base, tokens)
        finally:
            server.terminate()
            server.wait(30)
    print(f"openai {openai.__version__}: " + (f"{len(failures)} did not hold" if failures else "all held"))
    sys.exit(1 if failures else 0)


main()
