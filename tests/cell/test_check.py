"""What is told of inputs that a model's schema refuses."""

from __future__ import annotations

import time

import cog_schemas as cog
import pytest

from replicate_magic.cell.check import check, listed
from replicate_magic.cell.schema import Schema, read_schema
from replicate_magic.errors import InputError


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


# -- all at once ------------------------------------------------------------------------------


def told(inputs, schema, **failed):
    with pytest.raises(InputError) as raised:
        check(inputs, schema, "a/b", failed)
    return str(raised.value)


def test_all_problems_are_told_a_line_each():
    inputs = {"promt": "x", "temperature": 9, "sytem_prompt": "y", "debug": 1}

    assert told(inputs, read_schema(cog.CHAT)).split("\n") == [
        "temperature=9: the least is 0, the most is 5.",
        "debug=1: expected boolean.",
        "a/b has no input promt. Did you mean prompt?",
        (
            "a/b has no input sytem_prompt. Did you mean system_prompt? Its inputs: prompt, "
            "system_prompt, max_tokens, temperature, top_p, stop_sequences, seed, debug."
        ),
        "Nothing was sent.",
    ]


def test_what_could_not_be_typed_is_told_too_and_is_not_missing():
    error = InputError("prompt=@x: No such file or directory. Nothing was sent.")

    assert told({"num_outputs": 9}, read_schema(cog.FLUX), prompt=error) == (
        "prompt=@x: No such file or directory.\n"
        "num_outputs=9: the least is 1, the most is 4.\n"
        "Nothing was sent."
    )
    assert told({}, Schema(), prompt=error) == str(error)


def test_more_problems_than_anyone_reads_are_not_all_told():
    lines = told({f"x{n}": n for n in range(5_000)}, read_schema(cog.CHAT)).split("\n")

    assert len(lines) == 22
    assert lines[-2:] == ["There are more.", "Nothing was sent."]


# -- bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "good", "bad", "message"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, 0.1, 0, "it is above 0."),
        ({"type": "number", "exclusiveMaximum": 1}, 0.9, 1, "it is below 1."),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, 0.1, 0, "it is above 0."),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": False}, 0, -1, "the least is 0."),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, 0, 1.0, "it is below 1."),
        ({"type": "number", "gt": 0, "lt": 1}, 0.5, 1, "it is above 0, it is below 1."),
        ({"type": "number", "ge": 0.5, "le": 1.0}, 1, 0.4, "the least is 0.5, the most is 1."),
        ({"type": "integer", "maximum": 2**40}, 1, 2**41, "the most is 1099511627776."),
        ({"type": "string", "minLength": 1}, "a", "", "the least is 1 character."),
        ({"type": "string", "maxLength": 3}, "größ"[:3], "größe", "the most is 3 characters."),
        (
            {"type": "string", "minLength": 2, "maxLength": 3},
            "ab",
            "a",
            "the least is 2 characters, the most is 3 characters.",
        ),
        ({"type": "string", "pattern": "^[0-9]+x[0-9]+$"}, "1x2", "1:2", "it must match ^[0-9]+x"),
        ({"type": "string", "pattern": "^(jpg|png)$"}, "png", "gif", "it must match ^(jpg|png)$."),
        ({"type": "array", "minItems": 1}, [1], [], "the least is 1 item."),
        ({"type": "array", "maxItems": 1}, [1], [1, 2], "the most is 1 item."),
        ({"type": "integer", "enum": [1, 2]}, 1.0, True, "it is one of 1, 2."),
        ({"const": "a"}, "a", "b", "it is one of a."),
        ({"enum": ["a", None]}, None, "b", "it is one of a."),
        ({"type": ["string", "null"]}, None, 5, "expected string or null."),
        ({"type": "string", "format": "uri"}, "data:,x", "x.png", "expected a URL or a file."),
        ({"type": "string", "format": "uri"}, "gs://a/b", 5, "expected a URL or a file."),
        ({"type": "array", "items": {"type": "string"}}, ["a"], "a", "expected array of string."),
        (
            {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            [[1]],
            [[1], [2, "x"]],
            "x[1][1]=x: expected integer.",
        ),
    ],
)
def test_what_a_schema_bounds_is_held_to_it(spec, good, bad, message):
    schema = read_schema(cog.openapi({"x": spec}))
    check({"x": good}, schema, "a/b")

    assert message in told({"x": bad}, schema)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "integer", "minimum": 0, "default": -1},
        {"type": "string", "enum": ["a", "b"], "default": -1},
        {"type": "string", "format": "uri", "default": -1},
        {"type": "string", "default": -1},
    ],
)
def test_a_models_own_default_may_be_given(spec):
    check({"x": -1}, read_schema(cog.openapi({"x": spec})), "a/b")


def test_null_may_be_given_where_it_is_the_default():
    check({"x": None}, read_schema(cog.openapi({"x": {"type": "string", "default": None}})), "a/b")


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+$", "(a|a)*$", "a*a*a*a*b", r"(.)\1$", "(?=a)x", "a?" * 30 + "a" * 30, "((a)(b))x"),
        *("(", "[", "*", "x{99999999999}", "[[a]--b]x", "(?P<x>", "x" * 10_000),
    ],
)
def test_a_pattern_that_may_take_for_ever_or_is_none_is_left_to_the_server(pattern):
    schema = read_schema(cog.openapi({"x": {"type": "string", "pattern": pattern}}))
    began = time.process_time()

    check({"x": "a" * 200}, schema, "a/b")

    assert time.process_time() - began < 1


def test_a_pattern_that_is_tried_takes_no_time():
    schema = read_schema(cog.openapi({"x": {"type": "string", "pattern": "a*a*[^a]x"}}))
    began = time.process_time()

    assert "it must match" in told({"x": "a" * 200}, schema)
    assert time.process_time() - began < 1


# -- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ({"type": "string", "format": "password"}, 5),
        ({"type": "string", "x-cog-secret": True, "minLength": 99}, "hunter2"),
        ({"type": "string", "format": "password", "enum": ["a", "hunter3"]}, "hunter2"),
        ({"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}]}, ["hunter2"]),
        ({"type": "array", "items": {"type": "string", "x-cog-secret": True}}, [["hunter2"]]),
        ({"type": "array", "items": {"type": "string", "x-cog-secret": True}}, "hunter2"),
        ({"type": "array", "items": {"type": "integer"}, "x-cog-secret": True}, ["hunter2"]),
        ({"anyOf": [{"type": "string", "format": "password"}, {"type": "integer"}]}, ["hunter2"]),
    ],
)
def test_a_secret_is_not_told(spec, value):
    message = told({"x": value}, read_schema(cog.openapi({"x": spec})))

    assert "=(secret): " in message
    assert "hunter2" not in message


def test_names_and_choices_that_differ_in_case_alone_are_near():
    schema = read_schema(cog.openapi({"seed": {"enum": ["K_EULER", "Größe"], "type": "string"}}))

    assert "Did you mean K_EULER?" in told({"seed": "k_euler"}, schema)
    assert "Did you mean Größe?" in told({"seed": "GRÖSSE"}, schema)
    assert "Did you mean seed?" in told({"SEED": 5}, schema)


def test_what_a_schema_names_is_safe_to_print():
    schema = read_schema(cog.openapi({"x": {"enum": ["\x1b[31mred\nalert"], "type": "string"}}))

    assert "one of ␛[31mred alert. Did you mean ␛[31mred alert?" in told({"x": "red alert"}, schema)


@pytest.mark.parametrize("value", [10**5_000, "x" * 10**6, {"a": "b" * 10**6}], ids=range(3))
def test_a_value_of_any_size_is_told_in_short(value):
    assert len(told({"max_tokens": value, "debug": value}, read_schema(cog.CHAT))) < 300
