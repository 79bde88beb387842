"""Owns how a body joins a conversation, for models that take `messages`; must not type inputs.

Such models pass over `prompt` where `messages` are given (https://replicate.com/openai/gpt-5/api).
A body that nobody reads is meant by no one: so it is what the user says next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.cell.plan import Draft
    from replicate_magic.cell.schema import InputField, Schema


def heard_in(draft: Draft, schema: Schema) -> InputField | None:
    """The conversation that the body is the next message of, if it is of one.

    It is where messages are given, or are all that a body could go to; not where it was asked to go
    elsewhere, or where the model requires a prompt beside them.
    """
    conversation, prompt = schema.conversation, (schema.fields or {}).get("prompt")
    if conversation is None or draft.prompt_key not in {None, conversation.name}:
        return None
    if draft.prompt_key or prompt is None:
        return conversation
    replaces = conversation.name in draft.inputs and "prompt" not in draft.inputs
    return conversation if replaces and not prompt.required else None


def continued(said: list[Any], body: str) -> list[Any]:
    """What was said so far, and the body after it."""
    return [*said, {"role": "user", "content": body}]


def said_last(sendable: Mapping[str, Any], schema: Schema) -> str:
    """The text of the newest message, or an empty string."""
    said = sendable.get(schema.conversation.name) if schema.conversation else None
    newest = said[-1] if isinstance(said, list) and said else None
    text = newest.get("content") if isinstance(newest, dict) else None
    return text if isinstance(text, str) else ""
