"""Owns what is asked for: what to run, where, with which inputs and how; must not run it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic.cell.options import duration
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line
from replicate_magic.settings import REUSES, the_settings
from replicate_magic.spending import Spending

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from replicate_magic.api.pace import Pace
    from replicate_magic.cell.plan import Draft, Target
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.settings import Reuse

DEFAULT_TIMEOUT_S = 3600.0


def seconds_of(timeout: float | str | None) -> float:
    """The seconds that a timeout means: a number of them, `"5m"`, or an hour where none is given.

    Raises:
        CellError: it is none, or not positive.
    """
    if timeout is None:
        return DEFAULT_TIMEOUT_S
    try:
        text = timeout if isinstance(timeout, str) else f"{timeout:.3f}"
    except (TypeError, ValueError) as error:
        raise CellError(
            f"timeout is of type {type(timeout).__name__}: give seconds, or a text such as '5m'."
        ) from error
    return duration(text)


def replay(*, cached: bool) -> Reuse:
    """Whether history answers: as is set, or `REPLICATE_MAGIC_REPLAY` says, or if `cached`.

    Raises:
        CellError: the variable holds another word.
    """
    named: str = the_settings().replay
    if not named:
        named = os.environ.get("REPLICATE_MAGIC_REPLAY", "").strip().strip("'\"").lower() or "off"
    for known in REUSES:
        if known == named:
            return "prefer" if cached and known == "off" else known
    raise CellError(
        f"REPLICATE_MAGIC_REPLAY is {one_line(named, limit=60)}: there is {', '.join(REUSES)}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Where output files are saved.

    Attributes:
        folder: a folder where they have readable names, or `None` for the history's own.
        most_bytes: the largest file that is saved.
        most_in_all_bytes: how much the history's folder may hold.
    """

    folder: Path | None = None
    most_bytes: int = 1_000_000_000
    most_in_all_bytes: int = 10_000_000_000


def saving_into(
    folder: str | os.PathLike[str] | None,
    *,
    saves: bool,
    log: bool,
    limits: Saving = Saving(),
) -> Saving | None:
    """Where files go: without a row that names them, only into a folder that was named.

    Args:
        folder: the folder that was named, if one was.
        saves: whether files are saved where none was.
        log: whether history keeps a row of the run.
        limits: how much may be saved.
    """
    if folder is not None:
        return replace(limits, folder=Path(folder).expanduser())
    return limits if saves and log else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a prediction is to be run.

    Attributes:
        timeout_s: after how many seconds from `began_s` it is canceled.
        wait_s: how long Replicate may hold the first answer back, or `None`.
        stream: whether to read the stream.
        log: whether history keeps it.
        saving: where its output files are saved, or `None` for nowhere.
        local: what history is to keep beside the API's JSON: tag, notebook, cell.
        reuse: whether history answers: never, where it can, or in place of the API.
        given: the ids that history has answered with: of several requests that are alike each
            takes another.
        began_s: when the cell or the call began, by `time.monotonic()`.
        pace: when one of many is asked about, or `None` for a run of its own.
        watched: set once somebody looks at one of many: then its stream is read too.
        spending: what all runs of the cell or call may cost.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    wait_s: int | None = None
    stream: bool = True
    log: bool = True
    saving: Saving | None = field(default_factory=Saving)
    local: Mapping[str, Any] = field(default_factory=dict)
    reuse: Reuse = "off"
    given: set[str] = field(default_factory=set)
    began_s: float = field(default_factory=time.monotonic)
    pace: Pace | None = None
    watched: asyncio.Event | None = None
    spending: Spending = field(default_factory=Spending)

    @property
    def deadline_s(self) -> float:
        """When the time is over; the loop's clock is `time.monotonic()` too."""
        return self.began_s + self.timeout_s

    @property
    def at_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began_s


class Order(NamedTuple):
    """All that is known of a run before it begins."""

    endpoint: Endpoint
    target: Target
    draft: Draft
    conditions: Conditions

    @property
    def key(self) -> tuple[str, str]:
        """What is run, and where."""
        return self.endpoint.base, str(self.target)

    @property
    def model(self) -> str:
        """What is run, as history and views name it: without its version."""
        target = self.target
        return str(replace(target, kind="model", version=None)) if target.version else str(target)
