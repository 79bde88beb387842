"""Owns what may be spent and what was: limits that stop a run before it is sent; must not send it.

All of it is by estimates. It works on the loop, so that two runs never take the same dollar.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicate_magic.errors import OverBudget
from replicate_magic.plain import count, dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNKNOWN = (
    "What {unknown}. {limit} refuses that; in a cell --yes runs it all the same. Nothing was sent."
)
_TOO_MUCH = "{what} may cost {cost}, by earlier runs. {limit}{spent}. Nothing was sent."
_TINY_USD = 1e-9  # what sums of amounts may be off


@dataclass(slots=True)
class Purse:
    """What was spent, and what runs that are under way may cost.

    Attributes:
        spent_usd: by the runs that have ended.
        held_usd: by those that have not, as it was expected.
        unknown: how many have ended whose cost is not known.
    """

    spent_usd: float = 0.0
    held_usd: float = 0.0
    unknown: int = 0


@dataclass(slots=True, kw_only=True)
class Spending:
    """What the runs of one cell or one call may cost.

    Attributes:
        most_usd: for all of them, or `None` for no limit.
        blind: whether those whose cost is not known run all the same.
        purse: what they have spent.
        known: what each model's runs have cost, together, and how many they are; earlier ones
            too, and only those whose cost is known.
    """

    most_usd: float | None = None
    blind: bool = False
    purse: Purse = field(default_factory=Purse)
    known: dict[str, tuple[float, int]] = field(default_factory=dict)

    def learn(self, model: str, costs: Iterable[float]) -> None:
        """Take in what runs of a model have cost."""
        total, many = self.known.get(model, (0.0, 0))
        new = list(costs)
        self.known[model] = total + sum(new), many + len(new)

    def expected_usd(self, model: str) -> float | None:
        """What a run of a model may cost, by the mean of those that are known."""
        total, many = self.known.get(model, (0.0, 0))
        return total / many if many else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit, and the purse that it is for.

    Attributes:
        most_usd: in US dollars.
        name: as people set it.
        purse: what was spent under it.
    """

    most_usd: float
    name: str
    purse: Purse

    @property
    def left_usd(self) -> float:
        """What may be spent yet."""
        return self.most_usd - self.purse.spent_usd - self.purse.held_usd


def limits_of(spending: Spending, *, budget_usd: float | None, kernel: Purse) -> list[Limit]:
    """The limits that a run is under."""
    limits = []
    if spending.most_usd is not None:
        limits.append(Limit(most_usd=spending.most_usd, name="--max-cost", purse=spending.purse))
    if budget_usd is not None:
        limits.append(
            Limit(most_usd=budget_usd, name="%config ReplicateMagics.budget_usd", purse=kernel)
        )
    return limits


def refuse(
    limits: Sequence[Limit], expected_usd: float, *, what: str, unknown: str, blind: bool
) -> None:
    """Refuse what would pass a limit, or may.

    Args:
        limits: those there are.
        expected_usd: what it may cost, as far as that is known.
        what: what is to run, for people.
        unknown: what has a cost that is not known, and why; empty where all of it is known.
        blind: whether it runs all the same then, unless the limit is reached.

    Raises:
        OverBudget: it is refused.
    """
    for limit in limits:
        left_usd = max(limit.left_usd, 0.0)
        if unknown and not blind:
            raise OverBudget(_UNKNOWN.format(unknown=unknown, limit=limit.name))
        if expected_usd > left_usd + _TINY_USD or (unknown and left_usd < _TINY_USD):
            cost = "more than is known" if unknown else f"about {dollars(expected_usd)}"
            most = f"{limit.name} is {dollars(limit.most_usd)}"
            spent = _spent(limit.purse)
            raise OverBudget(_TOO_MUCH.format(what=what, cost=cost, limit=most, spent=spent))


def _spent(purse: Purse) -> str:
    """What was spent already, where anything was."""
    parts = []
    if purse.spent_usd or purse.held_usd:
        parts.append(f"{dollars(purse.spent_usd + purse.held_usd)} are spent or under way")
    if purse.unknown:
        parts.append(f"{count(purse.unknown, 'run')} had a cost that is not known")
    return f", of which {' and '.join(parts)}" if parts else ""


@dataclass(slots=True, kw_only=True)
class Bill:
    """One run on its way, as the purses have it.

    Attributes:
        purses: those that pay it.
        expected_usd: what it may cost, or `None`.
    """

    purses: tuple[Purse, ...]
    expected_usd: float | None

    def __post_init__(self) -> None:
        for purse in self.purses:
            purse.held_usd += self.expected_usd or 0.0

    def settle(self, cost_usd: float | None, *, created: bool) -> None:
        """Pay it.

        Args:
            cost_usd: what it cost; what was expected is paid where that is not known.
            created: whether there was a prediction at all.
        """
        for purse in self.purses:
            purse.held_usd = max(purse.held_usd - (self.expected_usd or 0.0), 0.0)
            if not created:
                continue
            paid = self.expected_usd if cost_usd is None else cost_usd
            purse.spent_usd += paid or 0.0
            purse.unknown += paid is None
