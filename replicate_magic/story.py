"""Owns what is known of a run so far: events are folded in, and each snapshot is published.

It must not know where events come from, or who is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from replicate_magic.prediction import Finished, Log, Moving, Output, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replicate_magic.prediction import Event, OutputFile, Prediction


class Files(Protocol):
    """Whoever fetches output files."""

    @property
    def pending(self) -> bool:
        """Whether one is being fetched."""

    def fetch(self, files: Sequence[OutputFile]) -> None:
        """Begin to fetch those that are new."""


class Story:
    """The newest snapshot of a run.

    Args:
        latest: the first one.
        publish: handed each.
        files: what is to fetch the output files, if anything.
    """

    def __init__(
        self, latest: Prediction, publish: Callable[[Prediction], None], files: Files | None = None
    ) -> None:
        self.latest = latest
        self._publish = publish
        self._files = files
        self._price: Callable[[Prediction], float | None] = lambda _: None

    def priced(self, price: Callable[[Prediction], float | None]) -> None:
        """Have it known what the run has cost, once it has ended."""
        self._price = price

    def add(self, event: Event) -> None:
        """Fold an event in."""
        latest = fold(self.latest, event)
        if self._files and not isinstance(event, Output | Log | Moving):  # many, and name no file
            self._files.fetch(latest.files)
            latest = replace(latest, saving=latest.final and self._files.pending)
        if isinstance(event, Finished):
            latest = replace(latest, cost_usd=self._price(latest))
        self._set(latest)

    def change(self, **values: Any) -> None:
        """Change what is known apart from events."""
        self._set(replace(self.latest, **values))

    def become(self, latest: Prediction) -> None:
        """Have it be another one, which has ended already."""
        self._set(latest)

    def tell(self) -> None:
        """Publish the newest snapshot, though nothing is new."""
        self._publish(self.latest)

    def _set(self, latest: Prediction) -> None:
        self.latest = latest
        self._publish(latest)
