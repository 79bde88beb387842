"""Owns one `%%replicate`, or one `%replicate run`: from its words to what is shown and kept.

It must not parse a line, or run a prediction itself.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.plan import read_cell
from replicate_magic.cell.template import value_of, whole_expression
from replicate_magic.errors import CellError, JqError
from replicate_magic.notebook.help import help_text
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    from replicate_magic.cell.grammar import Line
    from replicate_magic.cell.options import Options
    from replicate_magic.cell.plan import Draft, Target
    from replicate_magic.job import Job
    from replicate_magic.notebook.magics import ReplicateMagics
    from replicate_magic.order import Conditions, Saving
    from replicate_magic.prediction import Prediction
    from replicate_magic.views import Answer, Look, View

_IN_THE_BACKGROUND = (
    "{} runs in the background: `_` is its job, with .prediction and .cancel(); .wait() gives the "
    "prediction, or raises why there is none"
)
_GB = 1_000_000_000


class CellRun:
    """One `%%replicate`, or one `%replicate run`."""

    def __init__(
        self, magics: ReplicateMagics, line: Line, scope: dict[str, Any], began_s: float
    ) -> None:
        self.magics = magics
        self.line = line
        self._scope = scope
        self._began_s = began_s

    @property
    def options(self) -> Options:
        """Its options."""
        return self.line.options

    def cell_targets(self) -> tuple[Target, ...]:
        """What is to run; nothing where only help is asked for."""
        if self.options.help:
            return ()
        words = self.line.words or (self._default_model(),)
        if len(words) > 1 and not all(map(names_a_model, words)):
            raise CellError(_too_many(words))
        return tuple(map(self._target, words))

    def line_targets_and_prompt(self) -> tuple[tuple[Target, ...], str | None]:
        """What is to run, and the words behind it as the prompt.

        One word is read as a shell does; several are a text, with its apostrophes and quotes.
        """
        if self.options.help:
            return (), None
        words, written = self.line.words, self.line.written
        if self.magics.default_model and not (words and names_a_model(words[0])):
            words, written = (self._default_model(), *words), ("", *written)
        if not words:
            words = (self._default_model(),)
        prompt = words[1] if len(words) == 2 else " ".join(written[1:])
        return (self._target(words[0]),), prompt or None

    def _target(self, word: str) -> Target:
        from replicate_magic.aliases import read_model

        whole = None if self.options.raw else whole_expression(word)
        return read_model(str(value_of(whole.source, self.evaluate)) if whole else word)

    def _default_model(self) -> str:
        default: str = self.magics.default_model
        if not default:
            raise CellError(
                "No model is named. Write %%replicate owner/name, or set one for all cells: "
                '%config ReplicateMagics.default_model = "owner/name"'
            )
        return default

    def perform(self, targets: tuple[Target, ...], body: str | None, *, is_line: bool) -> Any:
        """Run it, show it, keep it; what the line form returns."""
        if not targets:
            print(help_text())  # noqa: T201  (it is what was asked for)
            return None
        if len(targets) > 1 or self.options.is_many:
            from replicate_magic.notebook.many_run import ManyRun

            return ManyRun(self, targets).perform(body, is_line=is_line)
        self._refuse_what_is_for_many()
        [target] = targets
        draft = self._draft(body)
        conditions = self.conditions()
        if self.options.dry_run:
            self._print_dry_run(target, draft, conditions)
            return None
        return self._send(target, draft, conditions, is_line=is_line)

    def _refuse_what_is_for_many(self) -> None:
        for given, name in (
            (self.options.concurrency is not None, "--concurrency"),
            (self.options.keep_going, "--keep-going"),
        ):
            if given:
                raise CellError(
                    f"{name} is for several requests, and this is one. Several models, --grid, "
                    "--rows or --repeat make them. Nothing was sent."
                )

    def _send(self, target: Target, draft: Draft, conditions: Conditions, *, is_line: bool) -> Any:
        from replicate_magic import session, views
        from replicate_magic.runs import jq

        if self.options.jq is not None:
            jq.check(self.options.jq)  # before anything is paid for
        place = self.magics.place()
        # With nobody watching, the kernel may end with the last cell, and the run with it.
        background = self.options.bg and place != "headless"
        view = views.choose(self.look(is_line=is_line), place, background=background)
        here = session.the_session()
        if background:
            job = here.begin(target, draft, conditions, view, lambda job: self._close(view, job))
            self.keep(job)
            if isinstance(view, views.NoView) and not self.options.quiet:
                print(_IN_THE_BACKGROUND.format(job.prediction.model))  # noqa: T201  (no card here)
            return job
        try:
            job = here.drive(target, draft, conditions, view)
        except BaseException as error:
            prediction: Prediction | None = getattr(error, "prediction", None)
            if prediction and prediction.id:
                self.keep(prediction)
            raise
        else:
            return self._finished(job, view)
        finally:
            tell_of_history()

    def _finished(self, job: Job, view: View) -> Any:
        """Show and keep what came of it; what the line form returns."""
        self.keep(job if self.options.bg else job.prediction)
        answer = self._close(view, job)
        prediction = job.wait()
        if self.options.bg:
            return job
        if answer is None:
            return prediction
        if not answer.outputs and self.options.output and not self.options.quiet:
            print(f"jq gave no output: {self.options.output} is None")  # noqa: T201
        self.store(answer.value)
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

        program = self.options.jq
        if program is None or not prediction.ok:
            return None
        return Answer(outputs=tuple(jq.outputs(program, json.dumps(prediction.raw))))

    def look(self, *, is_line: bool) -> Look:
        """How much is shown."""
        from replicate_magic.views import Look

        options = self.options
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

    def keep(self, result: Any) -> None:
        """Have `_` hold what came of it, and the variable that was named too."""
        self.magics.keep(result)
        if self.options.jq is None or self.options.bg:
            self.store(result)

    def store(self, value: Any) -> None:
        """Have the variable hold a value, if one was named."""
        if self.options.output:
            self.magics.shell.push({self.options.output: value})

    def _draft(self, body: str | None) -> Draft:
        draft = read_cell(self.line, body, self.evaluate)
        text = self.file_text(has_prompt=draft.prompt is not None)
        return draft if text is None else replace(draft, prompt=text)

    def file_text(self, *, has_prompt: bool) -> str | None:
        """The prompt that `--file` names, if it does.

        Raises:
            CellError: it cannot be read, or there is a prompt already.
        """
        path = self.options.file
        if path is None:
            return None
        if has_prompt:
            raise CellError(f"The prompt is given twice: as the body and with --file {path}.")
        return _text_of(path)

    def conditions(self) -> Conditions:
        """How it is to be run."""
        from replicate_magic.order import Conditions, replay
        from replicate_magic.spending import Spending

        options = self.options
        return Conditions(
            timeout_s=options.timeout or self.magics.timeout_s(),
            wait_s=options.wait,
            stream=not options.no_stream,
            log=not options.no_log,
            saving=self._saving(),
            local=self._local(),
            reuse=replay(cached=options.cached),
            began_s=self._began_s,
            spending=Spending(most_usd=options.max_cost, blind=options.yes),
        )

    def _saving(self) -> Saving | None:
        """Where output files go."""
        from replicate_magic.order import Saving, saving_into

        options = self.options
        if options.save is not None and options.no_save:
            raise CellError("--save and --no-save: give one of them.")
        limits = Saving(
            most_bytes=int(self.magics.most_file_gb * _GB),
            most_in_all_bytes=int(self.magics.most_saved_gb * _GB),
        )
        return saving_into(
            options.save, saves=not options.no_save, log=not options.no_log, limits=limits
        )

    def _local(self) -> dict[str, Any]:
        """What history keeps of where this run stands."""
        from replicate_magic.recording import notebook_name

        shell = self.magics.shell
        in_vs_code = shell.user_ns.get("__vsc_ipynb_file__")
        parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
        return {
            "tag": self.options.tag,
            "notebook": notebook_name(in_vs_code or os.environ.get("JPY_SESSION_NAME")),
            "cell": (parent.get("metadata") or {}).get("cellId"),
        }

    def evaluate(self, source: str) -> Any:
        """What an expression of the cell is."""
        return eval(source, self._scope)  # noqa: S307  (the user's own expression, from their own cell)

    def _print_dry_run(self, target: Target, draft: Draft, conditions: Conditions) -> None:
        from replicate_magic import session
        from replicate_magic.notebook.dry_run import cost_text, dry_run_text

        dry_run = session.the_session().dry_run(target, draft, conditions)
        cost = cost_text([str(target)], self.magics.prices)
        print(dry_run_text(dry_run, cost=cost))  # noqa: T201  (it is what was asked for)


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


def looks_like_a_model(word: str) -> bool:
    """Whether a word is meant as a model."""
    return "/" in word.split(" ", maxsplit=1)[0] or word.startswith("{{")


def names_a_model(word: str) -> bool:
    """Whether a word looks like a model, or is an alias of one."""
    from replicate_magic.aliases import resolved

    return looks_like_a_model(resolved(word))


def _too_many(words: tuple[str, ...]) -> str:
    """What stands beside the model is most often a slip."""
    first, *others = words
    word = next((other for other in others if not names_a_model(other)), others[0])
    if first == "run":
        return f"%%replicate runs a model by itself: write %%replicate {word}."
    if any(other.startswith("=") or other.endswith("=") for other in words):
        return "No blanks around `=`: write key=value."
    if ":" in word and "/" not in word:
        return f"{word}: on the line an input is written key=value."
    if word.isdecimal():
        return f"{word} stands alone. A time to wait is written --wait={word}."
    return f"{word} is neither an input nor an option. A value with blanks goes in quotes."
