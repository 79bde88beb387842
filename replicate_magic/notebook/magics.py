"""Owns `%%replicate` and `%replicate`: parse, call the session, keep what came back.

Loading this imports neither the HTTP client nor any other heavy library.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.options import duration
from replicate_magic.errors import CellError
from replicate_magic.notebook import completer
from replicate_magic.notebook.cell_run import CellRun, names_a_model, tell_of_history
from replicate_magic.notebook.command_line import COMMANDS, parse_command
from replicate_magic.notebook.config import Configured
from replicate_magic.notebook.help import help_text
from replicate_magic.plain import did_you_mean
from replicate_magic.settings import reset as reset_settings
from replicate_magic.views import find_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from replicate_magic.job import Job
    from replicate_magic.notebook.command_line import Command
    from replicate_magic.prediction import Prediction
    from replicate_magic.views import Place

_NAMES = ("run", "help", *(command.name for command in COMMANDS))
_HELP = {"-h", "--help"}
_GB = 1_000_000_000


@magics_class
class ReplicateMagics(Configured):
    """The settings of `%%replicate`: `%config ReplicateMagics.default_model = "owner/name"`."""

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def replicate(  # noqa: D102
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> Any:
        # The docstring is the help text, set below: it is made from the parser's table.
        began_s = time.monotonic()
        scope = {**self.shell.user_ns, **(local_ns or {})}
        if cell is not None:
            run = CellRun(self, parse_line(line), scope, began_s)
            run.perform(run.cell_targets(), cell, is_line=False)
            return None
        command, rest = [*line.split(maxsplit=1), "", ""][:2]
        match command:
            case "run":
                run = CellRun(self, parse_line(rest), scope, began_s)
                targets, prompt = run.line_targets_and_prompt()
                return run.perform(targets, prompt, is_line=True)
            case "" | "help" | "-h" | "--help":
                print(help_text(rest.strip()))  # noqa: T201  (it is what was asked for)
                return None
        for known in COMMANDS:
            if known.name == command:
                if known.inputs and rest.strip() not in _HELP:
                    from replicate_magic.notebook import past_commands

                    return past_commands.rerun(self, rest, scope, began_s)
                return self._perform(known, rest, scope)
        raise CellError(_no_command(command))

    def _perform(self, command: Command, rest: str, scope: dict[str, Any]) -> Any:
        """One command of the line; what it gives."""
        if rest.strip() in _HELP:
            print(help_text(command.name))  # noqa: T201  (it is what was asked for)
            return None
        line = parse_command(command, rest)
        from replicate_magic.notebook.commands import Commands

        commands = Commands(
            self.shell,
            lambda source: eval(source, scope),  # noqa: S307  (the user's own expression)
            place=self.place(),
            prices=self.prices,
            timeout_s=self.timeout_s(),
            most_outputs_bytes=int(self.most_saved_gb * _GB),
            default_model=self.default_model,
        )
        try:
            return commands.perform(command.name, line)
        finally:
            tell_of_history()

    replicate.__doc__ = help_text()

    def place(self) -> Place:
        """Where output goes."""
        view: Place = self.view
        return find_place() if view == "auto" else view

    def timeout_s(self) -> float:
        """After how many seconds a run is canceled, where nothing else is said."""
        return duration(str(self.timeout))

    def keep(self, result: Prediction | Job) -> None:
        """Have `_` hold what came of a cell, as if it had been shown by IPython itself."""
        self.shell.displayhook.update_user_ns(result)


def _no_command(command: str) -> str:
    if names_a_model(command):
        return f"A model is run with %replicate run {command}, or with %%replicate {command}."
    return (
        f"There is no %replicate {command}.{did_you_mean(command, _NAMES)} "
        "%replicate help lists what there is; %replicate run MODEL PROMPT runs a model."
    )


def load(shell: InteractiveShell) -> None:
    """Register the magics, and have them completed."""
    shell.register_magics(ReplicateMagics)
    completer.install(shell)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away, the lazy entry too, and end what they have running."""
    completer.remove(shell)
    manager = shell.magics_manager
    for table in manager.magics.values():
        table.pop("replicate", None)
    magics = manager.registry.pop(ReplicateMagics.__name__, None)
    if magics in shell.configurables:  # what `%config` lists
        shell.configurables.remove(magics)
    reset_settings()
    manager.lazy_magics.pop("replicate", None)
    getattr(manager, "_loaded_lazy", set()).discard("replicate_magic")
    used = "explorer", "session", "notebook.recall", "runs.jq", "views.card", "views.batch"
    for name in used:  # if ever
        if module := sys.modules.get(f"replicate_magic.{name}"):
            module.close()
