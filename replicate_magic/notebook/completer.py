"""Owns completion in IPython: our matcher among its own; must not know what is offered.

In a line or cell of ours all other matchers are suppressed: a prompt is prose, and Python's names
have nothing to do there.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from replicate_magic.cell.cursor import cursor_at
from replicate_magic.notebook.command_line import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from replicate_magic.notebook.notes import Answer
    from replicate_magic.notebook.recall import Recall

IDENTIFIER = "replicate_magic"
SECTION = "ReplicateMagics"
_FIRST = 1_000  # what has a higher priority is asked earlier, and may suppress the rest
_KEYS = "IPCompleter.dict_key_matcher"
_BREAKS = re.compile(r"[^\w ,.:;'\"(\[{]|[^\x00-\x7f]|\w(?=[^\x00-\x7f])")  # may end a line


class _Nothing:
    """No completions. IPython takes them for some, and lets them suppress what others offer."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[SimpleCompletion]:
        return iter(())


class Completer:
    """Completion of `%%replicate` and `%replicate` in one shell.

    Args:
        shell: in which.
        recall: what is known; made when it is first needed.
    """

    def __init__(self, shell: InteractiveShell, recall: Recall | None = None) -> None:
        self._shell = shell
        self._recall = recall

    @context_matcher(priority=_FIRST, identifier=IDENTIFIER)  # type: ignore[untyped-decorator]  # IPython's
    def matcher(self, context: CompletionContext) -> SimpleMatcherResult:
        """What may be written where the cursor is."""
        if "%replicate" not in context.full_text:
            return {"completions": []}
        try:
            answer = self._answer(context)
        except (Exception, KeyboardInterrupt):  # noqa: BLE001  (IPython would print it over the cell)
            answer = None
        if answer is None:
            return {"completions": []}
        return _result(answer, in_page=hasattr(self._shell, "kernel"))

    def _answer(self, context: CompletionContext) -> Answer | None:
        began_s = time.monotonic()
        options = {command.name: command.options for command in COMMANDS}
        line, column = context.cursor_line, context.cursor_position
        cursor = cursor_at(context.full_text, line, column, options)
        if cursor is None:
            return None
        from replicate_magic.notebook.offers import Offers
        from replicate_magic.notebook.recall import Recall

        self._recall = self._recall or Recall()
        self._recall.begin(began_s)
        magics = (one for one in self._shell.configurables if type(one).__name__ == SECTION)
        default_model: str = getattr(next(magics, None), "default_model", "")
        offers = Offers(self._recall, Namespace(self._shell), default_model=default_model)
        return offers.at(cursor)


class Namespace:
    """The user's names, by IPython's own completion of Python."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def variables(self) -> Mapping[str, Any]:
        """What the user has assigned, by name in alphabetical order."""
        hidden = self._shell.user_ns_hidden
        return {
            name: value
            for name, value in sorted(self._shell.user_ns.items())
            if not name.startswith("_") and (name not in hidden or hidden[name] is not value)
        }

    def names(self, begin: str) -> Iterable[str]:
        """The names that begin so, Python's own too."""
        found: list[str] = self._shell.Completer.global_matches(begin)
        return [name for name in dict.fromkeys(found) if name.startswith(begin)]

    def attributes(self, owner: str, begin: str) -> Iterable[str]:
        """The attributes that begin so of what a name stands for; nothing is called."""
        found: list[str] = self._shell.Completer.attr_matches(f"{owner}.{begin}")
        names = dict.fromkeys(one.rpartition(".")[2] for one in found)
        return [name for name in names if begin.startswith("_") or not name.startswith("_")]


def _result(answer: Answer, *, in_page: bool) -> SimpleMatcherResult:
    shown = _unbroken if in_page else str
    made = [SimpleCompletion(offer.text, type=shown(offer.note)) for offer in answer.offers]
    return {
        "completions": made or _Nothing(),  # type: ignore[typeddict-item]  # all that is asked of it
        "matched_fragment": answer.typed,
        "ordered": True,
        "suppress": True,
        "do_not_suppress": {_KEYS} if answer.is_key else set(),
    }


def _unbroken(note: str) -> str:
    """A note for a page: JupyterLab breaks lines of it, and draws them over each other."""
    return _BREAKS.sub("\\g<0>\u2060", note).replace(" ", "\u00a0")


def install(shell: InteractiveShell, recall: Recall | None = None) -> None:
    """Have a shell complete what is ours."""
    remove(shell)
    shell.Completer.custom_matchers.append(Completer(shell, recall).matcher)


def first(shell: InteractiveShell, context: CompletionContext) -> SimpleMatcherResult:
    """What is completed where the extension is not loaded yet.

    It is loaded only where settings wait for it: completing alone is quicker.
    """
    if SECTION in shell.config:
        shell.run_line_magic("load_ext", "replicate_magic")
    else:
        install(shell)
    ours = (one for one in shell.Completer.custom_matchers if _is_ours(one))
    result: SimpleMatcherResult = next(ours)(context)
    return result


def remove(shell: InteractiveShell) -> None:
    """Have it complete nothing of ours any more; what only announces us goes too."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if not _is_ours(one)]


def _is_ours(matcher: object) -> bool:
    return str(getattr(matcher, "matcher_identifier", "")).startswith(IDENTIFIER)
