"""Owns what an order means to the API by what is known of its model; must not send it."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from replicate_magic.api import cog_protocol, protocol
from replicate_magic.api.protocol import Create
from replicate_magic.cell.fingerprint import request_sha256
from replicate_magic.cell.hiding import Secrets, secrets_of
from replicate_magic.cell.once import rereadable
from replicate_magic.cell.plan import plan
from replicate_magic.cell.schema import read_schema
from replicate_magic.errors import InputError
from replicate_magic.recording import Notes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from replicate_magic.api.models import Described
    from replicate_magic.api.protocol import APIRequest
    from replicate_magic.cell.plan import Request
    from replicate_magic.lookups import Ask, Found, Lookups
    from replicate_magic.order import Conditions, Order


def request_of(order: Order, described: Described) -> Request:
    """The inputs, typed and checked by the model's schema.

    Raises:
        InputError: as `plan` does.
    """
    return plan(order.target, order.draft, read_schema(described.openapi), read_bytes)


async def rehearsed(lookups: Lookups, ask: Ask) -> tuple[Request, Found]:
    """What would be sent, and what is known of the model, however old that is.

    Raises:
        InputError: the model refuses the inputs.
        ReplicateMagicError: nothing is known of the model.
    """
    order = again(ask.order)
    found = await lookups.find(ask, or_old=True)
    try:
        return request_of(order, found.described), found
    except InputError as error:
        newer = await lookups.newer(ask, found, error)
        if newer is None:
            raise
    return request_of(order, newer.described), newer


def again(order: Order) -> Order:
    """The order, such that a second request can be made of it."""
    return order._replace(draft=rereadable(order.draft))


def create_of(request: Request, described: Described, conditions: Conditions) -> Create:
    """What is sent for a request, now."""
    return Create(
        target=request.target,
        input=request.input,
        version=described.version,
        wait_s=conditions.wait_s,
        cancel_after_s=conditions.deadline_s - time.monotonic(),
        secret=secrets_in(request).names,
    )


def asking_for(create: Create, described: Described, *, stream: bool) -> APIRequest:
    """The request that would be sent for it.

    Raises:
        CellError: it asks a Cog server for what it does not do.
    """
    if create.target.kind != "cog":
        return protocol.create_request(create)
    streams = stream and cog_protocol.read_dialect(described.openapi).streams
    return cog_protocol.create_request(create, "ID", streams=streams)


def secrets_in(request: Request) -> Secrets:
    """The secrets among its inputs."""
    return secrets_of(request.schema, request.input)


def digest_of(request: Request, hashed: Mapping[int, str] | None = None) -> str:
    """What requests that are alike have in common, files by their bytes: `request_sha256`.

    Args:
        request: whose files are sent, or within it.
        hashed: the sha256 of those that are yet to be sent, by `id`.
    """
    digests = hashed or {}
    return request_sha256(
        request.target,
        request.input,
        lambda file: digests[id(file)],
        secrets=secrets_in(request).names,
    )


def notes_of(order: Order, request: Request, digest: str) -> Notes:
    """What history has beside the API's JSON; a prompt that is a secret is not part of it."""
    draft = order.draft
    key = draft.prompt_key or request.schema.prompt_key()
    template = draft.template if key not in secrets_in(request).names else None
    return Notes(
        origin=order.endpoint.base,
        prompt=request.prompt,
        local={
            **order.conditions.local,
            **({"template": template} if template else {}),
            "request_sha256": digest,
        },
    )


def read_bytes(path: Path, most: int) -> bytes:
    """Up to so many bytes of a file.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would hold up all calls
        raise OSError(errno.EINVAL, "it is no file that can be sent")
    with path.open("rb") as file:
        return file.read(most)
