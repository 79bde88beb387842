"""Owns the commands of the line that are about the history and models; must not parse them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.aliases import read_model, resolved
from replicate_magic.cell.template import value_of, whole_expression
from replicate_magic.errors import CellError, ReplicateMagicError
from replicate_magic.failure import short_why
from replicate_magic.left_behind import look_for_left
from replicate_magic.notebook import api_commands, setup_commands
from replicate_magic.notebook.past_commands import Past
from replicate_magic.order import Conditions
from replicate_magic.plain import count
from replicate_magic.recording import prediction_of
from replicate_magic.runs.accessor import SUGGESTS_MAP, Jq
from replicate_magic.runs.frame import pairs_of
from replicate_magic.runs.history import the_history
from replicate_magic.runs.picking import found
from replicate_magic.runs.query import Query, moment
from replicate_magic.runs.transfer import export_runs, import_runs
from replicate_magic.session import the_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.template import Evaluate
    from replicate_magic.notebook.command_line import CommandLine
    from replicate_magic.runs.frame import RunsFrame
    from replicate_magic.runs.record import Record
    from replicate_magic.views import Place


class Commands:
    """The commands, for one line.

    Args:
        shell: where variables are put.
        evaluate: gives an expression's value in the user's namespace.
        place: where output goes.
        prices: what metrics cost, by model.
        timeout_s: for how many seconds a run is watched, where nothing else is said.
        most_outputs_bytes: how much the folder of saved outputs may hold.
        default_model: what runs where no model is named, or an empty string.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        evaluate: Evaluate,
        *,
        place: Place,
        prices: Mapping[str, Any],
        timeout_s: float,
        most_outputs_bytes: int,
        default_model: str = "",
    ) -> None:
        self._shell = shell
        self._evaluate = evaluate
        self._past = Past(evaluate)
        self._place = place
        self._prices = prices
        self._timeout_s = timeout_s
        self._most_outputs_bytes = most_outputs_bytes
        self._default_model = default_model

    def perform(self, name: str, line: CommandLine) -> Any:
        """Do it; what the line gives."""
        does: dict[str, Callable[[CommandLine], Any]] = {
            "runs": self._runs,
            "stats": self._stats,
            "plot": self._plot,
            "explore": self._explore,
            "info": self._info,
            "search": lambda line: api_commands.search(line, self._evaluate),
            "api": self._api,
            "attach": self._attach,
            "show": self._past.show,
            "cancel": self._past.cancel,
            "diff": self._past.diff,
            "code": self._past.code,
            "resume": self._resume,
            "wait": self._wait,
            "export": self._export,
            "import": self._import,
            "alias": setup_commands.alias,
            "login": setup_commands.login,
            "logout": setup_commands.logout,
            "serve": self._serve,
            "status": self._status,
        }
        return does[name](line)

    # -- the table --------------------------------------------------------------------------

    def _runs(self, line: CommandLine) -> Any:
        options = line.options
        if "map" in options and "all" in options:
            raise CellError("--map and --all are two ways: give one of them.")
        frame = self._selected(line)
        if options.get("delete"):
            if "map" in options or "all" in options:
                raise CellError("--delete goes with a filter, not with --map or --all.")
            return _delete(frame, yes=bool(options.get("yes")))
        args = self._args(line)
        if "map" in options:
            skip = bool(options.get("skip_errors"))
            return Jq(frame, tell=_tell).map(options["map"], args=args, skip_errors=skip)
        if "all" in options:
            return Jq(frame, tell=_tell).all(options["all"], args=args)
        return frame

    def _selected(self, line: CommandLine) -> RunsFrame:
        """The runs that the filters and the jq program leave; `limit=` counts those."""
        query = _query(line)
        if line.options.get("remote"):
            made = the_session().fetch_runs(query, _tell)
            _tell(f"{count(made, 'run')} fetched.")
        program = line.word
        if program is None:
            return the_history().frame(query)
        frame = the_history().frame(replace(query, limit=None))
        found = Jq(frame, tell=_tell).matches(
            program, args=self._args(line), skip_errors=bool(line.options.get("skip_errors"))
        )
        if found.suggests_map:
            _tell(SUGGESTS_MAP.format(map=f"%replicate runs --map '{program}'"))
        places = [place for place, keeps in enumerate(found.flags) if keeps]
        kept: RunsFrame = frame.iloc[places].reset_index(drop=True)
        return kept if query.limit is None else kept.head(query.limit)

    def _args(self, line: CommandLine) -> dict[str, Any]:
        """A value that is one expression is its object, any other is text, as for jq itself."""
        given: Mapping[str, str] = line.options.get("arg", {})
        return {name: self._value(text) for name, text in given.items()}

    def _value(self, text: str) -> Any:
        whole = whole_expression(text)
        return value_of(whole.source, self._evaluate) if whole else text

    # -- what it tells ----------------------------------------------------------------------

    def _stats(self, line: CommandLine) -> Any:
        from replicate_magic.runs.stats import stats

        return stats(self._selected(line), prices=self._prices)

    def _plot(self, line: CommandLine) -> Any:
        from replicate_magic.runs.plots import plot

        frame = the_history().frame(_query(line))
        figure = plot(frame, line.word or "predict_time", by=line.options.get("by") or "model")
        if self._place == "terminal":
            _tell('A terminal shows no picture: _.savefig("runs.png") writes it.')
        return figure

    def _explore(self, line: CommandLine) -> Any:
        frame = the_history().frame(_query(line))
        if self._place != "browser":
            _tell("%replicate explore is a live table for a notebook's page; this is the table.")
            return frame
        from replicate_magic.explorer import Explorer
        from replicate_magic.source import FrameSource

        def put(name: str, value: Any) -> None:
            self._shell.push({name: value})

        static = frame._repr_mimebundle_()  # what a saved file shows
        Explorer(FrameSource(frame), put=put).show(static=static)
        return None

    def _info(self, line: CommandLine) -> ModelInfo:
        return the_session().info(read_model(str(self._value(str(line.word)))))

    def _api(self, line: CommandLine) -> Any:
        return api_commands.api(
            line,
            self._evaluate,
            push=self._shell.push,
            keep=self._shell.displayhook.update_user_ns,
            default_model=self._default_model,
            timeout_s=self._timeout_s,
        )

    # -- after a restart --------------------------------------------------------------------

    def _attach(self, line: CommandLine) -> RunsFrame | None:
        conditions = Conditions(timeout_s=line.options.get("timeout") or self._timeout_s)
        if line.word is not None:
            records = [found(line.word)]
            self._follow(records[0], conditions)
        else:
            again = look_for_left(_tell)
            records = [*(one for one in again if one.final), *the_session().unfinished()]
            if not records:
                _tell(_nothing_left(len(the_session().background())))
                return None
            for record in records:
                try:
                    self._follow(record, conditions)
                except ReplicateMagicError as error:
                    _tell(str(error))
        return the_history().frame(Query(ids=[record.id for record in records]))

    def _follow(self, record: Record, conditions: Conditions) -> None:
        """Follow a run to its end, drawn as its cell drew it; a failed one is drawn too."""
        from replicate_magic import views

        view = views.choose(views.Look(), self._place)
        if record.final:
            prediction = prediction_of(record)
            views.close(view, prediction, why="" if prediction.ok else short_why(prediction))
            return
        job = the_session().attach(record, conditions, view)
        views.close(view, job.prediction, why=job.why())

    # -- many at once -----------------------------------------------------------------------

    def _resume(self, line: CommandLine) -> RunsFrame:
        from replicate_magic import batching, views

        options = line.options
        order = batching.resumed(
            line.word, concurrency=options.get("concurrency"), blind=bool(options.get("yes"))
        )
        view = views.choose_batch(views.Look(answer=False, returned=True), self._place)
        going = bool(options.get("keep_going"))
        try:
            job = batching.drive(order, view, keep_going=going)
        except KeyboardInterrupt as interrupt:
            self._keep(getattr(interrupt, "frame", None))
            raise
        self._keep(job.frame)
        views.close_batch(view, job.tally, why=job.why())
        return job.checked()

    def _wait(self, _line: CommandLine) -> Any:
        """All of them are waited for, and then what went wrong first is raised."""
        jobs, wrong, last = the_session().background(), [], None
        if not jobs:
            _tell("Nothing runs in the background.")
        for job in jobs:
            try:
                last = job.wait()
            except ReplicateMagicError as error:
                wrong.append(error)
        if wrong:
            raise wrong[0]
        return last

    def _keep(self, frame: RunsFrame | None) -> None:
        """Have `_` hold the rows, also where an error is raised."""
        if frame is not None:
            self._shell.displayhook.update_user_ns(frame)

    # -- the file ---------------------------------------------------------------------------

    def _export(self, line: CommandLine) -> Path:
        path = Path(str(line.word)).expanduser()
        made = export_runs(path, overwrite=bool(line.options.get("yes")))
        _tell(f"{path} holds {count(made, 'run')}.")
        return path

    def _import(self, line: CommandLine) -> RunsFrame:
        made = import_runs(str(line.word))
        _tell(f"{count(made, 'run')} read from {line.word}.")
        return the_history().frame(Query())

    def _serve(self, line: CommandLine) -> Any:
        from replicate_magic.notebook import serving

        if line.options.get("stop"):
            _tell(serving.stop())
            return None
        return serving.serve()

    def _status(self, _line: CommandLine) -> Any:
        from replicate_magic.notebook.status import status

        return status(most_outputs_bytes=self._most_outputs_bytes, place=self._place)


def _nothing_left(running: int) -> str:
    """Why nothing is attached to."""
    if running:
        jobs = f"{count(running, 'job')} {'runs' if running == 1 else 'run'}"
        return f"Nothing but what this kernel runs itself: {jobs}. %replicate wait waits for that."
    return "Every run in the history has ended."


def _query(line: CommandLine) -> Query:
    given = line.filters
    return Query(
        model=resolved(given["model"]) if "model" in given else None,
        status=given.get("status"),
        since=moment(given.get("since")),
        until=moment(given.get("until")),
        tag=given.get("tag"),
        text=given.get("text"),
        limit=_limit(given.get("limit")),
    )


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise CellError(f"limit={text}: write a number of runs.")
    return int(text)


def _delete(frame: pd.DataFrame, *, yes: bool) -> pd.DataFrame:
    if not len(frame):
        raise CellError("No run matches: there is nothing to delete.")
    if not yes:
        raise CellError(
            f"This would delete {count(len(frame), 'run')}{_span(frame)}, and the saved files that "
            "no other run names. --yes does it."
        )
    rows, files = the_history().delete(pairs_of(frame))
    removed = count(files, "saved file")
    _tell(f"{count(rows, 'run')} deleted{f', and {removed}' if files else ''}.")
    return frame


def _span(frame: pd.DataFrame) -> str:
    """From when to when, where that is known."""
    days = frame["created_at"].dropna()
    return f" ({days.min():%Y-%m-%d} to {days.max():%Y-%m-%d})" if len(days) else ""


def _tell(message: str) -> None:
    print(message)  # noqa: T201  (what the person at the line is told)
