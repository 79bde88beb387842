"""Owns what `%replicate status` says; the token is no part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replicate_magic import __version__
from replicate_magic.api.folder import Folder
from replicate_magic.plain import count
from replicate_magic.runs.history import outputs, the_history
from replicate_magic.session import the_session
from replicate_magic.views.status import size

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How things stand.

    Attributes:
        version: of this package.
        api: the API's base URL.
        token_from: where the token was found; empty where there is none.
        history: the history's file.
        size_bytes: how much it takes.
        runs: how many rows it has.
        unfinished: how many of them had not ended when last seen, and run nowhere here.
        trouble: why it is not in its file, if it is not.
        outputs: the folder of saved output files.
        outputs_bytes: how much is in it.
        most_outputs_bytes: how much it may hold.
    """

    version: str
    api: str
    token_from: str
    history: Path
    size_bytes: int
    runs: int
    unfinished: int
    trouble: str
    outputs: Path
    outputs_bytes: int
    most_outputs_bytes: int

    def __str__(self) -> str:
        token = f"token from {self.token_from}" if self.token_from else "no token: local/… only"
        rows = f"{count(self.runs, 'run')}, {size(self.size_bytes)}"
        left = f"; {self.unfinished:,} unfinished: %replicate attach" if self.unfinished else ""
        held = f"{size(self.outputs_bytes)} of at most {size(self.most_outputs_bytes)}"
        lines = [
            f"replicate_magic {self.version}",
            f"API      {self.api} ({token})",
            f"history  {self.history} ({rows}{left})",
            f"outputs  {self.outputs} ({held})",
        ]
        return "\n".join([*lines, self.trouble] if self.trouble else lines)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        printer.text(str(self))


def status(*, most_outputs_bytes: int) -> Status:
    """How things stand now."""
    session, history = the_session(), the_history()
    configured = session.endpoints.configured()
    return Status(
        version=__version__,
        api=configured.base,
        token_from="REPLICATE_API_TOKEN" if configured.token else "",
        history=history.path,
        size_bytes=history.size_bytes,
        runs=history.count(),
        unfinished=len(session.unfinished()),
        trouble=history.trouble,
        outputs=outputs(),
        outputs_bytes=Folder(outputs(), plain=False).held_bytes(),
        most_outputs_bytes=most_outputs_bytes,
    )
