"""Makes the table of the API's operations that the package ships, from Replicate's description.

    curl -s https://api.replicate.com/openapi.json -o openapi.json
    python tests/api/operations_table.py openapi.json 2026-03-16

The date is the description's. Whether an operation pays or deletes does not stand there: method and
path tell it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import replicate_magic

SOURCE = "https://api.replicate.com/openapi.json"
TABLE = Path(replicate_magic.__file__).parent / "api" / "operations.json"
KEPT = ("type", "enum", "format", "minimum", "maximum", "maxLength", "default", "items")
PAYING = re.compile(r".*/(predictions|trainings)")
SECRET = {"/webhooks/default/secret": ["key"]}
ABOUT_CHARS = 120


def resolved(spec, whole):
    while "$ref" in spec:
        name = spec["$ref"].removeprefix("#/")
        spec = whole
        for step in name.split("/"):
            spec = spec[step]
    return spec


def about(text):
    """The first sentence, without links."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
    lines = [line for line in plain.strip().split("\n\n") if "deprecated" not in line]
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(lines[0].split()))[0] if lines else ""
    return sentence if len(sentence) <= ABOUT_CHARS else f"{sentence[: ABOUT_CHARS - 1]}…"


def field(spec):
    kept = {key: spec[key] for key in KEPT if key in spec}
    if "items" in kept:
        kept["items"] = {key: kept["items"][key] for key in KEPT if key in kept["items"]}
    return {**kept, "about": about(spec.get("description", ""))}


def effect(method, path):
    if method == "DELETE":
        return "deletes"
    if method == "POST" and PAYING.fullmatch(path):
        return "pays"
    return "reads" if method in {"GET", "QUERY"} else "changes"


def body(operation, whole):
    """How the body is written, its fields, and those that must be there."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind, name in (("application/json", "json"), ("multipart/form-data", "form")):
        if kind in content:
            schema = resolved(content[kind]["schema"], whole)
            return name, schema["properties"], schema.get("required", [])
    if "text/plain" in content:
        return "text", {"query": content["text/plain"]["schema"]}, ["query"]
    return None, {}, []


def gives(operation, whole):
    answer = next(one for code, one in operation["responses"].items() if code.startswith("2"))
    content = answer.get("content", {})
    if "application/json" in content:
        schema = resolved(content["application/json"]["schema"], whole)
        is_list = schema.get("type") == "array" or "results" in schema.get("properties", {})
        return "list" if is_list else "object"
    return "text" if "text/plain" in content else "bytes" if content else "nothing"


def row(method, path, operation, whole):
    given = [resolved(one, whole) for one in operation.get("parameters", [])]
    fields = {
        one["name"]: {"in": one["in"], **field({**one["schema"], **_described(one)})}
        for one in given
    }
    takes, of_body, required = body(operation, whole)
    fields |= {name: {"in": "body", **field(spec)} for name, spec in of_body.items()}
    made = {
        "method": method,
        "path": path,
        "summary": operation["summary"],
        "effect": effect(method, path),
        "takes": takes,
        "gives": gives(operation, whole),
        "fields": fields,
        "required": [*(one["name"] for one in given if one.get("required")), *required],
        "secret": SECRET.get(path),
    }
    return {name: value for name, value in made.items() if value}


def _described(one):
    return {"description": one.get("description", "")}


def table(whole, as_of):
    rows = [
        row(method.upper(), path, operation, whole)
        for path, operations in whole["paths"].items()
        for method, operation in operations.items()
    ]
    return {
        "source": SOURCE,
        "as_of": as_of,
        "version": whole["info"]["version"],
        "operations": rows,
    }


def written(made):
    """A line for each operation, so that a newer table differs where the API does."""
    rows = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in made["operations"])
    head = "".join(
        f" {json.dumps(name)}: {json.dumps(made[name])},\n" for name in made if name != "operations"
    )
    return f'{{\n{head} "operations": [\n{rows}\n ]\n}}\n'


if __name__ == "__main__":
    description, as_of = sys.argv[1:]
    whole = json.loads(Path(description).read_text("utf-8"))
    TABLE.write_text(written(table(whole, as_of)), "utf-8")
