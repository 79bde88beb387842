"""Owns the address that was written for a call of the API; must not know its fields' types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from replicate_magic.api import operations, protocol
from replicate_magic.api.operations import METHODS
from replicate_magic.cell.grammar import Given
from replicate_magic.errors import CellError
from replicate_magic.plain import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from replicate_magic.api.operations import Operation
    from replicate_magic.cell.plan import Target

_IN_PATHS = "/:@!$&'()*+,;=~%-._"  # RFC 3986, 3.3, and what is encoded already
_END = "Nothing was sent."


class Address(NamedTuple):
    """Where a call goes.

    Attributes:
        method: in capitals.
        path: below the base URL, without holes, encoded.
        query: what stood behind it.
        fields: the call's fields, without those that filled a hole.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    fields: dict[str, Any]


def read_address(
    method: str,
    written: str,
    fields: Mapping[str, Any],
    *,
    base: str,
    read_model: Callable[[str], Target],
    default: str = "",
) -> Address:
    """Where a call goes.

    Args:
        method: in any case; empty where path and fields are to tell it.
        written: the path, with or without `/` and `/v1` before it, a query behind it, `{holes}` in
            it; or a whole URL of the API's own.
        fields: by name, as written (`Given`) or as objects.
        base: the API's address.
        read_model: reads what is written for a model, which may be an alias.
        default: the model that fills `{owner}` and `{name}` where none is given.

    Raises:
        CellError: it makes no sense, or leads elsewhere.
    """
    path, query = _below(written, base)
    known, left = operations.at(path), dict(fields)
    values = _values(path, left, known, read_model, default)
    filled = re.sub(r"\{(\w+)\}", lambda hole: quote(values.get(hole[1], hole[0]), safe=""), path)
    return Address(_method(method, left, known), quote(filled, safe=_IN_PATHS), query, left)


def _below(written: str, base: str) -> tuple[str, list[tuple[str, str]]]:
    """The path below the base URL, and its query.

    Raises:
        CellError: it is none, or leads elsewhere.
    """
    text = written.strip()
    if "://" in text or text.startswith(("//", "\\")):
        if protocol.origin(text) != protocol.origin(base):
            raise CellError(
                f"{one_line(text, limit=80)} is not an address of the API at {base}: what stands "
                f"elsewhere is not asked, so that the token goes nowhere else. {_END}"
            )
        text = re.sub(r"^[^/]*//[^/?#]*", "", text).removeprefix(urlsplit(base).path)
    path, _, query = text.partition("#")[0].partition("?")
    path = re.sub(r"^v1(?=/|$)", "", path.strip("/")).strip("/")
    if not path:
        raise CellError(f"Write a path of the API, such as /models or /account. {_END}")
    if ".." in path.split("/") or "" in path.split("/"):
        raise CellError(f"{one_line(written, limit=80)} is no path of the API. {_END}")
    return f"/{path}", parse_qsl(query, keep_blank_values=True)


def _values(
    path: str,
    fields: dict[str, Any],
    known: tuple[Operation, ...],
    read_model: Callable[[str], Target],
    default: str,
) -> dict[str, str]:
    """What fills the path's holes, taken out of the fields.

    Raises:
        CellError: a hole has nothing to fill it.
    """
    holes, values = operations.holes(path), dict[str, str]()
    whole = _whole(fields, known, read_model, default) if holes else None
    for hole, called in holes.items():
        name = next((name for name in (hole, called) if name in fields), None)
        values[hole] = _text(fields.pop(name)) if name else _part(whole, called, path)
        if not values[hole]:
            raise CellError(_unfilled(hole, called))
    return values


def _text(given: Any) -> str:
    return given.text if isinstance(given, Given) else str(given)


def _whole(
    fields: dict[str, Any],
    known: tuple[Operation, ...],
    read_model: Callable[[str], Target],
    default: str,
) -> Target | None:
    """What `model=owner/name`, or `deployment=owner/name`, names for the path's holes."""
    for name in ("model", "deployment"):
        if name in fields and not any(one.field(name) for one in known):
            text = _text(fields.pop(name))
            prefix = "deployment:" if name == "deployment" and ":" not in text else ""
            return read_model(prefix + text)
    return read_model(default) if default else None


def _part(target: Target | None, called: str, path: str) -> str:
    """The part of a target that a hole of the path takes; empty where it has none."""
    if target is None or target.kind == "cog":
        return ""
    room = path.split("/")[1]
    if (room == "deployments") != (target.kind == "deployment"):
        return ""
    if called in {"version_id", "version"}:
        return target.version or ""
    end = called.rpartition("_")[2]
    return {"owner": target.owner, "name": target.name}.get(end, "")


def _unfilled(hole: str, called: str) -> str:
    written = f"{hole}=…"
    if called.endswith(("_owner", "_name")) or called in {"owner", "name"}:
        kind = "deployment" if called.startswith("deployment") else "model"
        written = f"{kind}=owner/name"
    return f"{{{hole}}} in the path stands for something: write {written} behind it. {_END}"


# -- the method ---------------------------------------------------------------------------------


def _method(written: str, fields: Iterable[str], known: tuple[Operation, ...]) -> str:
    """The method as it was written, or as path and fields tell it: GET where they fit, else POST.

    Raises:
        CellError: it is none.
    """
    if written:
        method = written.upper()
        if method not in METHODS:
            raise CellError(
                f"{one_line(written, limit=40)} is no method.{did_you_mean(method, METHODS)} "
                f"There is {', '.join(METHODS)}. {_END}"
            )
        return method
    implied = {one.method: one for one in known if one.method in {"GET", "POST"}}
    if len(implied) == 1:
        return next(iter(implied))
    names = _tops(fields)
    if not implied:
        return "POST" if names else "GET"
    fitting = {m: sum(bool(one.field(n)) for n in names) for m, one in implied.items()}
    return "POST" if fitting["POST"] > fitting["GET"] else "GET"


def _tops(fields: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in fields))
