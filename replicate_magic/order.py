"""Owns what is asked for: what to run, where, with which inputs and how; must not run it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from replicate_magic.cell.plan import Draft, Target
    from replicate_magic.endpoint import Endpoint

DEFAULT_TIMEOUT_S = 3600.0


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
        began_s: when the cell or the call began, by `time.monotonic()`.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    wait_s: int | None = None
    stream: bool = True
    log: bool = True
    saving: Saving | None = field(default_factory=Saving)
    local: Mapping[str, Any] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

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
