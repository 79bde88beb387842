"""Owns what a run may have cost, by the prices that are given and published; must not fetch any.

Replicate's API tells no price, so a cost is an estimate and is called one. It bills public models
by the seconds they ran or by what they took and made: tokens, images
(https://replicate.com/docs/topics/billing). Which hardware ran is told of a deployment alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic.errors import CellError
from replicate_magic.plain import did_you_mean, one_line
from replicate_magic.runs import price_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replicate_magic.prediction import Prediction

Price = Mapping[str, float]
"""US dollars for one unit of each metric."""
Prices = Mapping[str, Price | str]
"""A price for each model, or the name of the hardware that it runs on; for hardware a price too.

Example:
    `{"owner/name": {"predict_time": 0.000225}}` is $0.000225 for each second that the model ran,
    and `{"owner/name": "gpu-t4"}` is what Replicate asks for a second on that hardware;
    `{"owner/name": {"input_token_count": 1e-6, "output_token_count": 3e-6}}` is $1 for a million
    tokens of the input, and $3 for a million of the output;
    `{"gpu-t4": {"predict_time": 0.0003}}` is a new price of that hardware.
"""

_SHAPE = (
    'Prices are US dollars for one unit of a metric, {"owner/name": {"predict_time": 0.000225}}, '
    'or the hardware that a model runs on, {"owner/name": "gpu-t4"}.'
)
_SECOND = "predict_time"
_SAME = (  # models name one measure in two ways: https://replicate.com/docs/reference/http
    {"input_token_count", "token_input_count"},
    {"output_token_count", "token_output_count"},
    {"image_count", "image_output_count"},
)


class Earlier(NamedTuple):
    """What a run was measured to take, and about what it cost by the prices at its end."""

    metrics: Mapping[str, Any]
    cost_usd: float | None = None


def checked(prices: Prices) -> Prices:
    """The prices, if they are prices.

    Raises:
        CellError: it is not a table of models, each with numbers from 0 for names of metrics, or
            with hardware whose price is known.
    """
    if not isinstance(prices, Mapping):
        raise CellError(f"Not a table of prices: {one_line(repr(prices))}. {_SHAPE}")
    for model, price in prices.items():
        told = one_line(f"{model!r}: {price!r}")
        if isinstance(price, str):
            if _of_hardware(price, prices) is None:
                names = {*price_list.hardware_names(), *prices}
                near = did_you_mean(price, names)
                raise CellError(f"No price of that hardware is known: {told}.{near} {_SHAPE}")
        elif not isinstance(price, Mapping) or not all(map(_is_amount, price.values())):
            raise CellError(f"Not a price: {told}. {_SHAPE}")
    return prices


def price_of(model: str, prices: Prices, hardware: str | None = None) -> Price | None:
    """US dollars for one unit of each metric; `None` where no price is known.

    Args:
        model: as it was asked for. Without a price for `owner/name:version` the one for
            `owner/name` holds; a deployment has a price of its own, else that of its hardware.
        prices: those that were given, see `Prices`; they go before the published ones.
        hardware: what it ran on, where that is told.
    """
    name = model if model.startswith("deployment:") else model.partition(":")[0]
    price = prices.get(model, prices.get(name, price_list.MODELS.get(name, hardware)))
    return _of_hardware(price, prices) if isinstance(price, str) else price


def _of_hardware(sku: str, prices: Prices) -> Price | None:
    given = prices.get(sku)
    if isinstance(given, Mapping):
        return given
    published = price_list.hardware_usd(sku)
    return None if published is None else {_SECOND: published}


def cost_usd(
    model: str, metrics: Mapping[str, Any], prices: Prices, hardware: str | None = None
) -> float | None:
    """What a run may have cost, in US dollars; or many, since it grows as the metrics do.

    Args:
        model: as it was asked for.
        metrics: the metrics of one run, or their sums over many of one model: seconds, tokens,
            images. Values that cannot have been measured are left out.
        prices: see `Prices`.
        hardware: what it ran on, where that is told.

    Returns:
        0.0 for `local/…` and a Cog server, unless it has a price: Replicate bills neither. `None`
        where there is no price, or none of the metrics that it is for: what is unknown is not free.
    """
    price = price_of(model, prices, hardware)
    if price is None:
        return 0.0 if is_free(model) else None
    measures = [(usd, _measure(metrics, name)) for name, usd in price.items()]
    amounts = [usd * measure for usd, measure in measures if measure is not None]
    return float(sum(amounts)) if amounts else None


def is_free(model: str) -> bool:
    """Whether Replicate bills nothing for it: it runs on this machine, or a Cog server has it."""
    return model.startswith(("local/", "http://", "https://"))


def cost_of(
    prediction: Prediction, model: str, prices: Prices, hardware: str | None = None
) -> float | None:
    """What a prediction that has ended may have cost, in US dollars; `None` where it is unknown.

    One that was aborted never began, and costs nothing
    (https://replicate.com/changelog/2025-10-16-prediction-deadlines).

    Args:
        prediction: as its end has it.
        model: as it was asked for, with its version if one was named.
        prices: see `Prices`.
        hardware: what it ran on, where that is told.
    """
    if not prediction.final:
        return None
    if prediction.status == "aborted":
        return 0.0
    return cost_usd(model, prediction.metrics, prices, hardware)


def expected_usd(
    models: Iterable[str], earlier: Callable[[str], list[Earlier]], prices: Prices
) -> float | None:
    """What runs may cost that are yet to be made, in US dollars, by the mean of earlier ones.

    Args:
        models: of each run its model.
        earlier: a model's earlier runs.
        prices: see `Prices`.

    Returns:
        `None` where nothing is known of one of them.
    """
    total = 0.0
    for model, many in Counter(models).items():
        known = known_costs(model, earlier(model), prices)
        if not known:
            return None
        total += many * sum(known) / len(known)
    return total


def known_costs(
    model: str, earlier: Iterable[Earlier], prices: Prices, hardware: str | None = None
) -> list[float]:
    """What earlier runs of a model may have cost, of those where that is known.

    By the prices there are now; where there is none, as it was kept.
    """
    if is_free(model) and price_of(model, prices) is None:
        return [0.0]
    costs = [(cost_usd(model, one.metrics, prices, hardware), one.cost_usd) for one in earlier]
    known = [kept if cost is None else cost for cost, kept in costs]
    return [cost for cost in known if cost is not None]


def other_names(metric: str) -> set[str]:
    """By which other names models have the same measure."""
    return next((same - {metric} for same in _SAME if metric in same), set())


def _measure(metrics: Mapping[str, Any], name: str) -> float | None:
    found = [metrics.get(one) for one in (name, *other_names(name))]
    return next((value for value in found if _is_amount(value)), None)


def _is_amount(value: Any) -> bool:
    """Whether it can be a price, or a measure."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0
