#!/usr/bin/env python3
"""Makes Sources/API/Assets/openapi.json from docs/openapi.yaml, which is the one description of the API.

    deploy/openapi-json.py           writes the JSON file
    deploy/openapi-json.py --check   writes nothing; exit 1 when the two disagree

Needs PyYAML (apt install python3-yaml). Exit 69 without it.
"""
import json
import pathlib
import sys

try:
    import yaml
except ImportError:
    print("openapi-json.py: PyYAML is missing: apt install python3-yaml", file=sys.stderr)
    sys.exit(69)

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "openapi.yaml"
TARGET = ROOT / "Sources" / "API" / "Assets" / "openapi.json"


def resolved_examples(node, document):
    """Examples may point at shared ones; OpenAPI knows no references there, so the value is put in their place."""
    if isinstance(node, list):
        return [resolved_examples(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    result = {}
    for key, value in node.items():
        if key == "example" and isinstance(value, dict) and set(value) == {"$ref"}:
            target = document
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            value = target
        result[key] = resolved_examples(value, document)
    return result


def main(arguments):
    document = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    text = json.dumps(resolved_examples(document, document), ensure_ascii=False, separators=(",", ":")) + "\n"
    if arguments == ["--check"]:
        same = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        if not same:
            print("openapi-json.py: openapi.json is not what docs/openapi.yaml says; run deploy/openapi-json.py")
        return 0 if same else 1
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
