"""The kernels and the browser of the other folders: what is proved here is of all rooms at once."""

from __future__ import annotations

from browsers import browser, expect, installed, open_notebook, servers
from kernels import environment, page, replicate

__all__ = [
    "browser", "environment", "expect", "installed", "open_notebook", "page", "replicate",
    "servers",
]  # fmt: skip
