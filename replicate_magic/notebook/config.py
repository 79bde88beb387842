"""Owns the settings of the magics: their types, ranges, help and refusals; must not use them.

They are set by `%config ReplicateMagics.NAME = value` and in `ipython_config.py`. Those that hold
for the whole process are handed on to it.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics
from traitlets import Dict, Enum, Float, Int, TraitError, Unicode, Union, observe, validate
from traitlets.config import Config

from replicate_magic.cell.options import duration
from replicate_magic.errors import CellError, short_traceback
from replicate_magic.plain import did_you_mean, one_line
from replicate_magic.settings import REUSES, the_settings
from replicate_magic.views import PLACES, PREVIEW_KB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from IPython.core.interactiveshell import InteractiveShell

SECTION = "ReplicateMagics"
_MODEL = "a model, owner/name or local/NAME for example, or an alias"
_DURATION = "a duration: 30, 90s, 5m or 1h30m"
_GB = "a number of GB, from 0"
_KB = "a whole number of kB, from 0"
_NUMBER = "a whole number, from 1"
_USD = "an amount of US dollars, from 0, or None for no limit"
_ALIASES = '{"llama": "meta/meta-llama-3-8b-instruct"}'
_PRICES = (
    '{"owner/name": {"predict_time": 0.000225, "output_token_count": 1e-6}}, US dollars for one '
    'unit of a metric, or {"owner/name": "gpu-t4"}, the hardware'
)
_WORDS = "one of {}"


class SettingRefused(BaseException):
    """A setting that is none; `%config` would only print an `Exception`, and the run would go on.

    What follows may cost money that a misspelt limit was to keep together.
    """

    def _render_traceback_(self) -> list[str]:
        return [short_traceback(type(self).__name__, str(self))]


class Configured(Magics):
    """The settings, checked one by one as they are set."""

    shell: InteractiveShell

    default_model = Unicode(
        help=f"The model that runs where a cell names none. It takes {_MODEL}."
    ).tag(config=True, takes=_MODEL)
    aliases = Dict(
        help=f"Short names for models. It takes {_ALIASES}; %replicate alias keeps others."
    ).tag(config=True, takes=_ALIASES)
    timeout = Union(
        [Unicode(), Float()],
        default_value="1h",
        help=f"A run is canceled after this. It takes {_DURATION}.",
    ).tag(config=True, takes=_DURATION)
    replay = Enum(
        ("", *REUSES),
        default_value="",
        help="Whether history answers where model, version and input are the same. It takes "
        f"{_WORDS.format(', '.join(REUSES))}; empty means as REPLICATE_MAGIC_REPLAY says.",
    ).tag(config=True, takes=_WORDS.format(", ".join(REUSES)))
    most_requests = Int(
        50,
        min=1,
        help=f"A cell that means more requests than this wants --yes. It takes {_NUMBER}.",
    ).tag(config=True, takes=_NUMBER)
    budget_usd = Float(
        None,
        allow_none=True,
        min=0,
        help="What the runs of this kernel may cost together, by estimates: what would cost more "
        f"is not sent, and what has no known cost wants --yes. It takes {_USD}.",
    ).tag(config=True, takes=_USD)
    prices = Dict(
        help=f"What models cost, for estimates. It takes {_PRICES}. Prices that Replicate has "
        "published hold for what is not among them."
    ).tag(config=True, takes=_PRICES)
    most_file_gb = Float(
        1.0, min=0, help=f"The largest output file that is saved. It takes {_GB}."
    ).tag(config=True, takes=_GB)
    most_saved_gb = Float(
        10.0,
        min=0,
        help=f"How much the folder of saved outputs may hold; nothing is deleted. It takes {_GB}.",
    ).tag(config=True, takes=_GB)
    most_preview_kb = Int(
        PREVIEW_KB,
        min=0,
        help="How much of the notebook a picture may be; a larger one is drawn smaller, and leads "
        f"to its file. 0 draws none. It takes {_KB}.",
    ).tag(config=True, takes=_KB)
    view = Enum(
        PLACES,
        default_value="auto",
        help="Where output goes, if finding it out goes wrong. It takes "
        f"{_WORDS.format(', '.join(PLACES))}.",
    ).tag(config=True, takes=_WORDS.format(", ".join(PLACES)))

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell, config=Config())  # what is configured is taken one by one
        given = getattr(shell, "config", None) or Config()
        refused = []
        for name, value in _in_order(given.get(SECTION, {})):
            if name not in self.traits(config=True):
                _tell(_unknown(name, self.trait_names(config=True)))
                continue
            try:
                self._take(name, value)
            except TraitError as error:
                refused.append(str(error))
        for section in given:
            if section != SECTION and section.lower().startswith("replic"):
                _tell(f"{section} is no class with settings. Did you mean {SECTION}?")
        if refused:
            configurables: list[Any] = shell.configurables
            configurables.remove(self)
            raise CellError(
                "\n".join([*refused, "Set it right in ipython_config.py, or with %config."])
            )

    def update_config(self, config: Config) -> None:
        """Take settings from `%config`.

        Raises:
            SettingRefused: one is unknown, or its value is none; it stays as it was.
        """
        for name, value in _in_order(config.get(SECTION, {})):
            if name not in self.traits(config=True):
                raise SettingRefused(_unknown(name, self.trait_names(config=True)))
            try:
                self._take(name, value)
            except TraitError as error:
                stays = one_line(repr(getattr(self, name)), limit=100)
                raise SettingRefused(f"{error} It stays {stays}.") from error

    def _take(self, name: str, value: Any) -> None:
        """Set one.

        Raises:
            TraitError: the value is none, and what it may be.
        """
        try:
            super().update_config(Config({SECTION: {name: value}}))
        except _Told:
            raise
        except TraitError as error:
            takes = self.traits()[name].metadata["takes"]
            raise _Told(f"{_shown(name, value)}: it takes {takes}.") from error

    @validate("default_model")
    def _check_default_model(self, proposal: Any) -> Any:
        from replicate_magic import aliases

        value = proposal["value"]
        if value and not value.startswith("{{"):  # an expression is evaluated when it is used
            _check(proposal, lambda: aliases.read_model(value))
        return value

    @validate("aliases")
    def _check_aliases(self, proposal: Any) -> Any:
        from replicate_magic import aliases

        return _check(proposal, lambda: aliases.checked(proposal["value"]))

    @validate("timeout")
    def _check_timeout(self, proposal: Any) -> Any:
        _check(proposal, lambda: duration(str(proposal["value"])))
        return proposal["value"]

    @validate("prices")
    def _check_prices(self, proposal: Any) -> Any:
        from replicate_magic.runs.prices import checked

        return _check(proposal, lambda: checked(proposal["value"]))

    @validate("budget_usd", "most_file_gb", "most_saved_gb")
    def _check_finite(self, proposal: Any) -> Any:
        value = proposal["value"]
        if value is not None and not math.isfinite(value):
            raise TraitError("not finite")
        return value

    @observe("aliases", "prices", "budget_usd", "replay")
    def _hand_on(self, change: Any) -> None:
        setattr(the_settings(), change["name"], change["new"])


class _Told(TraitError):
    """It is told already which setting it is about, and why."""


def _check(proposal: Any, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except CellError as error:
        name, value = proposal["trait"].name, proposal["value"]
        raise _Told(f"{_shown(name, value)}: {error}") from error


def _shown(name: str, value: Any) -> str:
    return f"{SECTION}.{name} = {one_line(repr(value), limit=100)}"


def _unknown(name: str, known: Iterable[str]) -> str:
    near = did_you_mean(name, known)
    return f"{SECTION} has no setting {one_line(name)}.{near} %config {SECTION} lists them."


def _in_order(section: Any) -> list[tuple[str, Any]]:
    """Its settings; aliases come first, since others may name one."""
    named = [(str(name), value) for name, value in section.items()]
    return sorted(named, key=lambda one: one[0] != "aliases")


def _tell(message: str) -> None:
    print(f"replicate_magic: {message}", file=sys.stderr)  # noqa: T201  (nothing else is harmed)
