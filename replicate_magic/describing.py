"""Owns which answers of the API make up what is known of a target; must not ask the API itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api.models import Described
from replicate_magic.cell.info import read_info
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.plan import Target

    Ask = Callable[[Target], Awaitable[Described]]


async def info_of(target: Target, ask: Ask) -> ModelInfo:
    """What is known of a model, a version or a deployment.

    Args:
        target: what is asked about.
        ask: what the API says of one target.

    Raises:
        NotFound: there is none.
        ReplicateMagicError: it could not be found out.
    """
    match target.kind:
        case "version":
            return await _version(target, ask)
        case "deployment":
            return await _deployment(target, ask)
        case "cog":
            return await _server(target, ask)
    found = await ask(target)
    return read_info(str(target), found.raw, found.openapi, runs=str(target), version=found.latest)


async def _version(target: Target, ask: Ask) -> ModelInfo:
    model = replace(target, kind="model", version=None)
    of_model = await ask(model)
    found = await ask(target)
    if found.raw is None:
        latest = f" Its latest is {one_line(of_model.latest)}." if of_model.latest else ""
        raise errors.NotFound(
            f"{model} has no version {target.version} that can be looked up.{latest}", status=404
        )
    return read_info(
        str(target), of_model.raw, found.openapi, runs=str(model), version=target.version
    )


async def _deployment(target: Target, ask: Ask) -> ModelInfo:
    """A deployment may run a model that its user cannot see."""
    found = await ask(target)
    release = _object(found.raw, "current_release")
    version = release.get("version")
    runs = one_line(str(release.get("model") or ""), limit=100)
    owner, _, name = runs.partition("/")
    of_model = Described()
    if owner and name:
        try:
            of_model = await ask(replace(target, kind="model", owner=owner, name=name))
        except (errors.NotFound, errors.Unauthorized):
            of_model = Described()
    openapi = found.openapi
    if openapi is None and version and version == of_model.latest:
        openapi = of_model.openapi
    return read_info(
        str(target),
        of_model.raw,
        openapi,
        runs=runs,
        version=version,
        hardware=hardware_of(found.raw),
    )


async def _server(target: Target, ask: Ask) -> ModelInfo:
    """A Cog server tells its inputs and output, and not what its model is."""
    found = await ask(target)
    version = (found.raw or {}).get("cog_version")
    what = "The model of a Cog server" + (f", cog {version}." if isinstance(version, str) else ".")
    return read_info(str(target), {"description": what}, found.openapi)


def hardware_of(raw: dict[str, Any] | None) -> str | None:
    """The hardware that a deployment runs on, by its name in `GET /hardware`; else `None`.

    Args:
        raw: the API's JSON of a deployment, a model or a version.
    """
    hardware = _object(_object(raw, "current_release"), "configuration").get("hardware")
    return hardware if isinstance(hardware, str) else None


def _object(raw: dict[str, Any] | None, key: str) -> dict[str, Any]:
    found = (raw or {}).get(key)
    return found if isinstance(found, dict) else {}
