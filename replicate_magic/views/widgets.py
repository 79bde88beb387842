"""Owns what all widgets need of Jupyter: to be shown, to be heard, to be closed in the end."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import DisplayHandle, display

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anywidget

_HERE = Path(__file__).parent


def page_side(name: str, kind: str) -> str:
    """The page's side of a widget, in one text: its own, and what all widgets have in common.

    anywidget takes one module and one style for each, which import nothing.

    Args:
        name: of the widget's own file.
        kind: `js` or `css`.
    """
    own, common = (_HERE.joinpath(f"{one}.{kind}").read_text("utf-8") for one in (name, "widget"))
    return f"{common}\n{own}" if kind == "css" else f"{own}\n{common}"


def let_clicks_in(comm: Any) -> None:
    """Let what the page says be heard while the cell blocks, where the kernel has threads for it.

    ipykernel 7.4 sends what the page tells a comm to the thread that the comm was last used from,
    which is the one that blocks; without this hook it goes where the page asked, as in 7.0 to 7.3.
    The hook is private, so it may be gone; then there is nothing to be done.
    """
    if getattr(comm, "_reply_subshell_for", None):
        comm._reply_subshell_for = None  # noqa: SLF001  (there is no public way)


def shown_as(widget: anywidget.AnyWidget) -> tuple[dict[str, Any], dict[str, Any]]:
    """The bundle that has front ends draw the widget, and what Colab needs to know of it."""
    data, metadata = widget._repr_mimebundle_() or ({}, {})
    return dict(data), dict(metadata)


class Place:
    """Where a live widget is shown in the notebook, and what is left there."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._displayed = False

    def show(self, widget: anywidget.AnyWidget, text: str) -> None:
        """Show the widget there, with a text for readers that draw none."""
        data, metadata = shown_as(widget)
        data["text/plain"] = text
        self._handle = DisplayHandle()
        display(data, metadata=metadata, raw=True, display_id=self._handle.display_id)
        self._displayed = True

    def leave(self, bundle: Mapping[str, Any], beside: anywidget.AnyWidget | None = None) -> None:
        """Leave a bundle there in place of the widget, or beside the one that stays."""
        data = dict(bundle)
        if self._handle is None:
            display(data, raw=True)
            return
        if not self._displayed:  # as far as is known: an interrupt came in between
            display(data, raw=True, display_id=self._handle.display_id)
        if beside:
            shown, metadata = shown_as(beside)
            self._handle.update({**shown, **data}, metadata=metadata, raw=True)
            return
        self._handle.update(data, raw=True)

    def leave_nothing(self) -> None:
        """Take away what is shown there."""
        if self._handle:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)


class Finished:
    """Widgets that have ended: of those with a document in their place, the last stay open.

    A page that was reloaded meanwhile still shows them.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._replaced: deque[anywidget.AnyWidget] = deque()
        self._staying: set[anywidget.AnyWidget] = set()

    def add(self, widget: anywidget.AnyWidget, *, stays: bool) -> None:
        """Keep a widget open, for good where it stays in the notebook."""
        if stays:
            self._staying.add(widget)
        elif widget not in self._replaced:
            self._replaced.append(widget)
        while len(self._replaced) > self._most:
            close(self._replaced.popleft())

    def close(self) -> None:
        """Close them all."""
        for widget in (*self._replaced, *self._staying):
            close(widget)
        self._replaced.clear()
        self._staying.clear()


def close(widget: anywidget.AnyWidget) -> None:
    """Close a widget, and the one that lays it out."""
    widget.layout.close()
    widget.close()
