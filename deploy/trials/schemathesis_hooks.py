"""For schemathesis.sh: what the description says in words only, as generators.

The formats of openapi.yaml are no standard ones; each generator here makes some values of the format that the service takes on every
machine. A caller with an admin's token names the user. Ids of jobs and keys are left out where a second call with them is a conflict.
"""
import datetime

import re

import schemathesis
from hypothesis import strategies as st

USER = "alice"
ZONE = re.compile("[A-Za-z0-9][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}")
IDENTIFIER = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
EXPRESSIONS = {
    "daily": ["09:00", "23:59"],
    "weekly": ["monday 09:00", "FRI 23:59"],
    "cron": ["30 8 * * MON-FRI", "0 18 L * *", "0 9 * JAN,jul mon#1", "*/5 9-17 1-15/2 * *", "@daily", "@hourly"],
    "every": ["PT15M", "P1DT12H", "P2W", "PT1H30M"],
    "at": ["2027-12-24T18:00:00Z", "2027-12-24T18:00:00.25+08:00", "2027-12-24T18:00"],
}
ALL_EXPRESSIONS = [text for texts in EXPRESSIONS.values() for text in texts]
# Assigned in every version of Unicode that a library may know, and shown: no controls, no invisible format characters.
SHOWN = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "M"], max_codepoint=0x9FA5, exclude_characters="\u0378\u0379")
SHOWN = SHOWN.filter(lambda c: ord(c) < 0x377 or 0x400 <= ord(c) < 0x482 or 0x4E00 <= ord(c))
TIMES = st.datetimes(datetime.datetime(2027, 1, 1), datetime.datetime(2035, 12, 31)).flatmap(
    lambda time: st.sampled_from(["Z", "+08:00", "-03:30"]).map(lambda zone: time.isoformat(timespec="milliseconds") + zone))


def job_id(bits):
    now = int(datetime.datetime.now().timestamp() * 1000)
    tail = f"{bits & (2**62 - 1) | 0x8000000000000000:016x}"
    return f"{now >> 16:08x}-{now & 0xFFFF:04x}-7{bits >> 62:03x}-{tail[:4]}-{tail[4:]}"


schemathesis.openapi.format("printable", st.text(SHOWN, min_size=1, max_size=100))
schemathesis.openapi.format("iana-time-zone", st.sampled_from(["UTC", "Asia/Shanghai", "Etc/GMT+8", "America/Argentina/Buenos_Aires"]))
schemathesis.openapi.format("schedule-expression", st.sampled_from(ALL_EXPRESSIONS))
schemathesis.openapi.format("model-name", st.sampled_from(["nanobot", "offline"]))
schemathesis.openapi.format("date-time", TIMES)
schemathesis.openapi.format("job-id", st.integers(0, 2**74 - 1).map(job_id))
schemathesis.openapi.format("idempotency-key", st.uuids().map(str))


@schemathesis.hook
def before_call(context, case, kwargs):
    call = (case.method.upper(), case.path)
    if call == ("GET", "/schedule") and "user_id" not in (case.query or {}):
        case.query = {**(case.query or {}), "user_id": USER}
    if case.path.endswith("/usage"):
        # The cursor is that of the page before.
        case.query = {name: value for name, value in (case.query or {}).items() if name != "after"}
    shorten_waits(case)
    leave_out_conflicts(case)
    if not isinstance(case.body, dict):
        return
    body = dict(case.body)
    if call in {("POST", "/chat"), ("POST", "/reports"), ("POST", "/jobs")}:
        body.setdefault("user_id", USER)
        # The pattern cannot say that an id is of the last 7 days and free.
        if isinstance(body.get("id"), str) and IDENTIFIER.fullmatch(body["id"]):
            del body["id"]
        if isinstance(body.get("idempotency_key"), str):
            del body["idempotency_key"]
        wait = body.get("wait")
        if isinstance(wait, (int, float)) and not isinstance(wait, bool) and 0 < wait <= 60:
            body["wait"] = 1
    if call in {("POST", "/v1/chat/completions"), ("POST", "/v1/responses")}:
        body.setdefault("user", USER)
    if call[1] in ("/v1/chat/completions", "/v1/messages"):
        ask(body)
    if call == ("POST", "/v1/messages"):
        if "metadata" not in body:
            body["metadata"] = {"user_id": USER}
        elif isinstance(body["metadata"], dict):
            body["metadata"] = {"user_id": USER, **body["metadata"]}
    if case.path.endswith(("/schedules", "/schedules/{schedule_id}")):
        consistent(body, case.path_parameters or {})
    known_zones(body)
    case.body = body


def ask(body):
    """The last message is a question of the user, and a result of a tool follows its call: neither can be said in a schema."""
    messages = body.get("messages")
    roles = ("system", "developer", "user", "assistant", "tool")
    if not isinstance(messages, list) or not messages:
        return
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in roles or not isinstance(message.get("content"), (str, list)):
            return
    last = dict(messages[-1])
    if isinstance(last["content"], str) and not last["content"].strip():
        last["content"] = "hello"
    last["role"] = "user"
    body["messages"] = [message for message in messages[:-1] if message["role"] != "tool"] + [last]


def leave_out_conflicts(case):
    """A made-up ETag is that of another state (412), and a key used with two bodies is a conflict (422): both are right answers."""
    case.headers = {
        name: value for name, value in (case.headers or {}).items()
        if name.lower() not in ("if-match", "idempotency-key") or not isinstance(value, str)}


def known_zones(node):
    """The coverage phase makes names from the pattern; which zones there are is known to the server's tz database only."""
    for key, value in node.items():
        if key == "timezone" and isinstance(value, str) and ZONE.fullmatch(value):
            node[key] = "Asia/Shanghai"
        elif isinstance(value, dict):
            known_zones(value)


def shorten_waits(case):
    """A job that is due in years is waited for in vain: one second shows the same as a minute."""
    query, headers = case.query or {}, case.headers or {}
    try:
        if "wait" in query and 0 < float(query["wait"]) <= 600:
            case.query = {**query, "wait": 1}
    except (TypeError, ValueError):
        pass
    if str(headers.get("Prefer", "")).startswith("wait="):
        case.headers = {**headers, "Prefer": "wait=1"}


def consistent(body, path):
    """A kind must be that of the expression, and a job that of the schedule's user: two valid values may contradict each other."""
    expression, kind = body.get("expression"), body.get("kind")
    known = next((name for name, texts in EXPRESSIONS.items() if isinstance(expression, str) and expression in texts), None)
    if isinstance(kind, str) and kind in EXPRESSIONS:
        if known:
            body["kind"] = known
        elif expression is None:
            body["expression"] = EXPRESSIONS[kind][0]
    job = body.get("job")
    if isinstance(job, dict) and isinstance(job.get("user_id"), str) and job["user_id"] != path.get("user_id"):
        body["job"] = {key: value for key, value in job.items() if key != "user_id"}
