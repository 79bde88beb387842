"""Owns that runs keep to what may be spent, and that the cost of each is known; must not run them.

A limit is looked at before a run is sent, and again for each of many: what those before have cost
counts by then.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from replicate_magic import bridge, spending
from replicate_magic.describing import hardware_of
from replicate_magic.errors import CreateUnclear
from replicate_magic.plain import count
from replicate_magic.runs.history import the_history
from replicate_magic.runs.prices import cost_of, is_free, known_costs, price_of
from replicate_magic.settings import the_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from replicate_magic.cell.plan import Target
    from replicate_magic.lookups import Found
    from replicate_magic.order import Order
    from replicate_magic.prediction import Prediction
    from replicate_magic.spending import Limit, Purse, Spending
    from replicate_magic.story import Story


def pricer(target: Target, found: Found | None) -> Callable[[Prediction], float | None]:
    """What tells the cost of a prediction of a target, in US dollars, once it has ended."""
    hardware = hardware_of(found.described.raw) if found else None
    return lambda ended: cost_of(ended, str(target), the_settings().prices, hardware)


@asynccontextmanager
async def paid(order: Order, found: Found, story: Story, kernel: Purse) -> AsyncIterator[None]:
    """Within the block a run is under way, and after it is paid.

    Args:
        order: what is to run.
        found: what is known of it.
        story: how it goes.
        kernel: what this process has spent.

    Raises:
        OverBudget: it would pass a limit, or may.
    """
    story.priced(pricer(order.target, found))
    own, model = order.conditions.spending, str(order.target)
    limits = _limits(own, kernel)
    if limits:
        await _look_back(own, order.target, found)
        _refuse(limits, own, {order.target: 1}, {order.target: found})
    bill = spending.Bill(purses=(own.purse, kernel), expected_usd=own.expected_usd(model))
    unclear = False
    try:
        yield
    except CreateUnclear:
        unclear = True
        raise
    finally:
        cost = story.latest.cost_usd
        bill.settle(cost, created=unclear or bool(story.latest.id))
        if cost is not None:
            own.learn(model, [cost])


async def afford(
    own: Spending, numbers: Mapping[Target, int], found: Mapping[Target, Found], kernel: Purse
) -> None:
    """Refuse many runs that would cost too much together, before any of them is sent.

    Args:
        own: what they may cost.
        numbers: how many runs of each target.
        found: what is known of the targets.
        kernel: what this process has spent.

    Raises:
        OverBudget: they would pass a limit, or may.
    """
    if limits := _limits(own, kernel):
        for target in numbers:
            await _look_back(own, target, found[target])
        _refuse(limits, own, numbers, found)


def _limits(own: Spending, kernel: Purse) -> list[Limit]:
    return spending.limits_of(own, budget_usd=the_settings().budget_usd, kernel=kernel)


async def _look_back(own: Spending, target: Target, found: Found) -> None:
    """Learn what earlier runs have cost, once for all runs of a cell."""
    model = str(target)
    if model in own.known:
        return
    runs = await bridge.apart(partial(the_history().last_runs, model))
    earlier, hardware = [one for _, one in runs], hardware_of(found.described.raw)
    if model not in own.known:  # meanwhile another may have
        own.learn(model, known_costs(model, earlier, the_settings().prices, hardware))


def _refuse(
    limits: list[Limit],
    own: Spending,
    numbers: Mapping[Target, int],
    found: Mapping[Target, Found],
) -> None:
    costs = {target: own.expected_usd(str(target)) for target in numbers}
    unknown = [target for target, cost in costs.items() if cost is None]
    many = sum(numbers.values())
    spending.refuse(
        limits,
        sum(number * (costs[target] or 0.0) for target, number in numbers.items()),
        what=" ".join(map(str, numbers)) if many == 1 else count(many, "request"),
        unknown=_why_unknown(unknown[0], found[unknown[0]]) if unknown else "",
        blind=own.blind,
    )


def _why_unknown(target: Target, found: Found) -> str:
    model, prices = str(target), the_settings().prices
    if price_of(model, prices, hardware_of(found.described.raw)) or is_free(model):
        why = "the history has no run of it that tells"
    else:
        why = "there is no price for it (%config ReplicateMagics.prices)"
    return f"{model} costs is not known: {why}"
