"""For schemathesis.sh: names the user where a call leaves the user out, which only callers with a user's token may do; the trial has an admin's."""
import schemathesis

USER = "alice"


@schemathesis.hook
def before_call(context, case, kwargs):
    call = (case.method.upper(), case.path)
    if call == ("GET", "/schedule") and "user_id" not in (case.query or {}):
        case.query = {**(case.query or {}), "user_id": USER}
    if call in {("POST", "/chat"), ("POST", "/reports"), ("POST", "/jobs")}:
        if isinstance(case.body, dict) and "user_id" not in case.body:
            case.body = {**case.body, "user_id": USER}
