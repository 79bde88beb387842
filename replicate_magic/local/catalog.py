"""What the engine's models take, for who asks while it is not running.

Imports no library of a model, and starts nothing.
"""

from __future__ import annotations

from typing import Any

from . import smollm2_info
from .schema import openapi_schema
from .waifu2x import info as waifu2x_info

INFOS = (smollm2_info.INFO, waifu2x_info.INFO)
"""The models of `app.default_models`, in its order."""


def schemas() -> dict[str, dict[str, Any]]:
    """The OpenAPI schema of each model, by its full name."""
    return {info.full_name: openapi_schema(info) for info in INFOS}
