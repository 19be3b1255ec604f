#!/usr/bin/env python3
"""Checks spool/job.schema.json: it is a schema, takes every file of spool/examples/, and refuses what is no job.

    deploy/check-job-schema.py

Needs jsonschema 4 (apt install python3-jsonschema). Exit 0 all well, 1 not, 69 without jsonschema.
"""
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("check-job-schema.py: jsonschema is missing: apt install python3-jsonschema", file=sys.stderr)
    sys.exit(69)

SPOOL = pathlib.Path(__file__).resolve().parent.parent / "spool"
# One change each to a job the schema takes: the check can fail both ways.
REFUSED = {
    "no kind": {"kind": None},
    "an unknown kind": {"kind": "essay"},
    "an unknown key": {"colour": "red"},
    "a path as user": {"user_id": "../demo"},
    "a reserved user": {"user_id": "admin"},
    "a priority beyond 9": {"priority": 10},
    "a number as text": {"timeout_s": "300"},
}


def main():
    schema = json.loads((SPOOL / "job.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    examples = sorted((SPOOL / "examples").glob("*.json"))
    faults = [] if examples else ["there are no examples"]
    for path in examples:
        job = json.loads(path.read_text(encoding="utf-8"))
        faults += [f"{path.name}: {error.json_path}: {error.message}" for error in validator.iter_errors(job)]
    base = {"kind": "report", "user_id": "demo"}
    if not validator.is_valid(base):
        faults.append("the smallest report is refused")
    for what, change in REFUSED.items():
        job = {key: value for key, value in {**base, **change}.items() if value is not None}
        if validator.is_valid(job):
            faults.append(f"{what} is taken")
    for fault in faults:
        print(f"check-job-schema.py: {fault}", file=sys.stderr)
    print(f"job schema: {len(examples)} examples taken, {len(REFUSED)} bad jobs refused, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
