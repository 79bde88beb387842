"""The kernels of `kernels`, as fixtures of this folder."""

from __future__ import annotations

from kernels import console, environment, execute, execute_again, kernel, page, replicate

__all__ = [
    "console", "environment", "execute", "execute_again", "kernel", "page", "replicate",
]  # fmt: skip
