"""What the API tells of a model as one value, whatever it tells."""

from __future__ import annotations

import pytest
import real_schemas as real
from cog_schemas import openapi

from replicate_magic.cell.info import read_info
from replicate_magic.cell.words import kind, limits, output
from replicate_magic.plain import printable

TEXT = {"type": "string"}
URI = {"type": "string", "format": "uri"}
MODEL = {
    "description": "Writes poems.",
    "is_official": True,
    "run_count": 1_234,
    "url": "https://replicate.com/acme/poet",
    "license_url": "https://example.com/licence",
    "github_url": "http://example.com/code",
    "paper_url": "javascript:alert(1)",
    "default_example": {"input": {"prompt": "A ship."}},
}


def info(model=MODEL, schema=real.LLAMA_3):
    return read_info("acme/poet", model, schema, runs="acme/poet", version="5c7d")


def field(**spec):
    [found] = info(schema=openapi({"x": spec})).inputs
    return found


def test_what_is_told_is_there():
    found = info()

    assert found.description == "Writes poems."
    assert (found.official, found.run_count, found.version) == (True, 1_234, "5c7d")
    assert found.output == "text, piece by piece"
    assert found.prompt_key == "prompt"
    assert [one.name for one in found.inputs][:3] == ["prompt", "system_prompt", "max_tokens"]
    assert found.example == "%%replicate acme/poet\nA ship."


def test_links_are_https_only():
    found = info()

    assert found.url.startswith("https://")
    assert found.license_url.startswith("https://")
    assert found.github_url == found.paper_url == ""


def test_inputs_stand_in_the_order_for_people():
    schema = openapi({"b": {**TEXT, "x-order": 1}, "a": {**TEXT, "x-order": 0}})

    assert [one.name for one in info(schema=schema).inputs] == ["a", "b"]


def test_each_input_has_its_own_description():
    schema = openapi({"a": {**TEXT, "description": "What to say.\x1b[2J"}, "b": TEXT})

    assert info(schema=schema).descriptions == {"a": "What to say.␛[2J"}


def test_a_model_without_a_schema_and_one_without_inputs_are_told_apart():
    assert info(schema=None).inputs is None
    assert info(schema=openapi({})).inputs == ()
    assert info(schema=openapi({})).prompt_key is None


def test_the_default_of_a_secret_is_not_in_it():
    secrets = {
        "key": {**TEXT, "format": "password", "default": "hunter2"},
        "keys": {"type": "array", "items": {**TEXT, "x-cog-secret": True}, "default": ["hunter2"]},
    }
    found = info({**MODEL, "default_example": {"input": {"key": "hunter2"}}}, openapi(secrets))

    assert "hunter2" not in repr(found)
    assert "hunter2" not in str(found._repr_mimebundle_())


@pytest.mark.parametrize(
    "model",
    [
        None,
        {},
        dict.fromkeys(MODEL, 5),
        {key: ["x"] for key in MODEL},
        dict.fromkeys(MODEL),
        {**MODEL, "run_count": True, "default_example": {"input": []}},
        {**MODEL, "run_count": 10**400, "default_example": {"input": {"prompt": {"a": 1}}}},
    ],
    ids=range(7),
)
@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"components": []},
        {"components": {"schemas": {"Input": 5, "Output": 5}}},
        openapi({"prompt": 5, "x": {"default": 10**5_000, "enum": [[[]]] * 9}}, output={}),
        openapi({"x": {"$ref": "#/components/schemas/Output"}}, output={"$ref": "#/x/Output"}),
    ],
    ids=range(6),
)
def test_nothing_that_is_told_raises(model, schema):
    found = info(model, schema)

    assert found._repr_mimebundle_()["text/plain"] == str(found)
    assert "text/html" in found._repr_mimebundle_()


def test_its_texts_are_safe_to_print():
    hostile = "\x1b]0;x\x07\u202e\x85\ud800"
    found = read_info(
        "acme/poet",
        {**MODEL, "description": hostile, "url": f"https://{hostile}"},
        openapi({hostile: {**TEXT, "description": hostile, "pattern": hostile}}),
        runs=hostile,
        version=hostile,
        hardware=hostile,
    )

    assert printable(str(found)) == str(found)
    assert found.url == ""


# -- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "integer"}, "integer"),
        ({**TEXT, "nullable": True}, "string"),
        (URI, "file"),
        ({"type": "array", "items": URI}, "list of files"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
         "list of lists of numbers"),
        ({"type": "array"}, "list"),
        ({"anyOf": [TEXT, {"type": "integer"}]}, "string or integer"),
        ({}, "anything"),
    ],
    ids=range(8),
)  # fmt: skip
def test_the_type_of_an_input_in_words(spec, expected):
    assert kind(field(**spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 2048}, "1 to 2048"),
        ({"type": "number", "minimum": 0.5}, "at least 0.5"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 4294967294.0},
         "at most 4294967294, above 0"),
        ({**TEXT, "maxLength": 80}, "at most 80 characters"),
        ({"type": "array", "items": TEXT, "minItems": 1, "maxItems": 3}, "1 to 3 items"),
        ({**TEXT, "pattern": "^a\n"}, "must match ^a"),
        (TEXT, ""),
    ],
    ids=range(7),
)  # fmt: skip
def test_what_an_input_takes_in_words(spec, expected):
    assert limits(field(**spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (TEXT, "text"),
        (URI, "a file"),
        ({"type": "array", "items": URI}, "a list of files"),
        ({"type": "array", "items": TEXT}, "list of strings"),
        ({"type": "number"}, "number"),
        ({"type": "object", "properties": {"audio": URI, "text": TEXT}},
         "an object with audio, text"),
        ({"type": "object"}, "an object"),
    ],
    ids=range(7),
)  # fmt: skip
def test_the_output_in_words(spec, expected):
    assert output(openapi({}, output=spec)) == expected


def test_an_output_that_is_not_told_has_no_words():
    assert output(openapi({})) == output(None) == ""
