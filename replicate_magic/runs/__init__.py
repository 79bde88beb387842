"""What came back: every run kept, as a table, and jq over it.

`replicate_magic.runs()` is a function of the contract, and Python puts a package in its place as
soon as any module of it is imported. So this package can be called: it is that function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Runs(ModuleType):
    """The package, which answers for the function that has its name."""

    def __call__(self, **filters: Any) -> Any:
        from replicate_magic import tables

        return tables.runs(**filters)

    @property
    def __signature__(self) -> Any:
        import inspect

        from replicate_magic import tables

        return inspect.signature(tables.runs)


sys.modules[__name__].__class__ = _Runs
