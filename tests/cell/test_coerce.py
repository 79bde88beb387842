"""What text and objects become by a model's schema."""

from __future__ import annotations

import copy
import datetime as dt
import enum
import json
import time
from contextlib import suppress
from decimal import Decimal

import cog_schemas as cog
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.check import fits, problem
from replicate_magic.cell.coerce import fitted, typed
from replicate_magic.cell.plan import Draft, plan, read_target
from replicate_magic.cell.schema import JSON_TYPES, InputField, read_schema
from replicate_magic.errors import InputError


def field_of(openapi, name):
    return read_schema(openapi).fields[name]


def sent(value, spec):
    """What is sent for one Python object."""
    schema = read_schema(cog.openapi({"x": spec}))
    return plan(read_target("a/b"), Draft(inputs={"x": value}), schema, None).input["x"]


# -- text -------------------------------------------------------------------------------------


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


LISTS = cog.openapi(
    {
        "texts": {"type": "array", "items": {"type": "string"}},
        "bare": {"type": "array"},
        "images": {"type": "array", "items": cog.FILE},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "flags": {"type": "array", "items": {"type": "boolean"}},
        "styles": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c, d"]}},
        "messages": {"type": "array", "items": {"type": "object"}},
        "nested": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "one_or_many": {"anyOf": [cog.FILE, {"type": "array", "items": cog.FILE}]},
        "text_or_many": {"type": ["string", "array"]},
    }
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("texts", '["a", "b"]', ["a", "b"]),
        ("texts", "a", ["a"]),
        ("texts", "", []),
        ("texts", "a, b\nc", ["a, b", "c"]),
        ("texts", "- a\n  - b", ["a", "b"]),
        ("texts", "- a\nb", ["- a", "b"]),
        ("bare", "a", ["a"]),
        ("bare", "1\n2", [1, 2]),
        ("images", "https://x/a.png", ["https://x/a.png"]),
        ("images", "https://x/a,b.png, https://x/c.png", ["https://x/a,b.png", "https://x/c.png"]),
        ("images", "https://x/a.png https://x/b.png", ["https://x/a.png", "https://x/b.png"]),
        ("images", "data:image/png;base64,AAAA", ["data:image/png;base64,AAAA"]),
        ("images", "\nhttps://x/a\nhttps://x/b", ["https://x/a", "https://x/b"]),
        ("sizes", "1, 2,3", [1, 2, 3]),
        ("sizes", "1", [1]),
        ("sizes", "", []),
        ("flags", "yes,no", [True, False]),
        ("styles", "a,b", ["a", "b"]),
        ("styles", "c, d", ["c, d"]),
        ("messages", '[{"role": "user"}]', [{"role": "user"}]),
        ("nested", "[[1], [2]]", [[1], [2]]),
        ("one_or_many", "https://x/a.png", "https://x/a.png"),
        ("one_or_many", '["https://x/a.png"]', ["https://x/a.png"]),
        ("text_or_many", "a", "a"),
        ("text_or_many", '["a"]', ["a"]),
        ("text_or_many", "[a]", "[a]"),
    ],
)
def test_a_list_is_json_or_lines_or_what_has_no_comma_of_its_own(name, text, value):
    assert typed(text, field_of(LISTS, name)) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("texts", "a,b", r'texts=a,b: expected array of string\. A list .* texts:=\["a", "b"\]'),
        ("texts", "[a, b]", "expected array of string"),
        ("images", "[x", "expected array of URLs or files"),
        ("sizes", "1,x", r"sizes=1,x: expected array of integer\. Nothing"),
        ("sizes", "1,,2", "expected array of integer"),
        ("messages", "Hi", "expected array of object"),
        ("nested", "1", "expected array of array of integer"),
        ("bare", "a,b", r"bare=a,b: expected array\. A list is written"),
    ],
)
def test_a_list_that_could_be_meant_otherwise_is_refused(name, text, message):
    with pytest.raises(InputError, match=message):
        typed(text, field_of(LISTS, name))


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        ({"type": "integer"}, "3.0", 3),
        ({"type": "integer"}, "1e3", 1000),
        ({"type": "integer"}, "+5", 5),
        ({"type": "integer"}, "007", 7),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "number"}, "5.", 5.0),
        ({"type": "number"}, "3", 3),
        ({"type": ["integer", "null"]}, "None", None),
        ({"type": "boolean"}, "on", True),
        ({"type": "boolean"}, " OFF ", False),
        ({"type": "boolean"}, "N", False),
        ({"enum": [5, 10], "type": "integer"}, "5.0", 5),
        ({"enum": [0.5, True]}, "true", True),
        ({"enum": ["1", 1]}, "1", "1"),
        ({"enum": ["None", "a"], "nullable": True}, "None", None),
        ({"enum": ["a"], "type": "string", "nullable": True}, "null", None),
        ({"type": "string", "format": "uri", "nullable": True}, "null", None),
        ({"type": "string", "format": "uri"}, " https://x ", "https://x"),
        ({"type": "string", "nullable": True}, "null", "null"),
    ],
)
def test_the_usual_spellings_of_a_value_are_read(spec, text, value):
    result = typed(text, field_of(cog.openapi({"x": spec}), "x"))

    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize("text", ["9" * 5_000, "1" * 100_000 + "x", "1e999", "1_000", "१", "0x10"])
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_what_is_no_number_of_json_is_refused_at_once(kind, text):
    began = time.process_time()
    with pytest.raises(InputError, match=f"expected {kind}"):
        typed(text, InputField(name="x", types=(kind,)))

    assert time.process_time() - began < 1


# -- objects ----------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = Decimal("0.5")


class Size(enum.IntEnum):
    LARGE = 3


NUMBER = {"type": "number"}
WHOLE = {"type": "integer"}
WORD = {"type": "string"}
WHOLES = {"type": "array", "items": WHOLE}
UTC = dt.UTC


@pytest.mark.parametrize(
    ("spec", "value", "result"),
    [
        (WHOLE, 3.0, 3),
        (WHOLE, np.float32(3), 3),
        (WHOLE, Decimal(3), 3),
        (WHOLE, Size.LARGE, 3),
        (NUMBER, 3, 3),
        (NUMBER, 3.0, 3.0),
        (NUMBER, Decimal("0.1"), 0.1),
        (NUMBER, Colour.BLUE, 0.5),
        (WORD, Colour.RED, "red"),
        (WORD, dt.date(2024, 5, 1), "2024-05-01"),
        (WORD, dt.datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00+00:00"),
        (WORD, pd.Timestamp("2024-05-01"), "2024-05-01T00:00:00"),
        (WHOLES, (1, 2.0), [1, 2]),
        (WHOLES, {3, 1, 2}, [1, 2, 3]),
        (WHOLES, frozenset(), []),
        (WHOLES, np.array([1, 2]), [1, 2]),
        (WHOLES, pd.Series([1, 2]), [1, 2]),
        ({"type": "array", "items": NUMBER}, np.array([0.5]), [0.5]),
        ({"type": "array", "items": cog.FILE}, "https://x/a", ["https://x/a"]),
        ({"enum": ["1", "0.25"]}, 0.25, "0.25"),
        ({"enum": ["1", "0.25"]}, 1.0, "1"),
        ({"enum": [5, 10]}, "10", 10),
        ({"enum": [5, 10]}, np.int64(10), 10),
        ({"enum": ["red"]}, Colour.RED, "red"),
        ({"type": "array", "items": {"enum": ["1", "2"]}}, [1, "2"], ["1", "2"]),
    ],
)
def test_an_object_becomes_what_the_input_takes_where_nothing_is_lost(spec, value, result):
    given = sent(value, spec)

    assert (given, type(given)) == (result, type(result))


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        (WHOLE, 3.5, "expected integer"),
        (WHOLE, "3", "expected integer"),
        (WHOLE, 1e300, "expected integer"),
        (WHOLE, True, "expected integer"),
        (WHOLE, 50.0, None),
        (NUMBER, Decimal("0.1000000000000000055511151231257827"), "Decimal"),
        (NUMBER, Decimal("1e1000000"), "Decimal"),
        (NUMBER, Decimal("NaN"), "Decimal"),
        (WORD, 5, "expected string"),
        (WORD, Decimal(1), "Decimal"),
        (WORD, ["a"], "expected string"),
        (WORD, pd.NaT, "NaTType"),
        (WHOLES, {1, "a"}, "set"),
        (WHOLES, np.array([0.5]), r"x\[0\]=0.5: expected integer"),
        (WHOLES, pd.DataFrame({"a": [1]}), "expected integer"),
        ({"type": "boolean"}, "true", "expected boolean"),
        ({"type": "boolean"}, 1, "expected boolean"),
        ({"enum": ["True"]}, True, "it is one of True"),
        ({"type": "array", "items": WORD}, "a", "expected array of string"),
    ],
)
def test_an_object_of_another_kind_is_refused(spec, value, message):
    if message is None:
        assert sent(value, spec) == value
        return
    with pytest.raises(InputError, match=message):
        sent(value, spec)


# -- any --------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from([
    *("type", "enum", "const", "format", "nullable", "default", "x-order", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "ge", "le", "gt", "lt", "minLength", "maxLength"),
    *("pattern", "items", "minItems", "maxItems", "allOf", "anyOf", "oneOf", "$ref"),
    "x-cog-secret",
])  # fmt: skip
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
VALUES = (
    JSON
    | TYPES
    | st.lists(TYPES)
    | st.sampled_from(["uri", "password", "#/components/schemas/A", "#/components/schemas/x"])
)
SPECS = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=5),
    lambda inner: st.dictionaries(KEYS, VALUES | inner | st.lists(inner, max_size=3), max_size=5),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON)
def test_any_json_as_a_schema_is_read(value):
    read_schema(value)
    read_schema({"components": value})
    read_schema({"components": {"schemas": value}})
    read_schema(cog.openapi(value, output=value if isinstance(value, dict) else None))


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(SPECS, SPECS, JSON, st.text(max_size=20))
def test_any_value_for_any_input_is_taken_or_refused_and_a_right_one_never_changed(
    spec, other, value, text
):
    field = field_of(cog.openapi({"x": spec}, output=other, A=other, x=spec), "x")
    was = copy.deepcopy(value)

    if fits(field, value):
        assert fitted(value, field) is value
    else:
        assert problem(field, value)
        fitted(value, field)
    with suppress(InputError):
        typed(text, field)
    assert value == was


@settings(deadline=None)
@given(JSON)
def test_json_that_is_written_out_is_read_as_itself(value):
    for name, types in JSON_TYPES.items():
        if isinstance(value, types) and name != "string":
            field = InputField(name="x", types=(name,))
            if fits(field, value):
                assert typed(json.dumps(value), field) == value
