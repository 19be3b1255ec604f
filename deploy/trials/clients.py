#!/usr/bin/env python3
"""Clients that teams have already, against a built nanobot: the packages openai, anthropic, langchain-openai, pydantic-ai and
openai-agents, each with its main text calls; and what becomes of the conversation that a client brings along.

    python3 -m venv V && V/bin/pip install openai anthropic langchain-openai 'pydantic-ai-slim[openai,anthropic]' openai-agents
    V/bin/python deploy/trials/clients.py BINARY

Starts a model server that records what it is asked, and `BINARY serve` on a home of its own under TMPDIR, both on loopback.
Prints a table of calls and clients. Exit: 0 when all held, else 1.
"""
import asyncio, http.server, json, os, socket, subprocess, sys, tempfile, threading, time, urllib.request

os.environ.setdefault("OPENAI_API_KEY", "unused")
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
import agents
import anthropic
import langchain_openai
import openai
import pydantic_ai
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

failures, table = [], {}


def check(client, call, held, seen=""):
    table.setdefault(call, {})[client] = "ok" if held else "FAILS"
    if not held:
        failures.append(f"{client}: {call}: {str(seen)[:600]}")


class Model:
    """An OpenAI-compatible model: its answer says how many messages it was shown, and the last one's first words."""

    def __init__(self):
        self.requests, self.tool_next = [], False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(body)
                said = outer.said(body)
                if "HOLD" in said[-1]:
                    time.sleep(8)
                pieces = [("content", f"seen {len(said)}: {said[-1].split(chr(10))[0][:40]}")]
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                if "USE A TOOL" in said[-1] and body["messages"][-1]["role"] == "user":
                    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "list_dir", "arguments": "{}"}}
                    pieces = [("content", "Let me look."), ("tool_calls", [call])]
                for name, value in pieces:
                    self.chunk({name: value})
                self.chunk({}, "tool_calls" if pieces[-1][0] == "tool_calls" else "stop")
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def chunk(self, delta, reason=None):
                choice = {"index": 0, "delta": delta, "finish_reason": reason}
                part = {"id": "x", "object": "chat.completion.chunk", "choices": [choice]}
                if reason:
                    part["usage"] = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
                self.wfile.write(b"data: " + json.dumps(part).encode() + b"\n\n")
                self.wfile.flush()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def said(body):
        """The conversation as the model was shown it: texts without the blocks that nanobot adds."""
        texts = []
        for message in body["messages"]:
            if message["role"] == "system":
                continue
            content = message.get("content") or ""
            if isinstance(content, list):
                content = "".join(part.get("text", "") for part in content)
            texts.append(content.split("\n\n---\n[context]")[0])
        return texts

    def last(self):
        return self.said(self.requests[-1])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    def __init__(self, binary, model):
        self.home = tempfile.mkdtemp(prefix="nanobot-clients-")
        provider = {"type": "openai", "base_url": f"http://127.0.0.1:{model.port}/v1"}
        with open(self.home + "/config.json", "w") as file:
            json.dump({"model": "house/m", "providers": {"house": provider}}, file)
        self.port = free_port()
        environment = {**os.environ, "NANOBOT_ADMIN_TOKEN": "an-admin-token-of-some-length"}
        self.process = subprocess.Popen(
            [binary, "serve", "--home", self.home, "--port", str(self.port)], env=environment,
            stdout=subprocess.DEVNULL, stderr=open(self.home + "/log", "w"))
        self.token = "an-admin-token-of-some-length"
        for _ in range(200):
            try:
                self.call("GET", "/health")
                break
            except OSError:
                time.sleep(0.1)
        self.call("POST", "/users", {"user_id": "ann"})
        self.token = self.call("POST", "/users/ann/tokens", {"scope": "user"})["token"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def sessions(self):
        return {one["session_id"]: one for one in self.call("GET", "/users/ann/sessions?limit=200")}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def histories(service, model, client):
    def ask(messages, **more):
        raw = client.chat.completions.with_raw_response.create(model="nanobot", messages=messages, **more)
        return raw.parse().choices[0].message.content, raw.headers["x-session-id"]

    name = "openai"
    user = lambda text: {"role": "user", "content": text}
    bot = lambda text: {"role": "assistant", "content": text}
    first, one = ask([user("alpha")])
    again, two = ask([user("alpha")])
    check(name, "two chats that begin alike are two", one != two and first == again, (one, two))
    chat = [user("alpha"), bot(first), user("beta")]
    second, same = ask(chat)
    check(name, "a conversation that grows stays one", same in (one, two), same)
    check(name, "… and the model sees it once", model.last() == ["alpha", first, "beta"], model.last())
    redone, branch = ask(chat)
    # The other chat has the same words so far, and goes on; after that a branch is opened.
    third, branch2 = ask(chat)
    check(name, "regenerate opens a branch", len({same, branch, branch2}) == 3, (same, branch, branch2))
    check(name, "… and the model does not see the old answer", model.last() == ["alpha", first, "beta"], model.last())
    edited, other = ask([user("alpha"), bot(first), user("gamma")])
    check(name, "an edit opens a branch", other not in (one, two, branch2) and model.last()[-1] == "gamma", other)
    kept = [m["content"] for m in service.call("GET", f"/users/ann/sessions/{same}/messages")]
    check(name, "… and nothing is deleted", kept == ["alpha", first, "beta", second], kept)
    longer, on = ask([user("alpha"), bot(first), user("gamma"), bot(edited), user("delta")])
    check(name, "a branch goes on", on == other and model.last() == ["alpha", first, "gamma", edited, "delta"], (on, model.last()))
    foreign = [user("I am Ann from elsewhere"), bot("Hello Ann, said by another"), user("who am I?")]
    answer, strange = ask(foreign)
    check(name, "a foreign history is answered on", model.last() == [m["content"] for m in foreign], model.last())
    more, stays = ask(foreign + [bot(answer), user("and now?")])
    check(name, "… and goes on in its session", stays == strange and len(model.last()) == 5, (stays, model.last()))
    tools = [
        user("price?"),
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_9", "type": "function", "function": {"name": "get_price", "arguments": '{"s":"ACME"}'}}]},
        {"role": "tool", "tool_call_id": "call_9", "content": "42.17"}, bot("It is 42.17."), user("again?")]
    ask(tools)
    shown = json.dumps(model.requests[-1]["messages"])
    check(name, "earlier tool calls are readable", "42.17" in shown and "get_price" in shown, shown[-900:])
    named, sid = ask([user("n1")], extra_body={"session_id": "mine"})
    ask([user("n1"), bot("changed by the client"), user("n2")], extra_body={"session_id": "mine"})
    check(name, "a named session is answered on the history", model.last() == ["n1", "changed by the client", "n2"], model.last())
    kept = [m["content"] for m in service.call("GET", "/users/ann/sessions/mine/messages")]
    check(name, "… and keeps what was said before", kept[:2] == ["n1", named] and len(kept) == 4, kept)
    ask([user("n3")], extra_body={"session_id": "mine"})
    check(name, "a named session without a history goes on", model.last()[-1] == "n3" and len(model.last()) == 5, model.last())
    stream = client.chat.completions.create(model="nanobot", messages=[user("USE A TOOL please")], stream=True)
    said = "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
    answer, where = ask([user("USE A TOOL please"), bot(said), user("more")])
    jobs = [m["role"] for m in service.call("GET", f"/users/ann/sessions/{where}/messages")]
    check(name, "a streamed answer with tools is recognised", jobs.count("tool") == 1, (said, jobs))
    big = [user("x" * 60_000) if n % 2 == 0 else bot("y" * 60_000) for n in range(40)]
    answer, _ = ask(big + [user("the end?")])
    check(name, "a history of 2.4 MB", "the end?" in answer, answer)
    for call, arguments, words in [
        ("too long a message", {"messages": [user("z" * 70_000)]}, ["messages[0].content", "65536"]),
        ("too long a system text", {"messages": [{"role": "system", "content": "z" * 70_000}, user("q")]}, ["messages[0].content", "65536"]),
        ("a request beyond 4 MiB", {"messages": [user("z" * 60_000) for _ in range(80)]}, ["4194304"]),
        ("an answer to continue", {"messages": [user("q"), bot("begun")]}, ["messages", "end with a message of the user"]),
        ("a tool result without its call", {"messages": [{"role": "tool", "tool_call_id": "nope", "content": "1"}, user("q")]},
         ["messages[0].tool_call_id"]),
    ]:
        try:
            client.chat.completions.create(model="nanobot", **arguments)
            check(name, f"{call} is refused", False, "answered")
        except openai.APIStatusError as error:
            check(name, f"{call} is refused", all(word in str(error) for word in words), error)
    holding = threading.Thread(target=lambda: ask([user("HOLD this")]))
    holding.start()
    time.sleep(1)
    begun = time.time()
    ask([user("HOLD this"), bot("something"), user("quick")])
    check(name, "a chat that begins alike does not wait", time.time() - begun < 5, time.time() - begun)
    holding.join()


def openai_calls(service, model, client):
    name = "openai"
    user = [{"role": "user", "content": "one question"}]
    check(name, "complete", "one question" in client.chat.completions.create(model="nanobot", messages=user).choices[0].message.content)
    parts = list(client.chat.completions.create(
        model="nanobot", messages=user, stream=True, stream_options={"include_usage": True}))
    check(name, "stream", "one question" in "".join(p.choices[0].delta.content or "" for p in parts if p.choices) and parts[-1].usage)
    response = client.responses.create(model="nanobot", input="first words", instructions="Be brief.")
    check(name, "respond", "first words" in response.output_text, response)
    after = client.responses.create(model="nanobot", input="second words", previous_response_id=response.id)
    check(name, "respond to a response", model.last() == ["first words", response.output_text, "second words"], model.last())
    branch = client.responses.create(model="nanobot", input="other words", previous_response_id=response.id)
    check(name, "two responses to one", model.last() == ["first words", response.output_text, "other words"], model.last())
    with client.responses.stream(model="nanobot", input="stream words") as stream:
        kinds = [event.type for event in stream]
        check(name, "stream a response", kinds[-1] == "response.completed" and "stream words" in stream.get_final_response().output_text)
    items = client.responses.input_items.list(after.id, order="asc").data
    texts = [item.content[0].text for item in items]
    check(name, "input items", texts == ["first words", response.output_text, "second words"], items)
    pages = [item.content[0].text for item in client.responses.input_items.list(branch.id, limit=1)]
    check(name, "input items in pages", pages == ["other words", response.output_text, "first words"], pages)
    client.responses.delete(response.id)
    try:
        client.responses.retrieve(response.id)
        check(name, "delete a response", False, "still there")
    except openai.NotFoundError:
        check(name, "delete a response", True)
    given = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
             {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
             {"type": "function_call_output", "call_id": "c1", "output": "found 77"}, {"role": "user", "content": "c"}]
    client.responses.create(model="nanobot", input=given)
    check(name, "input with earlier calls", "found 77" in json.dumps(model.requests[-1]["messages"]), model.requests[-1]["messages"])
    check(name, "models", any(one.id == "nanobot" for one in client.models.list()))
    key = {"Idempotency-Key": "once-only"}
    first = client.chat.completions.create(model="nanobot", messages=user, extra_headers=key)
    count = len(model.requests)
    again = client.chat.completions.create(model="nanobot", messages=user, extra_headers=key)
    check(name, "one key, one job", first.id == again.id and count == len(model.requests), (first.id, again.id))
    try:
        client.chat.completions.create(model="nanobot", messages=user, tools=[{"type": "function", "function": {"name": "f"}}])
        check(name, "tools are refused by name", False)
    except openai.BadRequestError as error:
        check(name, "tools are refused by name", error.param == "tools", error)


def anthropic_calls(service, model, client):
    name = "anthropic"
    ask = lambda messages, **more: client.messages.create(model="nanobot", max_tokens=500, messages=messages, **more)
    answer = ask([{"role": "user", "content": "one question"}], system="Be brief.")
    check(name, "complete", "one question" in answer.content[0].text and answer.stop_reason == "end_turn", answer)
    check(name, "usage", answer.usage.input_tokens == 100 and answer.usage.output_tokens == 5, answer.usage)
    grown = [{"role": "user", "content": "one question"}, {"role": "assistant", "content": answer.content}, {"role": "user", "content": "two"}]
    ask(grown)
    check(name, "a conversation that grows stays one", model.last() == ["one question", answer.content[0].text, "two"], model.last())
    with client.messages.stream(model="nanobot", max_tokens=500, messages=[{"role": "user", "content": "stream words"}]) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    check(name, "stream", "stream words" in text and final.content[0].text == text and final.usage.output_tokens == 5, final)
    events = [event.type for event in client.messages.create(
        model="nanobot", max_tokens=5, stream=True, messages=[{"role": "user", "content": "raw"}])]
    check(name, "stream of events", events[0] == "message_start" and events[-1] == "message_stop", events)
    used = [{"role": "user", "content": "price?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get_price", "input": {"s": "ACME"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "42.17"}, {"type": "text", "text": "so?"}]}]
    ask(used)
    check(name, "earlier tool calls are readable", "42.17" in json.dumps(model.requests[-1]["messages"]), model.requests[-1])
    check(name, "models", any(one.id == "nanobot" for one in client.models.list()))
    for call, kind, arguments, word in [
        ("tools are refused by name", anthropic.BadRequestError, {"tools": [{"name": "f", "input_schema": {"type": "object"}}]}, "tools"),
        ("an unknown model", anthropic.NotFoundError, {"model": "nosuch/m"}, "nosuch"),
    ]:
        try:
            client.messages.create(**{"model": "nanobot", "max_tokens": 5, "messages": [{"role": "user", "content": "q"}], **arguments})
            check(name, call, False, "answered")
        except kind as error:
            check(name, call, word in str(error) and error.request_id, error)
    try:
        anthropic.Anthropic(base_url=str(client.base_url), api_key="nbt_wrong", max_retries=0).models.list()
        check(name, "a wrong key", False)
    except anthropic.AuthenticationError:
        check(name, "a wrong key", True)


def langchain_calls(service, model, base):
    name = "langchain-openai"
    for responses, kind in [(False, ""), (True, " a response")]:
        chat = langchain_openai.ChatOpenAI(
            model="nanobot", base_url=base, api_key=service.token, use_responses_api=responses, max_retries=0)
        answer = chat.invoke([("system", "Be brief."), ("human", "lc one")])
        text = answer.text if isinstance(answer.text, str) else answer.text()
        check(name, "respond" if responses else "complete", "lc one" in text, answer)
        chat.invoke([("human", "lc one"), ("ai", text), ("human", "lc two")])
        check(name, "a conversation that grows" + kind, model.last() == ["lc one", text, "lc two"], model.last())
        pieces = "".join(p.text if isinstance(p.text, str) else p.text() for p in chat.stream("lc stream"))
        check(name, "stream" + kind, "lc stream" in pieces, pieces)
    many = chat.batch(["lc b1", "lc b2", "lc b3"])
    check(name, "batch", len(many) == 3)
    check(name, "asynchronous", "lc a" in str(asyncio.run(chat.ainvoke("lc a")).content))


def pydantic_calls(service, model, base, root):
    name = "pydantic-ai"
    provider = OpenAIProvider(base_url=base, api_key=service.token)
    claude = AnthropicProvider(anthropic_client=anthropic.AsyncAnthropic(base_url=root, api_key=service.token, max_retries=0))
    for kind, backend in [("complete", OpenAIChatModel("nanobot", provider=provider)),
                          ("respond", OpenAIResponsesModel("nanobot", provider=provider)),
                          ("message", AnthropicModel("nanobot", provider=claude))]:
        agent = pydantic_ai.Agent(backend, instructions="Be brief.")

        async def run():
            first = await agent.run("pa one " + kind)
            check(name, kind, "pa one" in first.output, first.output)
            second = await agent.run("pa two", message_history=first.all_messages())
            check(name, f"{kind}: a conversation that grows", model.last() == ["pa one " + kind, first.output, "pa two"], model.last())
            async with agent.run_stream("pa stream") as result:
                text = await result.get_output()
            check(name, f"{kind}: stream", "pa stream" in text, text)

        asyncio.run(run())


def agents_calls(service, model, base):
    name = "openai-agents"
    for kind, backend in [("complete", agents.OpenAIChatCompletionsModel), ("respond", agents.OpenAIResponsesModel)]:

        async def run():
            client = openai.AsyncOpenAI(base_url=base, api_key=service.token, max_retries=0)
            agent = agents.Agent(name="helper", instructions="Be brief.", model=backend("nanobot", client))
            first = await agents.Runner.run(agent, "ag one " + kind)
            check(name, kind, "ag one" in first.final_output, first.final_output)
            grown = first.to_input_list() + [{"role": "user", "content": "ag two"}]
            await agents.Runner.run(agent, grown)
            check(name, f"{kind}: a conversation that grows", model.last() == ["ag one " + kind, first.final_output, "ag two"], model.last())
            streamed = agents.Runner.run_streamed(agent, "ag stream")
            async for _ in streamed.stream_events():
                pass
            check(name, f"{kind}: stream", "ag stream" in streamed.final_output, streamed.final_output)

        asyncio.run(run())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    model = Model()
    service = Service(sys.argv[1], model)
    root = f"http://127.0.0.1:{service.port}"
    try:
        client = openai.OpenAI(base_url=root + "/v1", api_key=service.token, max_retries=0)
        for part, arguments in [
            (histories, (client,)), (openai_calls, (client,)),
            (anthropic_calls, (anthropic.Anthropic(base_url=root, api_key=service.token, max_retries=0),)),
            (langchain_calls, (root + "/v1",)), (pydantic_calls, (root + "/v1", root)), (agents_calls, (root + "/v1",)),
        ]:
            try:
                part(service, model, *arguments)
            except Exception as error:
                failures.append(f"{part.__name__}: {error!r}")
    finally:
        service.stop()
    names = ["openai", "anthropic", "langchain-openai", "pydantic-ai", "openai-agents"]
    print("| call | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for call, held in table.items():
        print(f"| {call} | " + " | ".join(held.get(name, "") for name in names) + " |")
    print(*failures, sep="\n")
    sys.exit(1 if failures else 0)


main()
