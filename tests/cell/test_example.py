"""Inputs as a cell: read back as they were, and harmless to run, whoever wrote them."""

from __future__ import annotations

import ast
import time

import pytest
from cog_schemas import openapi
from hypothesis import given, settings
from hypothesis import strategies as st
from replicate_server import openapi as schema_of

from replicate_magic.cell.example import write_cell
from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.plan import plan, read_cell, read_target
from replicate_magic.cell.schema import Schema, read_schema
from replicate_magic.plain import printable

URI = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}
POET = read_schema(
    openapi(
        {
            "prompt": {**TEXT, "x-order": 0},
            "system_prompt": {**TEXT, "default": "You are helpful."},
            "image": URI,
            "images": {"type": "array", "items": URI},
            "words": {"type": "array", "items": TEXT},
            "steps": {"type": "integer", "default": 4, "minimum": 1, "maximum": 50},
            "scale": {"type": "number"},
            "style": {"type": "string", "enum": ["oil on canvas", "pen", "0", "@home"]},
            "tiled": {"type": "boolean"},
            "schema": {"type": "object"},
            "other": TEXT,
            "api_key": {**TEXT, "format": "password"},
        },
        required=["prompt"],
    )
)


def read(cell, schema, evaluate=ast.literal_eval):
    """What the cell sends, where nothing but a literal may be evaluated."""
    first, _, body = cell.partition("\n")
    assert first.startswith("%%replicate ")
    line = parse_line(first.removeprefix("%%replicate "))
    [model] = line.words
    draft = read_cell(line, body if body.endswith("\n") else f"{body}\n", evaluate)
    return plan(read_target(model), draft, schema, lambda *_: b"").input


def shown(inputs, schema=POET):
    return write_cell("acme/poet", inputs, schema)


def test_the_prompt_is_the_body_and_short_inputs_stand_on_the_line():
    inputs = {"prompt": "A ship.\nA cat.", "steps": 8, "style": "oil on canvas", "tiled": True}

    assert shown(inputs) == (
        '%%replicate acme/poet steps=8 style="oil on canvas" tiled=true\nA ship.\nA cat.'
    )


def test_long_values_stand_in_the_header_block():
    brief = "Be brief, be kind, and say nothing that is not so or is not asked for."
    lines = f"{brief}\nAnd be quick."

    assert shown({"prompt": "A ship.", "steps": 8, "system_prompt": brief}) == (
        f"%%replicate acme/poet steps=8\n---\nsystem_prompt: {brief}\n---\nA ship."
    )
    assert shown({"prompt": "A ship.", "system_prompt": lines}) == (
        f"%%replicate acme/poet\n---\nsystem_prompt: |\n  {brief}\n  And be quick.\n---\nA ship."
    )


def test_a_prompt_that_is_a_list_of_one_text_is_the_body_too():
    schema = read_schema(openapi({"prompt": {"type": "array", "items": TEXT}}))

    assert write_cell("a/b", {"prompt": ["A ship."]}, schema) == "%%replicate a/b\nA ship."
    for prompt in (["A ship."], ["A ship.", "A cat."]):
        assert read(write_cell("a/b", {"prompt": prompt}, schema), schema) == {"prompt": prompt}


def test_files_are_given_by_their_addresses():
    url = "https://replicate.delivery/pbxt/a-b_c/out%20(1).png?x=1&y=2"

    assert shown({"prompt": "A ship.", "image": "https://x/1.png"}) == (
        "%%replicate acme/poet image=https://x/1.png\nA ship."
    )
    assert shown({"prompt": "A ship.", "image": url}) == (
        f"%%replicate acme/poet\n---\nimage: {url}\n---\nA ship."
    )


def test_a_file_that_is_too_long_for_a_cell_is_a_path_to_fill_in():
    cell = shown({"prompt": "x", "image": f"data:image/png;base64,{'A' * 5_000}"})

    assert cell == "%%replicate acme/poet image=@PATH\nx"


def test_without_a_prompt_the_header_is_the_body():
    """IPython runs no cell without any."""
    schema = read_schema(schema_of(image=URI, scale={"type": "integer"}))

    assert write_cell("a/b", {"image": "https://x/1.png", "scale": 2}, schema) == (
        "%%replicate a/b\n---\nimage: https://x/1.png\nscale: 2\n---"
    )
    assert write_cell("a/b", {}, schema) == "%%replicate a/b\n---\n---"


@pytest.mark.parametrize(
    "inputs",
    [
        {"steps": 4, "system_prompt": "You are helpful."},
        {"scale": None},
        {"gone": 5, "the name": 5},
        {"steps": 100},
        {"steps": "many"},
        {"api_key": "s3cret"},
        {"words": ["x" * 30_000]},
        {"scale": float("nan")},
    ],
    ids=["defaults", "null", "unknown", "too large", "no number", "secret", "long", "nan"],
)
def test_what_need_not_or_cannot_be_given_is_left_out(inputs):
    assert shown({"prompt": "A ship.", **inputs}) == "%%replicate acme/poet\nA ship."


@pytest.mark.parametrize("inputs", [{}, {"steps": 8}, {"prompt": 5}, {"prompt": None}])
def test_without_what_is_required_there_is_no_cell(inputs):
    assert not shown(inputs)


def test_a_required_secret_is_a_variable():
    schema = read_schema(
        openapi(
            {"prompt": TEXT, "api-key": {"type": "string", "x-cog-secret": True}},
            required=["prompt", "api-key"],
        )
    )
    cell = write_cell("a/b", {"prompt": "x", "api-key": "s3cret"}, schema)

    assert cell == "%%replicate a/b api-key={{api_key}}\nx"
    assert read(cell, schema, {"api_key": "mine"}.get) == {"prompt": "x", "api-key": "mine"}


BAIT = "{{__import__('os').system('x')}}"


@pytest.mark.parametrize(
    "inputs",
    [
        {"prompt": BAIT},
        {"prompt": f'Say {BAIT} or {{{{"a"}}}} or {{{{#each}}}} {{{{{{1}}}}}}'},
        {"prompt": "x", "system_prompt": BAIT},
        {"prompt": "x", "system_prompt": f"{BAIT}\n{BAIT} " + "long " * 20},
        {"prompt": "x", "words": [BAIT, "{{"]},
        {"prompt": "x", "schema": {"{{1}}": {"a": "{{2}}"}}},
        {"prompt": "x", "image": f"https://x/{BAIT}"},
        {"prompt": "x", "system_prompt": "{{print(", "words": ["a)}}"]},
        {"prompt": "x", "system_prompt": "{{print(", "style": "oil on canvas", "other": ")}}"},
        {"prompt": "x", "system_prompt": '{{print("', "other": '")}}'},
        {"prompt": "print()}}", "system_prompt": "{{", "other": "\\"},
    ],
    ids=range(11),
)
def test_no_expression_of_a_strangers_is_left_in_it(inputs):
    assert read(shown(inputs), POET) == inputs


@pytest.mark.parametrize(
    "inputs",
    [
        {"prompt": "---\nsteps: 9\n---\nA ship."},
        {"prompt": "--- a\nb"},
        {"prompt": ">>> print(1)\n>>> 2"},
        {"prompt": "In [1]: x"},
        {"prompt": "\n\nA ship."},
        {"prompt": "A ship.\n\n"},
        {"prompt": "  \t "},
        {"prompt": ""},
        {"prompt": "a\r\nb\x1b[31m\x85\u202e\u2028\x7f"},
        {"prompt": "a\u2028b"},
        {"prompt": 'It\'s "so" \\ and \\n'},
        {"prompt": "x", "system_prompt": 'It\'s "so" \\ and \\n -- --raw -o x'},
        {"prompt": "x", "system_prompt": "@home"},
        {"prompt": "x", "system_prompt": "|"},
        {"prompt": "x", "system_prompt": "'quoted'"},
        {"prompt": "x", "system_prompt": ""},
        {"prompt": "x", "system_prompt": "  "},
        {"prompt": "x", "system_prompt": "a\n\n  b\n# c\n"},
        {"prompt": "x", "system_prompt": "\u2028\x1b\u202e\x7f\x85"},
        {"prompt": "x", "system_prompt": "null"},
        {"prompt": "x", "style": "0"},
        {"prompt": "x", "style": "@home"},
        {"prompt": "x", "words": ["a, b", "c"], "images": ["https://x/1", "https://x/2"]},
        {"prompt": "x", "words": []},
        {"prompt": "x", "schema": {"type": "object", "a": [1, 2.5, None, True, "\n"]}},
        {"prompt": "x", "scale": -1e-07, "steps": 50, "tiled": False},
    ],
    ids=range(26),
)
def test_it_reads_back(inputs):
    cell = shown(inputs)

    assert read(cell, POET) == inputs
    assert printable(cell) == cell


def test_without_a_schema_all_of_them_are_given():
    inputs = {"prompt": "x", "a": "5", "b": 5, "c": "true", "d": [1], "e": "two words"}

    assert read(write_cell("a/b", inputs, Schema()), Schema()) == inputs


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


TEXTS = st.text() | st.lists(
    st.sampled_from(["{{", "}}", "print(", ")", '"', "'", "\\", " ", "\n", "---", "a", "@", "="])
).map("".join)


@given(prompt=TEXTS.filter(bool), system=TEXTS, other=TEXTS, extra=VALUES)
@settings(deadline=None, max_examples=300)
def test_any_inputs_read_back(prompt, system, other, extra):
    schema = read_schema(openapi({"prompt": TEXT, "system": TEXT, "other": TEXT, "extra": {}}))
    inputs = {"prompt": prompt, "system": system, "other": other, "extra": extra}
    cell = write_cell("acme/poet", inputs, schema)
    expected = {name: value for name, value in inputs.items() if value is not None}
    halves = any("\ud800" <= character <= "\udfff" for character in repr(inputs))

    assert printable(cell) == cell
    assert halves or read(cell, schema) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 9_000, "{{a}}" * 3_900, "{{'" * 6_000, '{{"' * 6_000, "'" * 19_000, "\\" * 9_000,
        "{{(" * 6_000,
    ],
    ids=range(7),
)  # fmt: skip
@pytest.mark.timeout(20)
def test_texts_that_are_made_to_be_slow_are_not(text):
    inputs = {"prompt": text, "system_prompt": text, "words": [text[:9_000]]}
    began_s = time.monotonic()
    cell = shown(inputs)

    assert time.monotonic() - began_s < 5
    assert not cell or read(cell, POET)["prompt"] == text
