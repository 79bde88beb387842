"""How a body joins a conversation, with the schemas of models that take `messages`."""

from __future__ import annotations

import json

import pytest
import real_schemas as real
from cog_schemas import CHUNKS, openapi

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.plan import plan, read_cell, read_target
from replicate_magic.cell.schema import read_schema
from replicate_magic.errors import InputError

SAID = [{"role": "user", "content": "I am Ada."}, {"role": "assistant", "content": "Hello, Ada!"}]
ASKED = {"role": "user", "content": "Who am I?"}
MESSAGES = {"type": "array", "items": {"type": "object"}}
ALONE = openapi({"messages": MESSAGES, "system_prompt": {"type": "string"}}, output=CHUNKS)
REQUIRED = openapi({"prompt": {"type": "string"}, "messages": MESSAGES}, required=["prompt"])
with_messages = pytest.mark.parametrize(
    "schema", [real.GPT_4O, real.GPT_5, ALONE], ids=["gpt-4o", "gpt-5", "alone"]
)


def requested(line, body, schema, **names):
    draft = read_cell(parse_line(line), body, lambda source: eval(source, names))
    return plan(read_target("a/b"), draft, read_schema(schema), lambda _, __: b"")


def planned(line, body, schema, **names):
    """The input that a cell sends."""
    return requested(line, body, schema, **names).input


@with_messages
@pytest.mark.parametrize(
    "line",
    ["messages={{said}}", "messages={{tuple(said)}}", f"messages:='{json.dumps(SAID)}'"],
    ids=["list", "tuple", "json"],
)
def test_the_body_is_what_the_user_says_next(schema, line):
    assert planned(line, "Who am I?\n", schema, said=SAID) == {"messages": [*SAID, ASKED]}
    assert len(SAID) == 2  # the reader's own list is left as it is


@with_messages
def test_a_conversation_may_begin_with_the_body(schema):
    assert planned("messages:=[]", "Who am I?", schema) == {"messages": [ASKED]}


@with_messages
def test_a_conversation_without_a_body_is_sent_as_it_is(schema):
    assert planned("messages={{said}}", None, schema, said=SAID) == {"messages": SAID}


def test_the_body_alone_is_the_prompt_where_there_is_one():
    assert planned("", "Hi", real.GPT_5) == {"prompt": "Hi"}
    assert planned('system_prompt="Be brief."', "Hi", real.GPT_4O) == {
        "system_prompt": "Be brief.",
        "prompt": "Hi",
    }


def test_the_body_alone_is_a_message_where_there_is_no_prompt():
    assert planned("system_prompt=x", "Who am I?", ALONE) == {
        "system_prompt": "x",
        "messages": [ASKED],
    }


def test_a_prompt_that_is_required_is_the_body_beside_the_messages():
    assert planned("messages={{said}}", "Who am I?", REQUIRED, said=SAID) == {
        "messages": SAID,
        "prompt": "Who am I?",
    }


def test_the_body_goes_where_it_is_asked_to():
    sent = planned("messages={{said}} --prompt-key prompt", "Hi", real.GPT_5, said=SAID)
    assert sent == {"messages": SAID, "prompt": "Hi"}
    assert planned("--prompt-key messages", "Who am I?", real.GPT_5) == {"messages": [ASKED]}


def test_without_a_schema_nothing_is_joined():
    assert planned("messages={{said}}", "Hi", None, said=SAID) == {
        "messages": SAID,
        "prompt": "Hi",
    }


@with_messages
def test_pictures_within_messages_go_along(schema):
    shown = {"role": "user", "content": [{"type": "image", "data": b"\x89PNG\r\n\x1a\n"}]}
    [before, _] = planned("messages={{[shown]}}", "What is it?", schema, shown=shown)["messages"]

    assert before["content"][0]["data"] == "data:image/png;base64,iVBORw0KGgo="


@with_messages
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("messages=Hi", "messages=Hi: expected array of object. Nothing was sent."),
        ("messages:=[", "messages:=[ is not JSON: "),
        ('messages:=["Hi"]', "messages[0]=Hi: expected object. Nothing was sent."),
    ],
)
def test_what_is_no_conversation_is_told(schema, line, told):
    with pytest.raises(InputError) as raised:
        planned(line, "Who am I?", schema)

    assert str(raised.value).startswith(told)


def test_a_body_is_never_lost():
    assert planned("messages=Hi --force", "Who am I?", real.GPT_5) == {
        "messages": "Hi",
        "prompt": "Who am I?",
    }
    with pytest.raises(InputError, match="prompt is given twice"):
        planned("messages:=[] prompt=Hi", "Who am I?", real.GPT_5)


@with_messages
def test_what_was_said_last_is_the_prompt_that_history_has(schema):
    assert requested("messages={{said}}", "Who am I?", schema, said=SAID).prompt == "Who am I?"
    assert requested("messages={{said}}", None, schema, said=SAID).prompt == "Hello, Ada!"
    assert requested("messages:=[]", None, schema).prompt == ""


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        (MESSAGES, "messages"),
        ({"type": "array", "items": {}}, "messages"),
        ({"type": "array"}, "messages"),
        ({"anyOf": [MESSAGES, {"type": "null"}]}, "messages"),
        ({"type": "array", "items": {"type": "string"}}, "text"),
        ({"type": "string"}, "text"),
        ({"anyOf": [MESSAGES, {"type": "string"}]}, "text"),
    ],
)
def test_only_a_list_of_messages_is_a_conversation(spec, key):
    inputs = {"messages": spec, "text": {"type": "string"}}

    assert read_schema(openapi(inputs, required=["text"])).prompt_key() == key
