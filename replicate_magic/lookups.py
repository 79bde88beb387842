"""Owns what is known of targets, in memory and on disk, and when it is too old; runs none.

A pinned version never changes. An official model runs its newest version whatever we know of it,
and so does a deployment: for a day their schema is good enough, and a refusal has it looked up
again. The version of a community model is named in the request: a newer push is to be run soon. A
Cog server may be started with another model at any time, and is asked before each run.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic import bridge, errors, shelf
from replicate_magic.api.models import Described, describe
from replicate_magic.api.outliving import hear_out
from replicate_magic.cell.check import is_same
from replicate_magic.prediction import Retry
from replicate_magic.shelf import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.client import Client
    from replicate_magic.cell.plan import Target
    from replicate_magic.order import Order
    from replicate_magic.prediction import Event

_FOR_EVER = timedelta.max
_LONG = timedelta(days=1)
_SHORT = timedelta(minutes=10)
_NEW = timedelta(minutes=1)
_DISK_S = 0.5  # a disk that takes longer is not waited for
_OUT_OF_REACH = (
    errors.ConnectionFailed, errors.UnexpectedAnswer, errors.ServerError, errors.RateLimited,
)  # fmt: skip


class Ask(NamedTuple):
    """Who is asked, about what, and who is told that it is asked again."""

    client: Client
    order: Order
    emit: Callable[[Event], None] = lambda _: None

    @property
    def key(self) -> tuple[str, str]:
        """What is run, and where."""
        return self.order.key

    def say(self, reason: str, delay_s: float, attempt: int) -> None:
        """Have it told."""
        at_s = self.order.conditions.at_s
        self.emit(Retry(reason=reason, delay_s=delay_s, at_s=at_s, attempt=attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is known of a target.

    Attributes:
        described: what the API says, or has said.
        fetched_at: when that was (UTC).
        remembered: whether it was known already.
        trouble: why nothing newer is to be had, where it is too old.
    """

    described: Described
    fetched_at: datetime
    remembered: bool = False
    trouble: str = ""

    @property
    def fallback_version(self) -> str | None:
        """The version to name if the model's own route is gone: one that is known to be new."""
        is_old = self.remembered and self.described.official
        return None if is_old else self.described.latest


class Lookups:
    """What was looked up, and is looked up now; on the loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Kept] = {}
        self._asking: dict[tuple[str, str], _Asking] = {}

    def forget(self) -> None:
        """Forget what is in memory."""
        self._known.clear()

    async def find(self, ask: Ask, *, or_old: bool = False) -> Found:
        """What is known of a target: remembered while it is not too old, else asked.

        Args:
            ask: about which, and whom.
            or_old: whether what is too old will do where the API is out of reach.

        Raises:
            NotFound: there is no such model or deployment.
            APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say.
        """
        known = self._known.get(ask.key) or await self._on_disk(ask)
        if known and _is_good(known, ask.order.target):
            return _found(known, remembered=True)
        try:
            return _found(await self._answered(ask))
        except _OUT_OF_REACH as error:
            if known and or_old:
                return _found(known, remembered=True, trouble=str(error))
            raise

    async def kept(self, ask: Ask) -> Found:
        """What is known without asking, however old it is; nothing where it was never asked."""
        known = self._known.get(ask.key)
        if known is None:
            known = await bridge.apart(partial(shelf.read, *_place(ask)))
        return _found(known or Kept(described=Described(), fetched_at=datetime.now(UTC)))

    async def newer(
        self, ask: Ask, found: Found, refused: errors.ReplicateMagicError
    ) -> Found | None:
        """What is known by now, where that differs from what may be the reason of a refusal.

        The API's refusal of anything remembered is such a one; ours is, unless that is quite new.
        """
        is_ours = isinstance(refused, errors.InputError)
        if not found.remembered or (is_ours and _age(found.fetched_at) < _NEW):
            return None
        with suppress(TimeoutError, errors.ReplicateMagicError):  # then the refusal stands
            async with asyncio.timeout_at(ask.order.conditions.deadline_s):
                fresh = _found(await self._answered(ask))
                return fresh if _differs(fresh.described, found.described) else None
        return None

    async def _on_disk(self, ask: Ask) -> Kept | None:
        if _is_passing(ask.order.target):
            return None
        try:
            async with asyncio.timeout(_DISK_S):
                kept = await bridge.apart(partial(shelf.read, *_place(ask)))
        except TimeoutError:
            return None
        return self._known.setdefault(ask.key, kept) if kept else None

    async def _answered(self, ask: Ask) -> Kept:
        """What the API says; those who ask the same at a time ask once."""
        asking = self._asking.get(ask.key)
        if asking is None or asking.task.get_loop() is not asyncio.get_running_loop():
            asking = self._asking[ask.key] = _Asking()
            asking.task = asyncio.create_task(self._fetched(ask, asking))
            asking.task.add_done_callback(hear_out)
        me = object()
        asking.by[me] = ask
        try:
            await asyncio.wait({asking.task})
            return asking.task.result()
        finally:
            del asking.by[me]
            if not asking.by:
                asking.task.cancel()
                if self._asking.get(ask.key) is asking:
                    del self._asking[ask.key]

    async def _fetched(self, ask: Ask, asking: _Asking) -> Kept:
        try:
            described = await describe(ask.client, ask.order.target, asking.say)
        except errors.NotFound:
            self._known.pop(ask.key, None)
            self._see_to(ask, partial(shelf.remove, *_place(ask)))
            raise
        kept = Kept(described=described, fetched_at=datetime.now(UTC))
        self._known[ask.key] = kept
        if ask.order.conditions.log:
            self._see_to(ask, partial(shelf.write, *_place(ask), kept))
        return kept

    @staticmethod
    def _see_to(ask: Ask, work: Callable[[], None]) -> None:
        """Have something done on disk, and wait for nothing."""
        if ask.order.target.kind != "cog":
            bridge.here().watch(bridge.apart(work))


@dataclass(slots=True)
class _Asking:
    """A question that is on its way, and those who wait for its answer."""

    by: dict[object, Ask] = field(default_factory=dict)
    task: asyncio.Task[Kept] = field(init=False)

    def say(self, reason: str, delay_s: float, attempt: int) -> None:
        for ask in self.by.values():
            ask.say(reason, delay_s, attempt)


def _place(ask: Ask) -> tuple[str, str]:
    """Where on disk it is; the embedded engine has another port each time."""
    base, target = ask.key
    return ("local" if ask.order.target.is_local else base), target


def _found(kept: Kept, *, remembered: bool = False, trouble: str = "") -> Found:
    return Found(
        described=kept.described,
        fetched_at=kept.fetched_at,
        remembered=remembered,
        trouble=trouble,
    )


def _differs(fresh: Described, old: Described) -> bool:
    """Whether another request may come of it."""
    same = fresh.version == old.version and is_same(fresh.openapi, old.openapi)
    return fresh.openapi is not None and not same


def _age(fetched_at: datetime) -> timedelta:
    return datetime.now(UTC) - fetched_at


def _is_good(kept: Kept, target: Target) -> bool:
    """Whether it is young enough; one from the future is not, since a clock was wrong."""
    span = _good_for(kept.described, target)
    return span is _FOR_EVER or timedelta(0) <= _age(kept.fetched_at) < span


def _is_passing(target: Target) -> bool:
    """Whether what lies on disk of it is not to be trusted: another may run here by now."""
    return target.is_local or target.kind == "cog"


def _good_for(described: Described, target: Target) -> timedelta:
    if target.kind == "cog":
        return timedelta(0)
    if target.is_local or described.openapi is None:
        return _SHORT
    if target.kind == "version":
        return _FOR_EVER if is_hash(target.version) else _SHORT
    is_newest = target.kind == "deployment" or described.official is True
    return _LONG if is_newest else _SHORT


def is_hash(version: object) -> bool:
    """Whether it is a version itself, and no other name for one, as `hidden` or `latest` are."""
    return isinstance(version, str) and bool(re.fullmatch(r"[0-9a-f]{64}", version))
