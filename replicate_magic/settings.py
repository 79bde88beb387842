"""Owns what holds for the whole process where a call says nothing; must not know who set it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.runs.prices import Prices


Reuse = Literal["off", "prefer", "only"]
"""Whether history answers where it has the answer: the values of `REPLICATE_MAGIC_REPLAY`."""
REUSES: tuple[Reuse, ...] = ("off", "prefer", "only")


@dataclass(slots=True, kw_only=True)
class Settings:
    """What was set, by `%config ReplicateMagics` where the magics are loaded.

    Attributes:
        aliases: short names for models.
        prices: what metrics cost, by model; they go before those that come with this package.
        replay: whether history answers; empty where the environment says.
        budget_usd: what may be spent while the process lives, or `None` for no limit.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    prices: Prices = field(default_factory=dict)
    replay: Reuse | Literal[""] = ""
    budget_usd: float | None = None


_SETTINGS = Settings()


def the_settings() -> Settings:
    """The process's settings."""
    return _SETTINGS


def reset() -> None:
    """Have nothing be set, as before the magics were loaded."""
    nothing = Settings()
    for name in Settings.__slots__:
        setattr(_SETTINGS, name, getattr(nothing, name))
