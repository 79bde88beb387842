"""Owns the commands that set things up: aliases, logging in and out; must not parse them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from replicate_magic import aliases
from replicate_magic.errors import CellError
from replicate_magic.settings import the_settings
from replicate_magic.views.facts import facts_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicate_magic.account import Login
    from replicate_magic.notebook.command_line import CommandLine

_NO_ALIASES = (
    "No aliases: %replicate alias llama=meta/meta-llama-3-8b-instruct makes one, and "
    "%%replicate llama runs it."
)


class Aliases(Mapping[str, str]):
    """The aliases and what they stand for; they show themselves, which a `dict` may not."""

    def __init__(self, models: Mapping[str, str]) -> None:
        self._models = dict(models)

    def __getitem__(self, name: str) -> str:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __repr__(self) -> str:
        return f"Aliases({self._models})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        configured = the_settings().aliases
        facts = {
            name: f"{model} (%config)" if name in configured else model
            for name, model in self.items()
        }
        return facts_bundle(facts, [] if facts else [_NO_ALIASES])


def alias(line: CommandLine) -> Aliases:
    """List, set or delete aliases.

    Raises:
        CellError: a name or a model is none.
    """
    given, gone = dict(line.filters), line.options.get("delete")
    if given and gone is not None:
        raise CellError("%replicate alias sets or deletes: give one of them.")
    return Aliases(aliases.alias(**given) if gone is None else aliases.alias(**{gone: None}))


def login(_line: CommandLine) -> Login:
    """Ask for a token, check it, keep it.

    Raises:
        ReplicateMagicError: nobody can be asked, or the API does not know it.
    """
    from replicate_magic import account

    return account.login()


def logout(_line: CommandLine) -> Login:
    """Take away the token that `login` was given."""
    from replicate_magic import account

    return account.logout()
