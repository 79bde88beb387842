"""Owns requests that are being sent and have no id yet, in one file of history; sends none.

Its process may end before the answer comes. What it had created is then found by what is kept here.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import HistoryError
from replicate_magic.plain import one_line
from replicate_magic.runs.driving import driver_of
from replicate_magic.runs.record import plain_text, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from replicate_magic.runs.connections import Connections
    from replicate_magic.runs.driving import Driver

_ALL = "SELECT key, driver, request FROM sent"
_ALIKE = "SELECT key, driver, request FROM sent WHERE request_sha256 = ? AND origin = ?"
_PUT = "REPLACE INTO sent (key, request_sha256, origin, driver, request) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """A request that creates a prediction, as history keeps it until its id is known.

    Attributes:
        key: its own.
        request_sha256: what requests that are alike have in common.
        origin: the base URL of the API.
        target: what is to run.
        version: the version that the body names, if it names one.
        official: whether the model is an official one, where that is known.
        input: as it is sent, but for its secrets.
        secret: the names of the inputs that are secrets.
        prompt: as the row of the prediction will have it.
        local: so too.
        sent_at: when it was sent, by the API's clock (UTC).
    """

    key: str = field(default_factory=lambda: secrets.token_hex(8))
    request_sha256: str
    origin: str
    target: str
    version: str | None
    official: bool | None
    input: Mapping[str, Any]
    secret: frozenset[str]
    prompt: str
    local: Mapping[str, Any]
    sent_at: datetime


class SentRequests:
    """Those of one file; all methods raise `HistoryError` where it fails."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def put(self, sent: SentRequest, driver: Driver) -> None:
        """Keeps one, with who sends it."""
        try:
            told = _told(sent)
        except (ValueError, TypeError, RecursionError) as error:
            raise HistoryError(f"{sent.target}: its input cannot be kept: {error}") from error
        row = (sent.key, sent.request_sha256, plain_text(sent.origin), driver.told(), told)
        with self._connections.lent(write=True) as connection:
            connection.execute(_PUT, row)

    def forget(self, keys: Iterable[str]) -> None:
        """Deletes those."""
        with self._connections.lent(write=True) as connection:
            connection.executemany("DELETE FROM sent WHERE key = ?", [(key,) for key in keys])

    def left(
        self, lives: Callable[[str, Driver], bool], alike: SentRequest | None = None
    ) -> list[SentRequest]:
        """Those whose process has ended, the oldest first.

        Args:
            lives: whether who sends it lives, by the request's key.
            alike: only those that ask for the same, at the same place.
        """
        with self._connections.lent() as connection:
            if alike is None:
                rows = connection.execute(_ALL).fetchall()
            else:
                place = (alike.request_sha256, plain_text(alike.origin))
                rows = connection.execute(_ALIKE, place).fetchall()
        found = [
            _read(key, told) for key, driver, told in rows if not lives(key, driver_of(driver))
        ]
        return sorted(found, key=lambda one: one.sent_at)


def _told(sent: SentRequest) -> str:
    return to_json({
        "request_sha256": sent.request_sha256, "origin": sent.origin, "target": sent.target,
        "version": sent.version, "official": sent.official, "input": dict(sent.input),
        "secret": sorted(sent.secret), "prompt": sent.prompt, "local": dict(sent.local),
        "sent_at": sent.sent_at.isoformat(),
    })  # fmt: skip


def _read(key: str, told: str) -> SentRequest:
    try:
        values = json.loads(told)
        sent_at = datetime.fromisoformat(values["sent_at"]).astimezone(UTC)
        values |= {"secret": frozenset(values["secret"]), "sent_at": sent_at}
        return SentRequest(key=key, **values)
    except (ValueError, TypeError, KeyError) as error:
        raise HistoryError(f"a request that was sent is damaged: {one_line(str(error))}") from error
