"""Owns what `%replicate status` says: what a report of a fault needs, and no secret."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from replicate_magic import __version__, tokens
from replicate_magic.account import account_name
from replicate_magic.api.folder import Folder
from replicate_magic.endpoint import Endpoint, configured_base
from replicate_magic.errors import ReplicateMagicError, Unauthorized
from replicate_magic.order import Saving
from replicate_magic.plain import count, dollars, one_line
from replicate_magic.runs.history import outputs, the_history
from replicate_magic.session import the_session
from replicate_magic.settings import the_settings
from replicate_magic.views import find_place
from replicate_magic.views.facts import facts_bundle
from replicate_magic.views.status import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.api.limiter import Limiter
    from replicate_magic.api.protocol import Kind
    from replicate_magic.spending import Purse
    from replicate_magic.views import Place

_KINDS: tuple[tuple[Kind, str], ...] = (("create", "creates"), ("other", "reads"))
_ACCOUNT_S = 2.0
_LIBRARIES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "httpx", "pandas", "jq", "keyring")
_ENGINES = ("xllamacpp", "sr-vulkan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How things stand. It shows itself; `.text` is the same to be pasted.

    Attributes:
        version: of this package.
        api: the API's base URL.
        token_from: where the token was found; empty where there is none.
        account: whose token it is, or why that is not known; empty without a token.
        limits: what is left of the account's rate limits; empty where no answer has told.
        spent: what the runs of this process have cost, by estimates; empty where nothing is known.
        history: the history's file.
        size_bytes: how much it takes.
        runs: how many rows it has.
        unfinished: how many of them had not ended when last seen, and run nowhere here; with what
            was being sent by a process that ended before it knew the id.
        trouble: why it is not in its file, if it is not.
        outputs: the folder of saved output files.
        outputs_bytes: how much is in it.
        most_outputs_bytes: how much it may hold.
        engine: whether the embedded engine runs, and with what it would.
        place: where output goes.
        versions: of Python and of the libraries that are installed.
    """

    version: str
    api: str
    token_from: str
    account: str
    limits: str
    spent: str
    history: Path
    size_bytes: int
    runs: int
    unfinished: int
    trouble: str
    outputs: Path
    outputs_bytes: int
    most_outputs_bytes: int
    engine: str
    place: str
    versions: Mapping[str, str]

    @property
    def text(self) -> str:
        """All of it as text, to be pasted into a report."""
        return self._repr_mimebundle_()["text/plain"]

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return facts_bundle(self._facts(), [self.trouble] if self.trouble else [])

    def _facts(self) -> dict[str, str]:
        rows = f"{count(self.runs, 'run')}, {size(self.size_bytes)}"
        left = f"; {self.unfinished:,} unfinished: %replicate attach" if self.unfinished else ""
        held = f"{size(self.outputs_bytes)} of at most {size(self.most_outputs_bytes)}"
        facts = {
            "replicate_magic": self.version,
            "API": self.api,
            "token": f"from {_short(self.token_from)}" if self.token_from else "none: local/… only",
            "account": self.account,
            "limits": self.limits,
            "spent": self.spent,
            "history": f"{_short(self.history)} ({rows}{left})",
            "outputs": f"{_short(self.outputs)} ({held})",
            "engine": self.engine,
            "shown in": self.place,
            "versions": ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        }
        return {name: fact for name, fact in facts.items() if fact}


def status(
    *, most_outputs_bytes: int = Saving().most_in_all_bytes, place: Place = "auto"
) -> Status:
    """How things stand now: the API, the token's place, the history, the versions.

    Whose token it is, is asked of the API, for two seconds at most; all else works offline.

    Args:
        most_outputs_bytes: how much the folder of saved outputs may hold.
        place: where output goes, if that is known.
    """
    session, history, base = the_session(), the_history(), configured_base()
    token = tokens.find(base)
    return Status(
        version=__version__,
        api=base,
        token_from=token.source,
        account=_account(Endpoint(base, token.text)),
        limits=_left(session.limits()),
        spent=_spent(session.runner.purse),
        history=history.path,
        size_bytes=history.size_bytes,
        runs=history.count(),
        unfinished=len(session.unfinished()) + len(history.left_sent()),
        trouble=history.trouble,
        outputs=outputs(),
        outputs_bytes=Folder(outputs(), plain=False).held_bytes(),
        most_outputs_bytes=most_outputs_bytes,
        engine=_engine(session.endpoints.engine),
        place=find_place() if place == "auto" else place,
        versions={
            "Python": platform.python_version(),
            platform.system(): platform.release(),
            **_installed(_LIBRARIES),
        },
    )


def _account(endpoint: Endpoint) -> str:
    if not endpoint.token:
        return ""
    try:
        return account_name(endpoint, within_s=_ACCOUNT_S)
    except Unauthorized:
        return "unknown: the API refuses the token"
    except ReplicateMagicError as error:
        return f"unknown: {one_line(str(error), limit=100)}"


def _left(limits: Limiter | None) -> str:
    """Such as `599 of 600 creates left, 600 a minute`."""
    parts = []
    for kind, word in _KINDS:
        if limit := limits and limits.known(kind):
            held = f"{limit.remaining:,.0f} of {limit.burst:,.0f} {word} left"
            parts.append(f"{held}, {60 * limit.rate_s:,.0f} a minute")
    return "; ".join(parts)


def _spent(purse: Purse) -> str:
    """Such as `≈ $0.0120 since the kernel began; the budget is $1.00`."""
    budget, parts = the_settings().budget_usd, []
    if purse.spent_usd or budget is not None:
        parts.append(f"≈ {dollars(purse.spent_usd)} since this kernel began")
    if purse.unknown and parts:
        parts.append(f"{count(purse.unknown, 'run')} had a cost that is not known")
    if budget is not None:
        parts.append(f"the budget is {dollars(budget)}")
    return "; ".join(parts)


def _engine(address: str) -> str:
    runs = f"runs at {address}" if address else "not started"
    found = [f"{name} {number}" for name, number in _installed(_ENGINES).items()]
    return f"{runs} ({', '.join(found) or 'not installed'})"


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _short(path: Path | str) -> str:
    """A path within the home of its user: the name of that is nobody else's business."""
    home = str(Path.home()) if sys.platform != "emscripten" else ""
    return str(path).replace(f"{home}/", "~/") if len(home) > 1 else str(path)
