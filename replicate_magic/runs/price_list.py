"""Owns the prices that Replicate has published, and when; must not compute with them.

They change, and Replicate's API tells none: `%config ReplicateMagics.prices` goes before them.
They were last looked at in November 2026. Source: https://replicate.com/pricing
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HARDWARE: dict[str, float] = {
    "cpu-small": 0.000025,
    "cpu": 0.000100,
    "gpu-t4": 0.000225,
    "gpu-l40s": 0.000975,
    "gpu-a100-large": 0.001400,  # 80 GB
    "gpu-h100": 0.001525,
    "gpu-a40-small": 0.000575,  # these two are no longer offered
    "gpu-a40-large": 0.000725,
}
"""US dollars for a second, by the names of `GET /hardware`."""

_SEVERAL = re.compile(r"gpu-(?:([248])x-([a-z0-9-]+)|([a-z0-9-]+)-([248])x)")
"""Two, four or eight of them, as Replicate has written it: `gpu-2x-l40s`, `gpu-h100-2x`."""

MODELS: Mapping[str, Mapping[str, float]] = {  # seen in October 2026
    "black-forest-labs/flux-1.1-pro": {"image_count": 0.04},
    "black-forest-labs/flux-dev": {"image_count": 0.025},
    "black-forest-labs/flux-schnell": {"image_count": 0.003},
    "deepseek-ai/deepseek-r1": {"input_token_count": 3.75e-6, "output_token_count": 1e-5},
    "ideogram-ai/ideogram-v3-quality": {"image_count": 0.09},
}
"""US dollars for one unit of a metric, of official models that are billed by what they make."""


def hardware_usd(sku: str) -> float | None:
    """US dollars for a second on this hardware; `None` where it is unknown."""
    if sku in _HARDWARE:
        return _HARDWARE[sku]
    several = _SEVERAL.fullmatch(sku)
    if several is None:
        return None
    number, name = several[1] or several[4], several[2] or several[3]
    one = _HARDWARE.get(f"gpu-{name}")
    return None if one is None else int(number) * one


def hardware_names() -> Iterable[str]:
    """The names of the hardware whose price is known."""
    return _HARDWARE
