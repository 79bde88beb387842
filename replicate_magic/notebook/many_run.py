"""Owns one `%%replicate` that means several requests: from its words to what is shown and kept.

It must not take the requests apart, or run them itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.display import display

from replicate_magic.errors import CellError
from replicate_magic.plain import count
from replicate_magic.views import close_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicate_magic.batch_job import BatchJob
    from replicate_magic.batch_order import BatchOrder
    from replicate_magic.cell.many import Item, Many
    from replicate_magic.cell.plan import Target
    from replicate_magic.notebook.cell_run import CellRun
    from replicate_magic.views import BatchView

_IN_THE_BACKGROUND = (
    "{} run in the background: `_` is their job, with .frame and .cancel(); .wait() gives the "
    "DataFrame, or raises why some are missing"
)


class ManyRun:
    """Several requests of one cell.

    Args:
        run: the cell.
        targets: its models.
    """

    def __init__(self, run: CellRun, targets: tuple[Target, ...]) -> None:
        self._run = run
        self._targets = targets
        self._options = run.options

    def perform(self, body: str | None, *, is_line: bool) -> Any:
        """Run them, show them, keep them; what the line form returns."""
        from replicate_magic import batching

        self._refuse_what_is_for_one()
        many, items = self._asked(body)
        self._check_number(many)
        order = batching.ordered(
            many,
            items,
            self._run.conditions(),
            concurrency=self._options.concurrency,
        )
        if self._options.dry_run:
            self._print_dry_run(order)
            return None
        return perform_batch(self._run, order, is_line=is_line)

    def _asked(self, body: str | None) -> tuple[Many, Iterator[Item]]:
        from replicate_magic.cell.many import cell_items, cell_many
        from replicate_magic.runs.frame import rows_from

        text = self._run.file_text(has_prompt=bool(body and body.strip()))
        many = cell_many(self._targets, self._run.line, self._run.evaluate, rows_from)
        items = cell_items(many, self._run.line, body, self._run.evaluate)
        if text is not None:  # a file is data: no expression in it is evaluated
            items = (replace(one, draft=replace(one.draft, prompt=text)) for one in items)
        return many, items

    def _refuse_what_is_for_one(self) -> None:
        if self._options.wait is not None:
            raise CellError("--wait is for one prediction: several are created plainly.")

    def _check_number(self, many: Many) -> None:
        most, total = self._run.magics.most_requests, many.total
        if self._options.yes or self._options.dry_run or (total is not None and total <= most):
            return
        number = "an unknown number of requests" if total is None else count(total, "request")
        raise CellError(
            f"This is {number}, and each may be paid for; more than {most:,} want --yes "
            "(%config ReplicateMagics.most_requests). --dry-run lists them. Nothing was sent."
        )

    def _print_dry_run(self, order: BatchOrder) -> None:
        from replicate_magic import batching
        from replicate_magic.notebook.dry_run import many_text

        rehearsed = batching.rehearsed(order)
        print(many_text(rehearsed, prices=self._run.magics.prices))  # noqa: T201  (it is what was asked for)


def perform_batch(run: CellRun, order: BatchOrder, *, is_line: bool) -> Any:
    """Run a batch for a cell or a line, show it, keep it; what the line form returns."""
    from replicate_magic import batching, views
    from replicate_magic.notebook.cell_run import tell_of_history
    from replicate_magic.runs import jq

    options = run.options
    if options.jq is not None:
        jq.check(options.jq)  # before anything is paid for
    place = run.magics.place()
    background = options.bg and place != "headless"
    view = views.choose_batch(run.look(is_line=is_line), place, background=background)
    going = options.keep_going
    if background:
        job = batching.begin(order, view, lambda job: _close(view, job), keep_going=going)
        run.keep(job)
        if isinstance(view, views.NoBatchView) and not options.quiet:
            of = count(order.total, "request") if order.total is not None else "Requests"
            print(_IN_THE_BACKGROUND.format(of))  # noqa: T201  (there is no table here)
        return job
    try:
        job = batching.drive(order, view, keep_going=going)
    except KeyboardInterrupt as interrupt:
        if (frame := getattr(interrupt, "frame", None)) is not None:
            run.keep(frame)
        raise
    else:
        return _finished(run, job, view)
    finally:
        tell_of_history()


def _finished(run: CellRun, job: BatchJob, view: BatchView) -> Any:
    """Show and keep what came of it; what the line form returns."""
    run.keep(job if run.options.bg else job.frame)
    _close(view, job)
    frame = job.checked()
    if run.options.bg:
        return job
    if run.options.jq is None:
        return frame
    from replicate_magic.runs.accessor import Jq

    found = Jq(frame).map(run.options.jq)
    run.store(found)
    if not run.options.quiet and run.options.output is None:
        display(found)
    return found


def _close(view: BatchView, job: BatchJob) -> None:
    from replicate_magic.notebook.cell_run import tell_of_history

    close_batch(view, job.tally, why=job.why())
    tell_of_history()
