"""Owns short names for models: which there are, where they are kept, what each stands for.

Those that `%config ReplicateMagics.aliases` holds go before those that `%replicate alias` keeps.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from replicate_magic.errors import CellError
from replicate_magic.filed import Filed, replace_file
from replicate_magic.plain import did_you_mean, one_line
from replicate_magic.runs.history import home
from replicate_magic.settings import the_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from replicate_magic.cell.plan import Target

_NAME = re.compile(r"[A-Za-z][\w.-]*")  # as a name may be before `=` on a line


def _parsed(text: str) -> dict[str, str]:
    found = json.loads(text)
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: model for name, model in pairs if isinstance(model, str)}


_KEPT: Filed[Mapping[str, str]] = Filed(_parsed, {})


def path() -> Path:
    """The file in which they are kept."""
    return home() / "aliases.json"


def known() -> dict[str, str]:
    """All aliases, and the models that they stand for."""
    return {**_KEPT.read(path()), **the_settings().aliases}


def resolved(word: str) -> str:
    """What a word stands for, if it is an alias; else the word itself."""
    return word if "/" in word else known().get(word, word)


def read_model(word: str) -> Target:
    """Read what was written for MODEL, which may be an alias.

    Raises:
        CellError: it is neither.
    """
    from replicate_magic.cell.plan import read_target

    try:
        return read_target(resolved(word))
    except CellError as error:
        if _NAME.fullmatch(word) and (near := did_you_mean(word, known())):
            raise CellError(f"{error}{near}") from error
        raise


def checked(aliases: Mapping[str, str]) -> Mapping[str, str]:
    """The aliases, if they are such.

    Raises:
        CellError: a name is none, or what it stands for is no model.
    """
    from replicate_magic.cell.plan import read_target

    for name, model in aliases.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CellError(
                f"{one_line(str(name), limit=60)} is no name for a model: it is made of letters, "
                "digits, `-`, `.` and `_`, and has no slash."
            )
        try:
            read_target(str(model))
        except CellError as error:
            raise CellError(f"{name}: {error}") from error
    return aliases


def alias(**models: str | None) -> dict[str, str]:
    """Give models short names, which hold wherever a model is named, also tomorrow.

    ```python
    replicate_magic.alias(llama="meta/meta-llama-3-8b-instruct")
    replicate_magic.alias(llama=None)                # takes it away
    replicate_magic.alias(**{"llama-3": "meta/meta-llama-3-8b-instruct"})
    ```

    Args:
        **models: by its new name each model, as for `run`, or `None`.

    Returns:
        All aliases there are now.

    Raises:
        CellError: a name or a model is none, or the file cannot be written.
    """
    if models:
        kept = {name: model for name, model in models.items() if model is not None}
        gone = models.keys() - kept.keys()
        _refuse(checked(kept), gone)
        _write({**_KEPT.read(path()), **kept}, gone)
    return known()


def _refuse(kept: Mapping[str, str], gone: set[str]) -> None:
    """Refuse what would have no effect."""
    for name in (*kept, *gone):
        if name in the_settings().aliases:
            raise CellError(
                f"{name} is set by %config ReplicateMagics.aliases, which goes before: change it "
                "there."
            )
    for name in gone:
        if name not in _KEPT.read(path()):
            raise CellError(f"There is no alias {one_line(name)}.{did_you_mean(name, known())}")


def _write(aliases: Mapping[str, str], gone: set[str]) -> None:
    left = {name: aliases[name] for name in sorted(aliases) if name not in gone}
    try:
        replace_file(path(), json.dumps(left, indent=1, ensure_ascii=False))
    except OSError as error:
        raise CellError(f"The aliases cannot be kept: {path()}: {error.strerror}.") from error
