"""The table of the API's operations: it agrees with itself, and is found by what is written."""

from __future__ import annotations

import datetime as dt
import json
import re

import operations_table
import pytest

from replicate_magic.api import operations
from replicate_magic.api.operations import find, holes, nearest

ALL = operations.operations()


def test_all_37_are_there_once():
    assert len(ALL) == len({str(one) for one in ALL}) == 37
    assert {one.method for one in ALL} == {"GET", "POST", "PATCH", "DELETE", "QUERY"}


def test_the_table_is_dated_and_as_its_script_writes_it():
    text = operations_table.TABLE.read_text("utf-8")

    assert dt.date.fromisoformat(operations.as_of()) > dt.date(2025, 1, 1)
    assert operations_table.written(json.loads(text)) == text


@pytest.mark.parametrize("one", ALL, ids=str)
def test_an_operation_agrees_with_itself(one):
    in_path = [field.name for field in one.fields if field.place == "path"]

    assert re.findall(r"\{(\w+)\}", one.path) == in_path
    assert one.effect == operations_table.effect(one.method, one.path)
    assert all(field.required for field in one.fields if field.place == "path")
    assert all(field.about and field.takes.types for field in one.fields)
    assert bool(one.takes) == any(field.place == "body" for field in one.fields)
    assert one.summary
    assert find(one.method, one.path) is one


def test_what_pays_and_what_deletes_is_known():
    assert [str(one) for one in ALL if one.effect == "pays"] == [
        "POST /deployments/{deployment_owner}/{deployment_name}/predictions",
        "POST /models/{model_owner}/{model_name}/predictions",
        "POST /models/{model_owner}/{model_name}/versions/{version_id}/trainings",
        "POST /predictions",
    ]
    assert all(one.effect == "deletes" for one in ALL if one.method == "DELETE")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/models/a/b", "GET /models/{model_owner}/{model_name}"),
        ("/models/{owner}/{name}", "GET /models/{model_owner}/{model_name}"),
        (
            "/models/a/b/versions/abc",
            "GET /models/{model_owner}/{model_name}/versions/{version_id}",
        ),
        ("/models/a", None),
        ("/models/a/", None),
        ("/model", None),
        ("/models/a/b/c/d/e/f", None),
    ],
)
def test_a_path_is_found_filled_or_not(path, found):
    known = find("get", path)

    assert (str(known) if known else None) == found


def test_holes_are_known_by_both_names():
    assert holes("/models/{owner}/b/versions") == {"owner": "model_owner"}
    assert holes("/nothing/{x}") == {"x": "x"}


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/model", "/models"),
        ("/modles/a/b/versions", "/models/a/b/versions"),
        ("/predictions/abc/cancl", "/predictions/abc/cancel"),
        ("/xyzzy/1/2/3/4/5/6/7/8/9/0", None),
    ],
)
def test_the_nearest_path_is_named(path, near):
    assert nearest(path) == (f" Did you mean {near}?" if near else "")


def test_a_header_is_known_in_any_case():
    create = find("POST", "/predictions")

    assert create.field("prefer").name == "Prefer"
    assert create.field("Version") is None


DESCRIPTION = {
    "info": {"version": "1"},
    "components": {
        "schemas": {"Body": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}},
        "parameters": {"P": {"in": "header", "name": "P", "schema": {"type": "string"}}},
    },
    "paths": {
        "/things/{id}": {
            "post": {
                "summary": "Make",
                "parameters": [
                    {
                        "in": "path",
                        "name": "id",
                        "required": True,
                        "schema": {"type": "string"},
                        "description": "The [id](https://x), e.g. one. More.",
                    },
                    {"$ref": "#/components/parameters/P"},
                ],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Body"}}
                    }
                },
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"type": "array"}}}}
                },
            }
        }
    },
}


def test_the_script_reads_a_description():
    made = operations_table.table(DESCRIPTION, "2026-01-01")

    assert made["operations"] == [
        {
            "method": "POST", "path": "/things/{id}", "summary": "Make", "effect": "changes",
            "takes": "json", "gives": "list", "required": ["id", "n"],
            "fields": {
                "id": {"in": "path", "type": "string", "about": "The id, e.g. one."},
                "P": {"in": "header", "type": "string", "about": ""},
                "n": {"in": "body", "type": "integer", "about": ""},
            },
        }
    ]  # fmt: skip
