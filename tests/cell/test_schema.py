"""What a model's schema says, however it is written."""

from __future__ import annotations

import time
from contextlib import suppress

import cog_schemas as cog
import pytest

from replicate_magic.cell.check import check
from replicate_magic.cell.schema import Schema, read_schema
from replicate_magic.errors import InputError

SECRET = {"type": "string", "format": "password", "x-cog-secret": True}


def field_of(openapi, name):
    return read_schema(openapi).fields[name]


# -- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("openapi", "name", "expected"),
    [
        (cog.CHAT, "prompt", {"types": ("string",), "is_free_text": True}),
        (cog.CHAT, "max_tokens", {"types": ("integer",), "minimum": 1, "maximum": None}),
        (cog.CHAT, "temperature", {"types": ("number",), "minimum": 0, "maximum": 5}),
        (cog.CHAT, "seed", {"types": ("integer", "null")}),
        (cog.CHAT, "debug", {"types": ("boolean",), "required": False}),
        (cog.SDXL, "scheduler", {"choices": ("DDIM", "K_EULER", "PNDM"), "order": 7}),
        (cog.SDXL, "scheduler", {"types": ("string",), "is_free_text": False}),
        (cog.SDXL, "image", {"is_file": True, "is_free_text": False}),
        (cog.FLUX, "prompt", {"required": True, "order": 0}),
        (cog.FLUX, "aspect_ratio", {"choices": ("1:1", "16:9", "21:9")}),
        (cog.WHISPER, "audio", {"is_file": True, "required": True}),
        (cog.WHISPER, "language", {"choices": ("auto", "de", "en")}),
        (cog.NEWER, "image", {"types": ("string", "null"), "is_file": True}),
        (cog.NEWER, "style", {"types": ("string", "null"), "choices": ("plain", "bold")}),
        (cog.NEWER, "strength", {"types": ("number", "null"), "maximum": 1}),
        (cog.NEWER, "images", {"types": ("array",), "is_file": False}),
        (cog.NEWER, "settings", {"types": ("object",)}),
        (cog.NEWER, "either", {"types": ("integer", "string"), "is_free_text": True}),
        (cog.NEWER, "size", {"types": ("integer",), "choices": (256, 512)}),
        (cog.NEWER, "anything", {"types": (), "is_free_text": False}),
        (cog.OLD, "scale", {"minimum": 1, "maximum": 10}),
        (cog.OLD, "steps", {"minimum": 1, "maximum": 500}),
    ],
)
def test_an_input_is_read_as_cog_describes_it(openapi, name, expected):
    field = field_of(openapi, name)

    assert {key: getattr(field, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (cog.CHUNKS, "chunks"),
        (cog.FILE, "file"),
        (cog.FILES, "files"),
        ({**cog.FILES, "x-cog-array-type": "iterator"}, "files"),
        ({"type": "array", "items": cog.ref("File")}, "files"),
        ({"type": "string"}, "text"),
        (cog.ref("Text"), "text"),
        ({"allOf": [cog.ref("Text")]}, "text"),
        ({"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}, "file"),
        ({"type": "array", "items": {"type": "string"}}, "json"),
        ({"type": "array", "items": {}}, "json"),
        ({"type": "object"}, "json"),
        ({"type": "number"}, "json"),
        ({}, None),
        ({"type": ["string"]}, None),
        (None, None),
    ],
)
def test_the_output_has_a_shape(output, shape):
    extra = {"Text": {"type": "string"}, "File": cog.FILE}

    assert read_schema(cog.openapi({}, output=output, **extra)).shape == shape


@pytest.mark.parametrize(
    "openapi",
    [
        None,
        {},
        [],
        "text",
        {"components": None},
        {"components": []},
        {"components": {"schemas": 5}},
        {"components": {"schemas": {"Input": None}}},
        {"components": {"schemas": {"Input": {"type": "object"}}}},
    ],
)
def test_what_is_no_schema_takes_any_input(openapi):
    schema = read_schema(openapi)

    assert schema == Schema()
    check({"anything": object()}, schema, "a/b")


def test_a_model_without_inputs_takes_none():
    with pytest.raises(InputError, match=r"a/b has no input x\. Its inputs: none"):
        check({"x": 1}, read_schema(cog.openapi({})), "a/b")


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        {"type": 5},
        {"type": [["x"]]},
        {"type": {"a": 1}},
        {"type": "thing"},
        {"enum": 5},
        {"enum": None},
        {"format": []},
        {"minimum": "1", "maximum": None},
        {"x-order": "first"},
        {"allOf": {}, "anyOf": 4, "oneOf": [5], "$ref": ["x"]},
        {"$ref": "#/components/schemas/Missing"},
        {"$ref": ""},
    ],
)
def test_a_malformed_input_takes_any_value(spec):
    schema = read_schema(cog.openapi({"x": spec}))

    check({"x": "text"}, schema, "a/b")
    check({"x": 5}, schema, "a/b")


@pytest.mark.parametrize("required", [5, "x", {"x": 1}, [["x"]], [None], None])
def test_a_malformed_list_of_required_inputs_requires_none(required):
    schema = {"components": {"schemas": {"Input": {"properties": {}, "required": required}}}}

    check({}, read_schema(schema), "a/b")


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": cog.ref("A")},
        {"A": {"allOf": [cog.ref("A"), cog.ref("A")]}},
        {"A": {"anyOf": [cog.ref("A"), {"type": "null"}]}},
        {"A": cog.ref("B"), "B": {"allOf": [cog.ref("A"), {"type": "string"}]}},
        {"A": {"type": "array", "items": cog.ref("A")}},
    ],
)
def test_a_schema_that_refers_to_itself_is_read(schemas):
    openapi = cog.openapi({"x": cog.ref("A")}, output=cog.ref("A"), **schemas)

    assert list(read_schema(openapi).fields) == ["x"]


def test_an_enormous_schema_is_read_and_refused_within_a_second():
    names = [f"input_{n}" for n in range(5_000)]
    enum = {"type": "string", "enum": [f"voice_{n}" for n in range(5_000)]}
    openapi = cog.openapi({name: cog.ref("voice") for name in names}, voice=enum)

    began = time.process_time()
    schema = read_schema(openapi)
    with pytest.raises(InputError) as unknown:
        check({"inptu_1": 1}, schema, "a/b")
    with pytest.raises(InputError) as refused:
        check({"input_1": "voice"}, schema, "a/b")

    assert time.process_time() - began < 5
    assert "and 4,950 more" in str(unknown.value)
    assert "and 4,950 more" in str(refused.value)
    assert len(str(unknown.value)) + len(str(refused.value)) < 3_000


def deep(depth):
    spec = {"type": "string"}
    for _ in range(depth):
        spec = {"type": "array", "items": spec}
    return spec


ANY_OF_ITSELF = {"anyOf": [cog.ref("A")] * 30}
MANY = [{"type": "string", "enum": [f"v{n}"]} for n in range(5_000)]
HEAVY = {
    "lists in lists": cog.openapi({"x": deep(50_000)}),
    "unions of itself": cog.openapi({"x": cog.ref("A")}, A=ANY_OF_ITSELF),
    "lists of unions of itself": cog.openapi(
        {"x": cog.ref("A")}, A={"anyOf": [{"type": "array", "items": ANY_OF_ITSELF}] * 30}
    ),
    "a thousand unions of five thousand": cog.openapi(
        {f"x{n}": cog.ref("A") for n in range(1_000)}, A={"anyOf": MANY}
    ),
    "a thousand times all of five thousand": cog.openapi(
        {f"x{n}": cog.ref("A") for n in range(1_000)}, A={"allOf": MANY}
    ),
    "five thousand untyped enums": cog.openapi(
        {f"x{n}": cog.ref("A") for n in range(5_000)}, A={"enum": [f"v{n}" for n in range(5_000)]}
    ),
    "five thousand times the same large object": cog.openapi(
        {f"x{n}": cog.ref("A") for n in range(5_000)}, A={f"k{n}": n for n in range(20_000)}
    ),
    "a type of a hundred thousand": cog.openapi(
        {f"x{n}": cog.ref("A") for n in range(5_000)}, A={"type": ["x"] * 100_000}
    ),
}


@pytest.mark.parametrize("openapi", HEAVY.values(), ids=HEAVY)
def test_a_schema_that_is_made_to_be_slow_is_read_soon(openapi):
    began = time.process_time()
    schema = read_schema(openapi)
    for name in list(schema.fields)[:10]:
        with suppress(InputError):
            check({name: "value"}, schema, "a/b")

    assert time.process_time() - began < 3


def test_a_large_enum_is_kept_once_for_all_who_refer_to_it():
    schema = read_schema(cog.openapi({"x": cog.ref("A"), "y": cog.ref("A")}, A={"enum": ["a"]}))

    assert schema.fields["x"].choices is schema.fields["y"].choices


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, {"above": 0, "minimum": None}),
        ({"minimum": 0, "exclusiveMinimum": True}, {"above": 0, "minimum": None}),
        ({"maximum": 1, "exclusiveMaximum": True}, {"below": 1, "maximum": None}),
        ({"gt": 0, "lt": 1}, {"above": 0, "below": 1}),
        ({"minLength": 1, "maxLength": 2, "pattern": "x"}, {"min_length": 1, "pattern": "x"}),
        ({"minLength": -1, "maxLength": "2", "pattern": 5}, {"min_length": None, "pattern": ""}),
        ({"minimum": True, "x-order": True}, {"minimum": None, "order": 1_000}),
        ({"type": "array", "items": {"type": "string"}}, {"is_list_of_text": True}),
        ({"type": "array", "items": cog.FILE}, {"is_list_of_text": False}),
        ({"type": "string", "format": "password"}, {"is_secret": True, "is_free_text": False}),
        ({"type": "string", "x-cog-secret": True}, {"is_secret": True}),
        ({"anyOf": [SECRET, {"type": "null"}]}, {"is_secret": True}),
        ({"anyOf": [SECRET, {"type": "integer"}]}, {"is_secret": True}),
        ({"anyOf": [{"type": "string"}, SECRET]}, {"is_secret": True}),
        ({"anyOf": [{}, SECRET]}, {"is_secret": True}),
        ({"allOf": [SECRET], "default": "a"}, {"is_secret": True}),
        ({"type": "array", "items": SECRET}, {"is_secret": True}),
        ({"anyOf": [{"type": "array", "items": SECRET}, {"type": "null"}]}, {"is_secret": True}),
        ({"type": "array", "items": {"type": "array", "items": SECRET}}, {"is_secret": True}),
        ({"type": "array", "items": {"type": "string"}}, {"is_secret": False}),
        ({"type": "string", "default": "a"}, {"default": "a", "types": ("string",)}),
        ({"type": "string", "default": None}, {"types": ("string", "null")}),
        ({"type": ["string", "null"]}, {"types": ("string", "null")}),
        ({"const": "a"}, {"choices": ("a",), "types": ("string",)}),
        ({"enum": ["a", None]}, {"choices": ("a",), "types": ("string", "null")}),
        ({"enum": [1, True, 0.5]}, {"types": ("integer", "boolean", "number")}),
        ({"anyOf": [{"const": "a"}, {"const": "b"}]}, {"choices": ("a", "b")}),
        ({"oneOf": [{"enum": ["a"]}, {"enum": ["b"]}, {"type": "null"}]}, {"choices": ("a", "b")}),
        ({"anyOf": [{"enum": ["a"]}, {"type": "string"}]}, {"choices": (), "types": ("string",)}),
        ({"anyOf": [{"type": "string"}, {}]}, {"types": ()}),
        ({"anyOf": [cog.FILE, {"type": "array", "items": cog.FILE}]}, {"is_file": True}),
        ({"anyOf": [cog.FILE, {"type": "string"}]}, {"is_file": False}),
        ({"anyOf": [cog.FILE, cog.FILE]}, {"is_file": True}),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "maxLength": 9}]},
            {"types": ("integer", "string"), "minimum": 1, "max_length": 9},
        ),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "minimum": 5}]},
            {"types": ("integer", "number"), "minimum": None},
        ),
        ({"allOf": [cog.ref("S")], "maximum": 2}, {"minimum": 1, "maximum": 2}),
        ({"allOf": [{"allOf": [cog.ref("S")]}, {"allOf": [{"default": 4}]}]}, {"default": 4}),
        ({"anyOf": [{"allOf": [cog.ref("S")]}, {"type": "null"}]}, {"minimum": 1, "maximum": 3}),
    ],
)
def test_what_json_schema_says_in_its_many_ways_is_read(spec, expected):
    small = {"type": "integer", "minimum": 1, "maximum": 3}
    field = field_of(cog.openapi({"x": spec}, S=small), "x")

    assert {key: getattr(field, key) for key in expected} == expected


def test_an_item_is_read_as_an_input_is():
    spec = {"type": "array", "items": {"allOf": [cog.ref("S")]}, "minItems": 1, "maxItems": 2}
    field = field_of(cog.openapi({"x": spec}, S={"enum": ["a"], "type": "string"}), "x")

    assert (field.item.choices, field.min_items, field.max_items) == (("a",), 1, 2)


# -- the input for the body -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("openapi", "key"),
    [
        (None, "prompt"),
        (cog.CHAT, "prompt"),
        (cog.FLUX, "prompt"),
        (cog.NEWER, "question"),  # the first by x-order, not by place
        (cog.WHISPER, None),  # `initial_prompt` is not required
        (cog.OLD, None),
        (cog.openapi({}), None),
        (cog.openapi({"text": {"type": "string"}}, required=["text"]), "text"),
        (cog.openapi({"n": {"type": "integer"}}, required=["n"]), None),
        (cog.openapi({"e": {"type": "string", "enum": ["a"]}}, required=["e"]), None),
    ],
)
def test_the_body_goes_to_the_prompt_or_the_first_required_text(openapi, key):
    assert read_schema(openapi).prompt_key() == key
