"""Owns looking up what a target is: its version and its schema; must not keep what it finds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import errors
from replicate_magic.api import answers, cog_server, protocol
from replicate_magic.plain import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.client import Client
    from replicate_magic.api.protocol import APIRequest
    from replicate_magic.cell.plan import Target

    Tell = Callable[[str, float, int], None]

_MOST_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the API says of a target.

    Attributes:
        openapi: the schema of its inputs and output, or `None` where none is to be had.
        version: the version to name in the request; `None` sends to the target's own route.
        latest: the model's latest version, for a model that may turn out to be no official one.
        official: whether it is an official model, where that is told.
        raw: the JSON of the model, version or deployment, without its schema; `None` where there
            is none.
    """

    openapi: dict[str, Any] | None = None
    version: str | None = None
    latest: str | None = None
    official: bool | None = None
    raw: dict[str, Any] | None = None


async def describe(client: Client, target: Target, tell: Tell) -> Described:
    """Ask the API what a target is.

    Args:
        client: the API.
        target: what is to run.
        tell: called with the reason, the seconds before something is asked again, and which try
            that will be.

    Raises:
        NotFound: there is no such model or deployment.
        APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say.
    """
    question = _Question(client, target, tell)
    match target.kind:
        case "version":
            return await _described_version(question, target)
        case "deployment":
            return await _described_deployment(question, target)
        case "cog":
            openapi, root = await cog_server.described(
                client, str(target), lambda reason: tell(reason, 0.0, 0)
            )
            return Described(openapi=openapi, raw=root)
    return await _described_model(question, target)


class _Question(NamedTuple):
    """Who is asked, about what, and who is told of a delay."""

    client: Client
    target: Target
    tell: Tell

    async def get(self, request: APIRequest) -> dict[str, Any]:
        subject = str(self.target)
        for attempt in range(1, _MOST_TRIES):
            try:
                return answers.read_object(await self.client.send(request), subject=subject)
            except (errors.ConnectionFailed, errors.ConnectionLost, errors.ServerError) as error:
                delay_s = protocol.backoff_s(attempt)
                self.tell(one_line(str(error)), delay_s, attempt + 1)
                await asyncio.sleep(delay_s)
        return answers.read_object(await self.client.send(request), subject=subject)


async def _described_model(question: _Question, target: Target) -> Described:
    try:
        raw = await question.get(protocol.model_request(target))
    except errors.NotFound as error:
        if target.is_local:
            raise await _no_such_local_model(question, target) from error
        raise
    latest = answers.object_in(raw, "latest_version")
    official = raw.get("is_official")
    version = latest.get("id")
    if official is False and not version:
        raise errors.NotFound(
            f"{target} has no version that could run: nothing has been pushed to it yet.",
            status=404,
        )
    return Described(
        openapi=latest.get("openapi_schema"),
        version=version if official is False else None,
        latest=version,
        official=official,
        raw={**raw, "latest_version": _without_schema(latest)},
    )


async def _described_version(question: _Question, target: Target) -> Described:
    """Not every version that runs can be looked up; the create has the last word."""
    version = target.version or ""
    try:
        raw = await question.get(protocol.version_request(target, version))
    except errors.NotFound:
        return Described(version=version)
    openapi = raw.get("openapi_schema")
    return Described(openapi=openapi, version=version, raw=_without_schema(raw))


async def _described_deployment(question: _Question, target: Target) -> Described:
    raw = await question.get(protocol.deployment_request(target))
    release = answers.object_in(raw, "current_release")
    model, version = release.get("model"), release.get("version")
    owner, _, name = str(model).partition("/")
    if not name or not isinstance(version, str):
        return Described(raw=raw)
    runs = replace(target, owner=owner, name=name)
    try:
        found = await question.get(protocol.version_request(runs, version))
    except (errors.NotFound, errors.Unauthorized):
        return Described(raw=raw)  # a deployment may run a model whose schema its user cannot see
    return Described(openapi=found.get("openapi_schema"), raw=raw)


def _without_schema(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name != "openapi_schema"}


async def _no_such_local_model(question: _Question, target: Target) -> errors.NotFound:
    listing = await question.get(protocol.models_request())
    models = answers.objects_in(listing, "results")
    names = [f"{model.get('owner')}/{model.get('name')}" for model in models]
    return errors.NotFound(
        f"There is no {target}.{did_you_mean(str(target), names)} The engine on this machine has "
        f"{', '.join(names)}.",
        status=404,
    )
