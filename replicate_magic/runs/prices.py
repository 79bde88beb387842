"""Owns what a run may have cost, by a table of prices that the user gives; must not fetch prices.

Replicate's API tells no price and no hardware, so a cost is an estimate and is called one. It bills
public models by the seconds they ran or by what they took and made: tokens, images
(https://replicate.com/docs/topics/billing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

Prices = Mapping[str, Mapping[str, float]]
"""US dollars for one unit of a metric, for each model.

Example:
    `{"owner/name": {"predict_time": 0.000225}}` is $0.000225 for each second that the model ran;
    `{"owner/name": {"input_token_count": 1e-6, "output_token_count": 3e-6}}` is $1 for a million
    tokens of the input, and $3 for a million of the output.
"""

_SHAPE = (
    'Prices are US dollars for one unit of a metric: {"owner/name": {"predict_time": 0.000225}}.'
)


def checked(prices: Prices) -> Prices:
    """The prices, if they are prices.

    Raises:
        CellError: it is not a table of models, each with numbers from 0 for names of metrics.
    """
    if not isinstance(prices, Mapping):
        raise CellError(f"Not a table of prices: {one_line(repr(prices))}. {_SHAPE}")
    for model, price in prices.items():
        if not isinstance(price, Mapping) or not all(map(_is_amount, price.values())):
            told = one_line(f"{model!r}: {price!r}")
            raise CellError(f"Not a price: {told}. {_SHAPE}")
    return prices


def price_of(model: str, prices: Prices) -> Mapping[str, float] | None:
    """US dollars for one unit of each metric; `None` where none is given.

    Args:
        model: as it was asked for. Without a price for `owner/name:version` the one for
            `owner/name` holds; a deployment has a price of its own.
        prices: see `Prices`.
    """
    name = model if model.startswith("deployment:") else model.partition(":")[0]
    return prices.get(model, prices.get(name))


def cost_usd(model: str, metrics: Mapping[str, Any], prices: Prices) -> float | None:
    """What a run may have cost, in US dollars; or many, since it grows as the metrics do.

    Args:
        model: as it was asked for.
        metrics: the metrics of one run, or their sums over many of one model: seconds, tokens,
            images. Values that cannot have been measured are left out.
        prices: see `Prices`.

    Returns:
        0.0 for `local/…`, unless it has a price; `None` where there is no price, or none of the
        metrics that it is for: what is unknown is not free.
    """
    price = price_of(model, prices)
    if price is None:
        return 0.0 if model.startswith("local/") else None
    amounts = [usd * metrics[name] for name, usd in price.items() if _is_amount(metrics.get(name))]
    return float(sum(amounts)) if amounts else None


def _is_amount(value: Any) -> bool:
    """Whether it can be a price, or a measure."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0
