"""What a model's schema says, and what text becomes by it."""

from __future__ import annotations

import time
from contextlib import suppress

import cog_schemas as cog
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.schema import InputField, Schema, check, listed, read_schema, typed
from replicate_magic.errors import InputError


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


# -- typing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("openapi", "name", "text", "value"),
    [
        (cog.CHAT, "prompt", "5", "5"),
        (cog.CHAT, "prompt", "true", "true"),
        (cog.CHAT, "prompt", "null", "null"),
        (cog.CHAT, "prompt", '"quoted"', '"quoted"'),
        (cog.CHAT, "prompt", "", ""),
        (cog.CHAT, "max_tokens", "5", 5),
        (cog.CHAT, "max_tokens", "-5", -5),
        (cog.CHAT, "max_tokens", " 5 ", 5),
        (cog.CHAT, "max_tokens", "12345678901234567890", 12345678901234567890),
        (cog.CHAT, "temperature", "0.5", 0.5),
        (cog.CHAT, "temperature", "1e-3", 0.001),
        (cog.CHAT, "temperature", "1", 1),
        (cog.CHAT, "seed", "null", None),
        (cog.CHAT, "seed", "7", 7),
        (cog.CHAT, "debug", "true", True),
        (cog.CHAT, "debug", "False", False),
        (cog.CHAT, "debug", "YES", True),
        (cog.CHAT, "debug", "no", False),
        (cog.CHAT, "debug", "1", True),
        (cog.CHAT, "debug", "0", False),
        (cog.FLUX, "megapixels", "1", "1"),
        (cog.FLUX, "aspect_ratio", "16:9", "16:9"),
        (cog.NEWER, "size", "512", 512),
        (cog.NEWER, "tags", '["a", "b"]', ["a", "b"]),
        (cog.NEWER, "settings", '{"a": 1}', {"a": 1}),
        (cog.NEWER, "either", "5", "5"),
        (cog.NEWER, "strength", "null", None),
        (cog.NEWER, "anything", "5", 5),
        (cog.NEWER, "anything", "five", "five"),
    ],
)
def test_text_is_typed_by_the_schema(openapi, name, text, value):
    result = typed(text, field_of(openapi, name))

    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-0.5", -0.5),
        ("true", True),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ('"5"', '"5"'),
        ("five", "five"),
        ("True", "True"),
        ("05", "05"),
        ("", ""),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1.2.3", "1.2.3"),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_without_a_schema_json_is_taken_as_such_and_the_rest_as_text(text, value):
    result = typed(text, None)

    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("openapi", "name", "text", "message"),
    [
        (cog.CHAT, "max_tokens", "many", r"max_tokens=many: expected integer\. Nothing was sent"),
        (cog.CHAT, "max_tokens", "5.5", "expected integer"),
        (cog.CHAT, "max_tokens", "true", "expected integer"),
        (cog.CHAT, "max_tokens", "", "expected integer"),
        (cog.CHAT, "max_tokens", '"5"', "expected integer"),
        (cog.CHAT, "seed", "x", "expected integer or null"),
        (cog.CHAT, "temperature", "hot", "expected number"),
        (cog.CHAT, "temperature", "true", "expected number"),
        (cog.CHAT, "temperature", "NaN", "expected number"),
        (cog.CHAT, "temperature", "Infinity", "expected number"),
        (cog.CHAT, "debug", "maybe", "expected boolean"),
        (cog.CHAT, "debug", "2", "expected boolean"),
        (cog.NEWER, "tags", "a,b", "expected array"),
        (cog.NEWER, "tags", "[" * 100_000, r"tags=\[+…: expected array"),
        (cog.NEWER, "settings", "[]", "expected object"),
    ],
)
def test_text_that_is_no_value_of_the_type_is_refused(openapi, name, text, message):
    with pytest.raises(InputError, match=message):
        typed(text, field_of(openapi, name))


@settings(deadline=None)
@given(st.text(), st.lists(st.sampled_from(["integer", "number", "boolean", "array", "null"])))
def test_any_text_is_typed_or_refused_as_an_input_error(text, types):
    with suppress(InputError):
        typed(text, InputField(name="x", types=tuple(types)))


# -- checking ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("openapi", "inputs"),
    [
        (cog.CHAT, {}),
        (cog.CHAT, {"prompt": "", "max_tokens": 1, "temperature": 5, "seed": None, "debug": True}),
        (cog.CHAT, {"temperature": 0}),
        (cog.FLUX, {"prompt": "x", "aspect_ratio": "21:9", "num_outputs": 4}),
        (cog.WHISPER, {"audio": "https://x/y.mp3", "language": "de"}),
        (cog.NEWER, {"text": "", "question": "", "style": None, "image": None, "tags": []}),
        (cog.NEWER, {"text": "", "question": "", "either": 5, "anything": {"a": [1]}}),
        (cog.NEWER, {"text": "", "question": "", "size": 512}),
    ],
)
def test_inputs_that_fit_pass(openapi, inputs):
    check(inputs, read_schema(openapi), "a/b")


@pytest.mark.parametrize(
    ("openapi", "inputs", "message"),
    [
        (cog.CHAT, {"promt": "x"}, r"a/b has no input promt\. Did you mean prompt\? Its inputs: p"),
        (cog.CHAT, {"zzz": 1}, r"no input zzz\. Its inputs: prompt, system_prompt, max_tokens"),
        (cog.CHAT, {"prompt": 5}, r"prompt=5: expected string\."),
        (cog.CHAT, {"prompt": None}, "prompt=None: expected string"),
        (cog.CHAT, {"max_tokens": 0}, r"max_tokens=0: the least is 1\."),
        (cog.CHAT, {"max_tokens": True}, "expected integer"),
        (cog.CHAT, {"max_tokens": 1.5}, "expected integer"),
        (cog.CHAT, {"temperature": 5.01}, r"the most is 5\."),
        (cog.CHAT, {"temperature": -0.01}, "the least is 0"),
        (cog.CHAT, {"debug": 1}, "expected boolean"),
        (cog.CHAT, {"debug": "true"}, "expected boolean"),
        (cog.SDXL, {"scheduler": "K_EULR"}, r"one of DDIM, K_EULER, PNDM\. Did you mean K_EULER\?"),
        (cog.SDXL, {"scheduler": "x"}, r"it is one of DDIM, K_EULER, PNDM\. Nothing was sent"),
        (cog.SDXL, {"scheduler": None}, "it is one of DDIM"),
        (cog.SDXL, {"scheduler": ["DDIM"]}, "it is one of DDIM"),
        (cog.FLUX, {}, r"a/b requires prompt\. Nothing was sent"),
        (cog.FLUX, {"prompt": "x", "num_outputs": 5}, "the most is 4"),
        (cog.NEWER, {}, "a/b requires text, question"),
        (cog.NEWER, {"text": "", "question": "", "style": "bald"}, r"Did you mean bold\?"),
        (cog.NEWER, {"text": "", "question": "", "size": 300}, "one of 256, 512"),
        (cog.NEWER, {"text": "", "question": "", "strength": 1.1}, "the most is 1"),
        (cog.NEWER, {"text": "", "question": "", "tags": "a"}, "expected array"),
        (cog.NEWER, {"text": "", "question": "", "either": []}, "expected integer or string"),
        (cog.OLD, {"image": "x", "scale": 0.5}, "the least is 1"),
        (cog.OLD, {"image": "x", "scale": 11}, "the most is 10"),
        (cog.OLD, {"image": "x", "steps": 501}, "the most is 500"),
    ],
)
def test_inputs_that_do_not_fit_are_told_with_what_is_allowed(openapi, inputs, message):
    with pytest.raises(InputError, match=message) as raised:
        check(inputs, read_schema(openapi), "a/b")

    assert str(raised.value).endswith("Nothing was sent.")


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(InputError) as raised:
        check({"max_tokens": "x" * 100_000}, read_schema(cog.CHAT), "a/b")

    assert len(str(raised.value)) < 200


def test_what_a_message_lists_is_cut_and_safe_to_print():
    assert listed([]) == "none"
    assert listed(["a", 5, "\x1b[31mred"]) == "a, 5, ␛[31mred"
    assert listed(range(51)).endswith("49, and 1 more")
