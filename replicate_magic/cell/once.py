"""Owns that a draft can be planned twice: an open file gives its contents once only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replicate_magic.cell.plan import Draft


class _ReadOnce:
    """An open file whose contents stay, once they are read."""

    def __init__(self, file: Any) -> None:
        self.name = getattr(file, "name", "")
        self._file = file
        self._read: list[Any] = []

    def read(self, most: int) -> Any:
        """What the file gave the first time."""
        if not self._read:
            self._read.append(self._file.read(most))
        return self._read[0]


def rereadable(draft: Draft) -> Draft:
    """The draft with open files that can be read again."""
    return replace(draft, inputs={name: kept(value) for name, value in draft.inputs.items()})


def kept(value: Any) -> Any:
    """An input, or the dict of several, whose open files can be read again."""
    if hasattr(value, "read") and not isinstance(value, type):
        return _ReadOnce(value)
    if type(value) is list or type(value) is tuple:
        return type(value)(map(kept, value))
    if type(value) is dict:
        return {key: kept(one) for key, one in value.items()}
    return value
