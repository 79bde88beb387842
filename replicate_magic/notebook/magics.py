"""Owns `%%replicate` and `%replicate`: parse, call the session, keep what came back.

Loading this imports neither the HTTP client nor any other heavy library.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from traitlets import Dict, Float, Unicode, Union

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.options import duration
from replicate_magic.cell.plan import read_cell, read_target
from replicate_magic.cell.template import value_of, whole_expression
from replicate_magic.errors import CellError, JqError
from replicate_magic.notebook.command_line import COMMANDS, parse_command
from replicate_magic.notebook.help import help_text
from replicate_magic.plain import did_you_mean
from replicate_magic.views import PLACES, find_place
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from replicate_magic.cell.grammar import Line
    from replicate_magic.cell.options import Options
    from replicate_magic.cell.plan import Draft, Target
    from replicate_magic.job import Job
    from replicate_magic.notebook.command_line import Command
    from replicate_magic.order import Conditions, Saving
    from replicate_magic.prediction import Prediction
    from replicate_magic.views import Answer, Look, Place, View

_NAMES = ("run", "help", *(command.name for command in COMMANDS))
_IN_THE_BACKGROUND = (
    "{} runs in the background: `_` is its job, with .prediction and .cancel(); .wait() gives the "
    "prediction, or raises why there is none"
)
_GB = 1_000_000_000
_LATER = (
    "show", "cancel", "wait", "resume", "rerun", "diff", "code", "search", "api", "alias",
    "login", "serve",
)  # fmt: skip


@magics_class
class ReplicateMagics(Magics):
    """The settings of `%%replicate`: `%config ReplicateMagics.default_model = "owner/name"`."""

    shell: InteractiveShell
    default_model = Unicode(help="The model that runs where a cell names none.").tag(config=True)
    timeout = Union(
        [Unicode(), Float()], default_value="1h", help="Cancel a run after this: 90s, 5m, 1h."
    ).tag(config=True)
    most_file_gb = Float(1.0, help="The largest output file that is saved, in GB.").tag(config=True)
    most_saved_gb = Float(
        10.0, help="How much the folder of saved outputs may hold, in GB; nothing is deleted."
    ).tag(config=True)
    prices = Dict(
        help="What metrics cost in US dollars, by model, for the estimates of %replicate stats: "
        '{"owner/name": {"predict_time": 0.000225, "output_token_count": 1e-6}}.'
    ).tag(config=True)
    view = Unicode(
        "auto", help=f"Where output goes, if finding it out goes wrong: {', '.join(PLACES)}."
    ).tag(config=True)

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
            run = _Run(self, parse_line(line), scope, began_s)
            run.perform(run.cell_target(), cell, is_line=False)
            return None
        command, rest = [*line.split(maxsplit=1), "", ""][:2]
        match command:
            case "run":
                run = _Run(self, parse_line(rest), scope, began_s)
                target, prompt = run.line_target_and_prompt()
                return run.perform(target, prompt, is_line=True)
            case "" | "help" | "-h" | "--help":
                print(help_text(rest.strip()))  # noqa: T201  (it is what was asked for)
                return None
        for known in COMMANDS:
            if known.name == command:
                return self._perform(known, rest, scope)
        raise CellError(_no_command(command))

    def _perform(self, command: Command, rest: str, scope: dict[str, Any]) -> Any:
        """One command of the line; what it gives."""
        if rest.strip() in {"-h", "--help"}:
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
        )
        try:
            return commands.perform(command.name, line)
        finally:
            tell_of_history()

    replicate.__doc__ = help_text()

    def place(self) -> Place:
        """Where output goes."""
        for place in PLACES:
            if place == self.view:
                return find_place() if place == "auto" else place
        raise CellError(
            f"%config ReplicateMagics.view is {self.view}: there is {', '.join(PLACES)}."
        )

    def timeout_s(self) -> float:
        """After how many seconds a run is canceled, where nothing else is said."""
        try:
            return duration(str(self.timeout))
        except CellError as error:
            raise CellError(f"%config ReplicateMagics.timeout: {error}") from error

    def keep(self, result: Prediction | Job) -> None:
        """Have `_` hold what came of a cell, as if it had been shown by IPython itself."""
        self.shell.displayhook.update_user_ns(result)


class _Run:
    """One `%%replicate`, or one `%replicate run`."""

    def __init__(
        self, magics: ReplicateMagics, line: Line, scope: dict[str, Any], began_s: float
    ) -> None:
        self._magics = magics
        self._line = line
        self._scope = scope
        self._began_s = began_s

    @property
    def _options(self) -> Options:
        return self._line.options

    def cell_target(self) -> Target | None:
        """What is to run; `None` where only help is asked for."""
        if self._options.help:
            return None
        if len(self._line.words) > 1:
            raise CellError(_too_many(self._line.words))
        return self._target(self._line.words[0] if self._line.words else self._default_model())

    def line_target_and_prompt(self) -> tuple[Target | None, str | None]:
        """What is to run, and the words behind it as the prompt.

        One word is read as a shell does; several are a text, with its apostrophes and quotes.
        """
        if self._options.help:
            return None, None
        words, written = self._line.words, self._line.written
        if self._magics.default_model and not (words and _looks_like_a_model(words[0])):
            words, written = (self._default_model(), *words), ("", *written)
        if not words:
            words = (self._default_model(),)
        prompt = words[1] if len(words) == 2 else " ".join(written[1:])
        return self._target(words[0]), prompt or None

    def _target(self, word: str) -> Target:
        whole = None if self._options.raw else whole_expression(word)
        return read_target(str(value_of(whole.source, self._evaluate)) if whole else word)

    def _default_model(self) -> str:
        default: str = self._magics.default_model
        if not default:
            raise CellError(
                "No model is named. Write %%replicate owner/name, or set one for all cells: "
                '%config ReplicateMagics.default_model = "owner/name"'
            )
        return default

    def perform(self, target: Target | None, body: str | None, *, is_line: bool) -> Any:
        """Run it, show it, keep it; what the line form returns."""
        if target is None:
            print(help_text())  # noqa: T201  (it is what was asked for)
            return None
        draft = self._draft(body)
        conditions = self._conditions()
        if self._options.dry_run:
            self._print_dry_run(target, draft, conditions)
            return None
        return self._send(target, draft, conditions, is_line=is_line)

    def _send(self, target: Target, draft: Draft, conditions: Conditions, *, is_line: bool) -> Any:
        from replicate_magic import session, views
        from replicate_magic.runs import jq

        if self._options.jq is not None:
            jq.check(self._options.jq)  # before anything is paid for
        place = self._magics.place()
        # With nobody watching, the kernel may end with the last cell, and the run with it.
        background = self._options.bg and place != "headless"
        view = views.choose(self._look(is_line=is_line), place, background=background)
        here = session.the_session()
        if background:
            job = here.begin(target, draft, conditions, view, lambda job: self._close(view, job))
            self._keep(job)
            if isinstance(view, views.NoView) and not self._options.quiet:
                print(_IN_THE_BACKGROUND.format(job.prediction.model))  # noqa: T201  (no card here)
            return job
        try:
            job = here.drive(target, draft, conditions, view)
        except BaseException as error:
            prediction: Prediction | None = getattr(error, "prediction", None)
            if prediction and prediction.id:
                self._keep(prediction)
            raise
        else:
            return self._finished(job, view)
        finally:
            tell_of_history()

    def _finished(self, job: Job, view: View) -> Any:
        """Show and keep what came of it; what the line form returns."""
        self._keep(job if self._options.bg else job.prediction)
        answer = self._close(view, job)
        prediction = job.wait()
        if self._options.bg:
            return job
        if answer is None:
            return prediction
        if not answer.outputs and self._options.output and not self._options.quiet:
            print(f"jq gave no output: {self._options.output} is None")  # noqa: T201
        self._store(answer.value)
        return answer.value

    def _close(self, view: View, job: Job) -> Answer | None:
        """Have the view leave what is to stay; what jq made of the prediction, if it was asked."""
        why, answer = job.why(), None
        try:
            answer = self._answer(job.prediction)
        except JqError as error:
            why = str(error)
            if not job.detached:
                raise JqError(f"{error}\nThe prediction is in `_`.") from error
        finally:
            close_view(view, job.prediction, answer, why=why)
            tell_of_history()
        return answer

    def _answer(self, prediction: Prediction) -> Answer | None:
        from replicate_magic.runs import jq
        from replicate_magic.views import Answer

        program = self._options.jq
        if program is None or not prediction.ok:
            return None
        return Answer(outputs=tuple(jq.outputs(program, json.dumps(prediction.raw))))

    def _look(self, *, is_line: bool) -> Look:
        from replicate_magic.views import Look

        options = self._options
        shows_itself = is_line and not options.bg  # a Prediction does, and a Job does not
        hidden = options.quiet or (
            (shows_itself or options.output is not None) and not options.show
        )
        return Look(
            answer=not hidden,
            status=not options.quiet,
            growing=options.jq is None,
            returned=is_line,
            keep_widget=options.keep_widget,
            format=options.format or "auto",
        )

    def _keep(self, result: Prediction | Job) -> None:
        self._magics.keep(result)
        if self._options.jq is None or self._options.bg:
            self._store(result)

    def _store(self, value: Any) -> None:
        if self._options.output:
            self._magics.shell.push({self._options.output: value})

    def _draft(self, body: str | None) -> Draft:
        path = self._options.file
        if path is None:
            return read_cell(self._line, body, self._evaluate)
        draft = read_cell(self._line, body, self._evaluate)
        if draft.prompt is not None:
            raise CellError(f"The prompt is given twice: as the body and with --file {path}.")
        return replace(draft, prompt=_text_of(path))

    def _conditions(self) -> Conditions:
        from replicate_magic.order import Conditions

        options = self._options
        return Conditions(
            timeout_s=options.timeout or self._magics.timeout_s(),
            wait_s=options.wait,
            stream=not options.no_stream,
            log=not options.no_log,
            saving=self._saving(),
            local=self._local(),
            began_s=self._began_s,
        )

    def _saving(self) -> Saving | None:
        """Where output files go."""
        from replicate_magic.order import Saving, saving_into

        options = self._options
        if options.save is not None and options.no_save:
            raise CellError("--save and --no-save: give one of them.")
        limits = Saving(
            most_bytes=int(self._magics.most_file_gb * _GB),
            most_in_all_bytes=int(self._magics.most_saved_gb * _GB),
        )
        return saving_into(
            options.save, saves=not options.no_save, log=not options.no_log, limits=limits
        )

    def _local(self) -> dict[str, Any]:
        """What history keeps of where this run stands."""
        from replicate_magic.recording import notebook_name

        shell = self._magics.shell
        in_vs_code = shell.user_ns.get("__vsc_ipynb_file__")
        parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
        return {
            "tag": self._options.tag,
            "notebook": notebook_name(in_vs_code or os.environ.get("JPY_SESSION_NAME")),
            "cell": (parent.get("metadata") or {}).get("cellId"),
        }

    def _evaluate(self, source: str) -> Any:
        return eval(source, self._scope)  # noqa: S307  (the user's own expression, from their own cell)

    def _print_dry_run(self, target: Target, draft: Draft, conditions: Conditions) -> None:
        from replicate_magic import session
        from replicate_magic.notebook.dry_run import dry_run_text

        dry_run = session.the_session().dry_run(target, draft, conditions)
        print(dry_run_text(dry_run))  # noqa: T201  (it is what was asked for)


def tell_of_history() -> None:
    """What went wrong with the history, once: it ends no run."""
    from replicate_magic.runs.history import the_history

    if news := the_history().news():
        print(f"replicate_magic: {news}", file=sys.stderr)  # noqa: T201  (a cell's own place for warnings)


def _text_of(path: str) -> str:
    """A file is data: no expression in it is evaluated."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CellError(f"--file {path}: {reason}. Nothing was sent.") from error


def _looks_like_a_model(word: str) -> bool:
    return "/" in word.split(" ", maxsplit=1)[0] or word.startswith("{{")


def _too_many(words: tuple[str, ...]) -> str:
    """What stands beside the model is most often a slip."""
    first, *others = words
    word = others[0]
    if first == "run":
        return f"%%replicate runs a model by itself: write %%replicate {word}."
    if any(other.startswith("=") or other.endswith("=") for other in words):
        return "No blanks around `=`: write key=value."
    if ":" in word and "/" not in word:
        return f"{word}: on the line an input is written key=value."
    if word.isdecimal():
        return f"{word} stands alone. A time to wait is written --wait={word}."
    if "/" in word or "{{" in word:
        return (
            f"{' '.join(words)}: several models in one cell are not part of this version of "
            "replicate_magic."
        )
    return f"{word} is neither an input nor an option. A value with blanks goes in quotes."


def _no_command(command: str) -> str:
    if command in _LATER:
        return f"%replicate {command} is not part of this version of replicate_magic."
    if _looks_like_a_model(command):
        return f"A model is run with %replicate run {command}, or with %%replicate {command}."
    return (
        f"There is no %replicate {command}.{did_you_mean(command, _NAMES)} "
        "%replicate help lists what there is; %replicate run MODEL PROMPT runs a model."
    )


def load(shell: InteractiveShell) -> None:
    """Register the magics."""
    shell.register_magics(ReplicateMagics)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away, the lazy entry too, and end what they have running."""
    manager = shell.magics_manager
    for table in manager.magics.values():
        table.pop("replicate", None)
    magics = manager.registry.pop(ReplicateMagics.__name__, None)
    if magics in shell.configurables:  # what `%config` lists
        shell.configurables.remove(magics)
    manager.lazy_magics.pop("replicate", None)
    getattr(manager, "_loaded_lazy", set()).discard("replicate_magic")
    for name in ("explorer", "session", "runs.jq", "views.card"):  # imported if ever used
        if module := sys.modules.get(f"replicate_magic.{name}"):
            module.close()
