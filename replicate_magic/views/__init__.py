"""From a prediction to something to see; here it is decided who is watching.

A view is handed snapshots, any of them, at any time, and draws them. It holds no logic.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.cell.options import Format
    from replicate_magic.prediction import Prediction
    from replicate_magic.tally import Tally

Place = Literal["auto", "browser", "headless", "terminal", "plain"]
"""Where output goes: a page, a file that is executed with nobody watching, a terminal, a stream;
`auto` is to be found out."""

PLACES: tuple[Place, ...] = ("auto", "browser", "headless", "terminal", "plain")
PREVIEW_KB = 300
"""How much of the notebook a picture may be, where nothing else is said."""


def preview_bytes() -> int:
    """How much of the notebook a picture may be; in a terminal, which draws none, nothing.

    It is a setting of the magics; a prediction that is shown on its own finds it there too.
    """
    shell = _shell()
    if _is_terminal(shell):
        return 0
    manager = getattr(shell, "magics_manager", None)
    magics = manager.registry.get("ReplicateMagics") if manager else None
    return 1_000 * (PREVIEW_KB if magics is None else int(magics.most_preview_kb))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How much is shown, and how.

    Attributes:
        answer: whether the answer is drawn.
        status: whether the status line is.
        growing: whether the answer is drawn while it grows, and not only at the end.
        returned: whether the prediction is handed on, and may yet show itself.
        keep_widget: whether a live card stays when it has ended.
        format: how the answer is drawn.
        preview_bytes: how much of the notebook a picture may be.
    """

    answer: bool = True
    status: bool = True
    growing: bool = True
    returned: bool = False
    keep_widget: bool = False
    format: Format = "auto"
    preview_bytes: int = field(default_factory=preview_bytes)

    @property
    def grows(self) -> bool:
        """Whether the answer is drawn while it grows."""
        return self.answer and self.growing and self.format in {"auto", "text", "markdown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is shown in place of the output: what a jq program made of the prediction."""

    outputs: tuple[Any, ...]

    @property
    def value(self) -> Any:
        """One output as its value, none as `None`, several as a list."""
        return self.outputs[0] if len(self.outputs) == 1 else list(self.outputs) or None


class View(Protocol):
    """Draws a prediction."""

    wants_previews: bool
    """Whether output files are to be fetched, to be drawn."""

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Call `cancel` where the person asks for it; it only sends word, and may come twice."""

    def update(self, prediction: Prediction) -> None:
        """Draw a snapshot; the newest one comes again now and then, so that time can be told."""

    def close(
        self, prediction: Prediction | None, answer: Answer | None = None, *, why: str = ""
    ) -> None:
        """Leave what is to stay; called again where an interrupt has cut in.

        Args:
            prediction: the last snapshot, or `None` where nothing is to stay.
            answer: what is shown in place of the output.
            why: what went wrong, in a line or two.
        """


class NoView:
    """Shows nothing."""

    wants_previews = False

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Nobody is shown a way to cancel."""

    def update(self, prediction: Prediction) -> None:
        """Show nothing."""

    def close(
        self, prediction: Prediction | None, answer: Answer | None = None, *, why: str = ""
    ) -> None:
        """Leave nothing."""


class BatchView(Protocol):
    """Draws many predictions at once."""

    def on_cancel(self, cancel: Callable[[int | None], None]) -> None:
        """Call `cancel` with the number of a request, or `None` for all; it only sends word."""

    def on_look(self, look: Callable[[int, bool], None]) -> None:
        """Call `look` with the number of a request that somebody looks at, or does no more."""

    def update(self, tally: Tally) -> None:
        """Draw what is known, which goes on changing."""

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Leave what is to stay; called again where an interrupt has cut in.

        Args:
            tally: what is known at the end, or `None` where nothing is to stay.
            why: what went wrong, in a line or two.
        """


class NoBatchView:
    """Shows nothing."""

    def on_cancel(self, cancel: Callable[[int | None], None]) -> None:
        """Nobody is shown a way to cancel."""

    def on_look(self, look: Callable[[int, bool], None]) -> None:
        """Nobody looks."""

    def update(self, tally: Tally) -> None:
        """Show nothing."""

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Leave nothing."""


def choose_batch(look: Look, place: Place = "auto", *, background: bool = False) -> BatchView:
    """The view of a batch for whoever is watching; the arguments are those of `choose`."""
    if not (look.answer or look.status):
        return NoBatchView()
    where = find_place() if place == "auto" else place
    if where == "browser" and _has_widgets():
        from replicate_magic.views.batch import LiveBatchView

        return LiveBatchView(look)
    if background:
        return NoBatchView()
    from replicate_magic.views.batch_text import StaticBatchView, TextBatchView

    if where in {"headless", "browser"}:
        return StaticBatchView(look)
    return TextBatchView(look, bar=where == "terminal" and sys.stderr.isatty())


def close_batch(view: BatchView, tally: Tally | None, *, why: str = "") -> None:
    """Close a view; an interrupt meanwhile is raised once it is closed."""
    try:
        view.close(tally, why=why)
    except KeyboardInterrupt:
        view.close(tally, why=why)
        raise


def choose(look: Look, place: Place = "auto", *, background: bool = False) -> View:
    """The view for whoever is watching.

    Args:
        look: how much is shown, and how.
        place: where output goes.
        background: whether other cells run meanwhile: then nothing is printed into them.
    """
    if not (look.answer or look.status):
        return NoView()
    where = find_place() if place == "auto" else place
    if where == "headless" and not background:
        from replicate_magic.views.html import StaticView

        return StaticView(look)
    if where == "browser" and _has_widgets():
        from replicate_magic.views.card import CardView

        return CardView(look, background=background)
    if background:
        return NoView()
    from replicate_magic.views.text import TextView

    tty = sys.stdout.isatty()
    return TextView(
        sys.stdout, look, live=where != "terminal" or tty, rewrites=where == "terminal" and tty
    )


def close(
    view: View, prediction: Prediction | None, answer: Answer | None = None, *, why: str = ""
) -> None:
    """Close a view; an interrupt meanwhile is raised once it is closed."""
    try:
        view.close(prediction, answer, why=why)
    except KeyboardInterrupt:
        view.close(prediction, answer, why=why)
        raise


def _has_widgets() -> bool:
    """Whether the kernel's side of widgets is installed; who lacks it is printed to."""
    return all(importlib.util.find_spec(name) for name in ("ipywidgets", "anywidget"))


def find_place() -> Place:
    """Find out where output goes.

    Kernels do not say what is at their other end, so signs are read: a request that allows no
    input comes from a tool that executes files; a cell id, or a session's name, from a page.
    """
    shell = _shell()
    if shell is None or _is_terminal(shell):
        return "terminal"
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "plain"
    parent = _parent(kernel)
    if parent.get("content", {}).get("allow_stdin") is False:
        return "headless"
    if "cellId" in parent.get("metadata", {}) or "JPY_SESSION_NAME" in os.environ:
        return "browser"
    if "google.colab" in sys.modules or any(name.startswith("VSCODE_") for name in os.environ):
        return "browser"
    return "plain"


def _is_terminal(shell: Any) -> bool:
    return type(shell).__name__ == "TerminalInteractiveShell"


def _shell() -> Any:
    ipython = sys.modules.get("IPython")  # who has not imported it is not inside it
    return ipython.get_ipython() if ipython else None


def _parent(kernel: Any) -> dict[str, Any]:
    try:
        parent = kernel.get_parent()
    except Exception:  # noqa: BLE001  (a kernel of another make may have no such method)
        return {}
    return parent if isinstance(parent, dict) else {}
