"""From a prediction to something to see; here it is decided who is watching.

A view is handed snapshots, any of them, at any time, and draws them. It holds no logic.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from replicate_magic.cell.options import Format
    from replicate_magic.prediction import Prediction

Place = Literal["auto", "browser", "headless", "terminal", "plain"]
"""Where output goes: a page, a file that is executed with nobody watching, a terminal, a stream;
`auto` is to be found out."""

PLACES: tuple[Place, ...] = ("auto", "browser", "headless", "terminal", "plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How much is shown, and how.

    Attributes:
        answer: whether the answer is drawn.
        status: whether the status line is.
        growing: whether the answer is drawn while it grows, and not only at the end.
        returned: whether the prediction is handed on, and may yet show itself.
        format: how the answer is drawn.
    """

    answer: bool = True
    status: bool = True
    growing: bool = True
    returned: bool = False
    format: Format = "auto"


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

    def update(self, prediction: Prediction) -> None:
        """Draw a snapshot."""

    def close(self, prediction: Prediction | None, answer: Answer | None = None) -> None:
        """Leave what is to stay; `None` where there is no prediction after all."""


class NoView:
    """Shows nothing."""

    wants_previews = False

    def update(self, prediction: Prediction) -> None:
        """Show nothing."""

    def close(self, prediction: Prediction | None, answer: Answer | None = None) -> None:
        """Leave nothing."""


def choose(look: Look, place: Place = "auto") -> View:
    """The view for whoever is watching.

    Args:
        look: how much is shown, and how.
        place: where output goes.
    """
    if not (look.answer or look.status):
        return NoView()
    where = find_place() if place == "auto" else place
    if where in {"browser", "headless"}:
        from replicate_magic.views.html import RichView

        return RichView(look, live=where == "browser")
    from replicate_magic.views.text import TextView

    tty = sys.stdout.isatty()
    return TextView(
        sys.stdout, look, live=where == "plain" or tty, rewrites=where == "terminal" and tty
    )


def find_place() -> Place:
    """Find out where output goes.

    Kernels do not say what is at their other end, so signs are read: a request that allows no
    input comes from a tool that executes files; a cell id, or a session's name, from a page.
    """
    shell = _shell()
    if shell is None or type(shell).__name__ == "TerminalInteractiveShell":
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


def _shell() -> Any:
    ipython = sys.modules.get("IPython")  # who has not imported it is not inside it
    return ipython.get_ipython() if ipython else None


def _parent(kernel: Any) -> dict[str, Any]:
    try:
        parent = kernel.get_parent()
    except Exception:  # noqa: BLE001  (a kernel of another make may have no such method)
        return {}
    return parent if isinstance(parent, dict) else {}
