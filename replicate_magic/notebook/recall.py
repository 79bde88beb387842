"""Owns what is known of runs, models and files while somebody types; waits for no network.

All of it is looked for on threads or on the loop. Who asks is given what comes within a moment;
what comes later is there when it is asked for again.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from replicate_magic import bridge
from replicate_magic.errors import ReplicateMagicError
from replicate_magic.runs import history

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.plan import Target
    from replicate_magic.runs.batch_items import BatchRecord
    from replicate_magic.runs.glance import Glance

T = TypeVar("T")

EMBEDDED = ("local/smollm2-135m-instruct", "local/waifu2x")
"""The embedded engine's models, known here without importing anything of it."""

_PATIENCE_S = 0.07  # from the key that is pressed, for what is on this machine
_LOST_S = 60.0  # what is not found by then, such as by a fork's child, is looked for anew
_REST_S = 60.0  # after a failure, before the API is asked the same again
_SEARCHED_S = 600.0  # for which what a search found is good
_KEPT_S = 30.0  # for which a description is not read again
_OLD = timedelta(days=1)
_MOST_RUNS = 1_000
_MOST_BY_PREFIX = 50
_MOST_FOUND = 30
_MOST_FILES = 500
_MOST_KNOWN = 300


class Found(NamedTuple):
    """A model that a search found, in the API's own words."""

    name: str
    description: str
    run_count: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a model takes, and when the API said so (UTC)."""

    info: ModelInfo
    at: datetime


class Sought(Generic[T]):
    """What is looked for in the background, and what was found last.

    Args:
        find: looks for it, on the loop.
        nothing: what there is before anything is found.
        good_s: for how long it is not looked for again.
    """

    def __init__(
        self, find: Callable[[], Coroutine[Any, Any, T]], nothing: T, *, good_s: float = 0.0
    ) -> None:
        self._find = find
        self._last = nothing
        self._good_s = good_s
        self._until_s = 0.0
        self._began_s = 0.0
        self._call: bridge.Call[None, T] | None = None
        self.settled = False

    def begin(self) -> None:
        """Look for it, unless that is being done, or it was found lately."""
        self._take(0.0)
        now_s = time.monotonic()
        if self._call and now_s - self._began_s < _LOST_S:
            return
        if now_s >= self._until_s:
            self._began_s = now_s
            self._call = bridge.Call(lambda _: self._find())
            self._call.start()

    def value(self, until_s: float = 0.0) -> T:
        """What is known by then, on the clock of `time.monotonic`."""
        self._take(max(0.0, until_s - time.monotonic()))
        return self._last

    def _take(self, wait_s: float) -> None:
        call = self._call
        if call is None or not call.wait(wait_s):
            return
        self._call = None
        try:
            self._last, good_s = call.result(), self._good_s
        except Exception:  # noqa: BLE001  (what goes wrong is told when a cell is run)
            good_s = _REST_S
        self._until_s = time.monotonic() + good_s
        self.settled = True


class Recall:
    """What is known by now.

    Args:
        patience_s: how long what is on this machine is waited for, since `begin`.
    """

    def __init__(self, *, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._until_s = 0.0
        self._known: dict[tuple[str, ...], Sought[Any]] = {}

    def begin(self, at_s: float) -> None:
        """It is asked for from now on.

        Args:
            at_s: since when it is waited for, by `time.monotonic()`.
        """
        self._until_s = at_s + self._patience_s
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()

    def runs(self, prefix: str = "") -> list[Glance]:
        """The newest runs; with a prefix some of those whose ids begin so."""
        limit = _MOST_BY_PREFIX if prefix else _MOST_RUNS
        return self._on_disk("runs", prefix, partial(_runs, prefix, limit))

    def batches(self) -> list[BatchRecord]:
        """All batches, newest first."""
        return self._on_disk("batches", "", _batches)

    def described(self) -> list[str]:
        """The models whose descriptions are kept, the newest first; they are not waited for."""
        sought = self._sought(("described", ""), partial(_apart, _described), [])
        sought.begin()
        known: list[str] = sought.value()
        return known

    def files(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, and which of them are folders."""
        return self._on_disk("files", folder, partial(_files, folder))

    def found(self, text: str) -> list[Found]:
        """What the API's search has found for a text; it is asked if it was not yet."""
        key = ("search", _base(), text.lower())
        sought = self._sought(key, partial(_search, text), [], good_s=_SEARCHED_S)
        if _may_ask():
            sought.begin()
        known: list[Found] = sought.value()
        return known

    @cached_property
    def _embedded(self) -> dict[str, dict[str, Any]]:
        from replicate_magic.endpoint import embedded_schemas

        return embedded_schemas()

    def info(self, target: Target) -> ModelInfo | None:
        """What is known of a model; the API is asked where that is nothing, or old."""
        if target.is_local:
            openapi = self._embedded.get(str(target))
            return _info(target, openapi) if openapi else None
        key = (str(target), _base())
        asked = self._sought(("asked", *key), partial(_asked, target), None, good_s=_REST_S)
        told: Told | None = asked.value()
        if told is None and target.kind != "cog":
            look = partial(_apart, partial(_kept, target))
            kept = self._sought(("kept", *key), look, None, good_s=_KEPT_S)
            kept.begin()
            told = kept.value(self._until_s)
            if not kept.settled:
                return None
        if _may_ask() and (told is None or datetime.now(UTC) - told.at > _age_of(target)):
            asked.begin()
        return told.info if told else None

    def _on_disk(self, what: str, which: str, look: Callable[[], list[T]]) -> list[T]:
        sought = self._sought((what, which), partial(_apart, look), [])
        sought.begin()
        value: list[T] = sought.value(self._until_s)
        return value

    def _sought(
        self,
        key: tuple[str, ...],
        find: Callable[[], Coroutine[Any, Any, Any]],
        nothing: Any,
        *,
        good_s: float = 0.0,
    ) -> Sought[Any]:
        return self._known.get(key) or self._known.setdefault(
            key, Sought(find, nothing, good_s=good_s)
        )


def close() -> None:
    """End what was begun for this alone: the loop, and the history that was looked into."""
    bridge.close()
    history.close()


# -- on a thread ------------------------------------------------------------------------------


async def _apart(look: Callable[[], T]) -> T:
    return await bridge.apart(look)


def _base() -> str:
    from replicate_magic.endpoint import configured_base

    return configured_base()


def _runs(prefix: str, limit: int) -> list[Glance]:
    kept = history.the_history()
    return kept.glances(prefix=prefix, limit=limit) if kept.is_begun else []


def _batches() -> list[BatchRecord]:
    kept = history.the_history()
    return kept.batches() if kept.is_begun else []


def _described() -> list[str]:
    from replicate_magic import shelf

    return shelf.targets(_base())


def _kept(target: Target) -> Told | None:
    from replicate_magic import shelf

    found = shelf.read(_base(), str(target))
    if found is None:
        return None
    return Told(info=_info(target, found.described.openapi), at=found.fetched_at)


def _info(target: object, openapi: dict[str, Any] | None) -> ModelInfo:
    from replicate_magic.cell.info import read_info

    return read_info(str(target), None, openapi)


def _files(folder: str) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    with suppress(OSError, ValueError, RuntimeError):  # a NUL in the path, no such user's home
        path = Path(folder).expanduser() if folder else Path()
        with os.scandir(path) as entries:
            for entry in entries:
                found.append((entry.name, entry.is_dir()))
                if len(found) == _MOST_FILES:
                    break
    return found


# -- the API ----------------------------------------------------------------------------------


def _may_ask() -> bool:
    """Whether the API may be asked for what only helps to type.

    Colab asks its user for a secret, which is not to be done before anything was run.
    """
    from replicate_magic import order

    try:
        offline = order.replay(cached=False) == "only"
    except ReplicateMagicError:
        offline = True
    is_known = "replicate_magic.session" in sys.modules
    return not offline and ("google.colab" not in sys.modules or is_known)


def _age_of(target: Target) -> timedelta:
    """A Cog server may be started with another model at any time."""
    return timedelta(minutes=1) if target.kind == "cog" else _OLD


async def _asked(target: Target) -> Told | None:
    """What the API says of a model."""
    session = await bridge.apart(_session)
    from replicate_magic.cell.plan import Draft
    from replicate_magic.order import Conditions, Order

    endpoint = await bridge.apart(partial(session.endpoints.of, target))
    order = Order(endpoint, target, Draft(inputs={}), Conditions())
    found = await session.runner.known(order)
    return Told(info=_info(target, found.described.openapi), at=found.fetched_at)


async def _search(text: str) -> list[Found]:
    """What `GET /search` finds (https://replicate.com/docs/reference/http#search)."""
    session = await bridge.apart(_session)
    from replicate_magic.api import answers
    from replicate_magic.api.protocol import search_request

    endpoint = await bridge.apart(session.endpoints.configured)
    if not endpoint.token:
        return []
    client = await session.runner.clients.at(endpoint)
    answer = await client.send(search_request(text, _MOST_FOUND))
    read = answers.read_object(answer, subject="the search")
    models = [answers.object_in(one, "model") for one in answers.objects_in(read, "models")]
    return [
        Found(
            name=f"{model.get('owner')}/{model.get('name')}",
            description=str(model.get("description") or ""),
            run_count=model.get("run_count"),
        )
        for model in models
    ]


def _session() -> Any:
    """Imported here, on a thread: it brings the HTTP client along, which takes a while."""
    from replicate_magic.session import the_session

    return the_session()
