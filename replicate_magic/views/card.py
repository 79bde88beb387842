"""Owns the live card: what of a snapshot the page is sent, and the card's end as a document.

The page's side is `card.js`. It is sent frames, each what is new: text and logs as `[offset, more]`
with the offset in UTF-16 units, the state where it changed, files as they are fetched. A page that
comes late, or has missed a frame, is sent the whole. It holds no more than what it is shown.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anywidget
from IPython.display import display
from traitlets import Dict, Int, List, Unicode

from replicate_magic.plain import one_line
from replicate_magic.views import html, status, widgets
from replicate_magic.views.answer import file_line
from replicate_magic.views.growing import GrowingAnswer, GrowingLogs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.prediction import OutputFile, Prediction, Retry
    from replicate_magic.views import Answer, Look
    from replicate_magic.views.html import Bundle, Document

KEPT = 20
"""How many finished cards stay open: a page that was reloaded meanwhile still shows them."""


class _Grown:
    """Text that the page has been sent."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0  # UTF-16 units, as the page counts

    def add(self, more: str) -> tuple[int, str]:
        """The frame's part for what is new."""
        offset = self._length
        self._parts.append(more)
        self._length += len(more.encode("utf-16-le")) // 2
        return offset, more

    def since(self, offset: Any) -> tuple[int, str]:
        """The frame's part for all that a page lacks."""
        known = _within(offset, self._length)
        return known, self.text().encode("utf-16-le")[2 * known :].decode("utf-16-le", "replace")

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)


def _within(known: Any, length: int) -> int:
    """How much a page has, where what it says makes sense."""
    return known if isinstance(known, int) and 0 <= known <= length else 0


class Card(anywidget.AnyWidget):
    """The widget: what the page has been sent, and the way to it.

    Its traits are read only to tell a page that comes late the whole; frames go as messages, so
    that each is one message, in order, and costs what is new.
    """

    _esm = widgets.page_side("card", "js")
    _css = widgets.page_side("card", "css")
    state = Dict().tag(sync=True, to_json=lambda _, card: card.state_now())
    text = Unicode().tag(sync=True, to_json=lambda _, card: card.grown["text"].text())
    logs = Unicode().tag(sync=True, to_json=lambda _, card: card.grown["logs"].text())
    files: List[Any] = List().tag(sync=True, to_json=lambda _, card: list(card.pictures))
    html = Unicode().tag(sync=True, to_json=lambda _, card: card.markup)
    edition = Int().tag(sync=True, to_json=lambda _, card: card.editions)

    def __init__(self) -> None:
        self.grown = {"text": _Grown(), "logs": _Grown()}
        self.pictures: list[dict[str, Any]] = []
        self.markup = ""
        self.editions = 0  # how often the text began anew
        self._cancel: Callable[[], None] | None = None
        self._state: dict[str, Any] = {"over": False}
        self._told_s = time.monotonic()
        super().__init__()
        widgets.let_clicks_in(self.comm)
        self.on_msg(self._hear)

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Call `cancel` on a click; it may come on any thread."""
        self._cancel = cancel

    def tell(
        self,
        state: Mapping[str, Any],
        *,
        text: str = "",
        logs: str = "",
        pictures: tuple[OutputFile, ...] = (),
    ) -> None:
        """Send the page what is new, in one message; nothing where nothing is."""
        frame: dict[str, Any] = {}
        for name, more in (("text", text), ("logs", logs)):
            if more:
                frame[name] = self.grown[name].add(more)
        if _lasting(state) != _lasting(self._state):
            self._state, self._told_s = dict(state), time.monotonic()
            frame["state"] = self._state
        known = len(self.pictures)
        self.pictures += map(_picture, pictures)
        if frame or pictures:
            self._send_frame(frame, known)

    def end(self, *, text: str, markup: str) -> None:
        """Tell what the answer is in the end.

        Args:
            text: all of it; it is sent where it is another than what came so far.
            markup: safe HTML to be shown in place of the text, for a page that asks for news.
        """
        if text != self.grown["text"].text():
            self.grown["text"] = _Grown()
            self.editions += 1
            self.send({"text": self.grown["text"].add(text), "edition": self.editions})
        self.markup = markup
        self._cancel = None  # and all that is behind it

    def catch_up(self, known: Mapping[str, Any]) -> None:
        """Send the page all that it lacks.

        Args:
            known: how much it has: `text` and `logs` in UTF-16 units, `files`, and of which
                `edition` the text is.
        """
        frame: dict[str, Any] = {}
        lengths = dict(known)
        if known.get("edition", 0) != self.editions:
            lengths["text"], frame["edition"] = 0, self.editions
        for name, grown in self.grown.items():
            frame[name] = grown.since(lengths.get(name))
        frame |= {"html": self.markup, "state": self.state_now()}  # last: it may end meanwhile
        self._send_frame(frame, _within(lengths.get("files"), len(self.pictures)))

    def _send_frame(self, frame: dict[str, Any], pictures_from: int) -> None:
        """Pictures go beside the JSON, as bytes."""
        new = self.pictures[pictures_from:]
        if new:
            frame["files"] = pictures_from, [{**picture, "data": None} for picture in new]
        self.send(frame, [picture["data"] for picture in new])

    def state_now(self) -> dict[str, Any]:
        """The state, its running times as of now."""
        passed_s = time.monotonic() - self._told_s
        aged = {"going": passed_s, "waiting": -passed_s}
        return {
            name: [value[0], value[1] + aged[name]] if value and name in aged else value
            for name, value in self._state.items()
        }

    def _hear(self, _card: Card, content: Any, _buffers: Any) -> None:
        match content:
            case {"ask": "cancel"}:
                self.send({"heard": True})
                if self._cancel:
                    self._cancel()
            case {"ask": "news"}:
                self.catch_up(content)


def _lasting(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state without the seconds that the page counts by itself."""
    going = state.get("going")
    return {**state, "going": going and going[0]}


def _picture(file: OutputFile) -> dict[str, Any]:
    return {"type": file.media_type, "data": file.preview, "label": file_line(file)}


# -- the view ---------------------------------------------------------------------------------


class CardView:
    """Draws a prediction as a live card, and leaves a document in its place.

    Args:
        look: how much is shown, and how.
        background: whether other cells may run meanwhile: then all is left in one display.
    """

    def __init__(self, look: Look, *, background: bool = False) -> None:
        self.wants_previews = html.draws_pictures(look)
        self._look = look
        self._background = background
        self._answer, self._logs = GrowingAnswer(), GrowingLogs()
        self._card: Card | None = None
        self._place = widgets.Place()
        self._shown: set[str] = set()  # files, by their URLs
        self._cancel: Callable[[], None] | None = None

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Call `cancel` where the person asks for it."""
        self._cancel = cancel

    def update(self, prediction: Prediction) -> None:
        """Send the card what is new."""
        card = self._opened(prediction)
        text = self._answer.more(prediction) if self._look.grows else ""
        logs = self._logs.more(prediction)
        state = card_state(prediction, logs=self._logs)
        card.tell(state, text=text, logs=logs, pictures=self._new_pictures(prediction))

    def close(
        self, prediction: Prediction | None, answer: Answer | None = None, *, why: str = ""
    ) -> None:
        """Leave what is to stay in the card's place."""
        if prediction is None:
            self._leave_nothing()
            return
        document = html.document(prediction, answer, self._look, why=why)
        bundles = document.bundles
        if self._background or self._look.keep_widget:  # one display, or the card has the pictures
            bundles = [html.one_bundle(bundles)]
        if self._card:
            self._end(self._card, prediction, document, why)
        self._replace(bundles[0])
        for bundle in bundles[1:]:
            display(bundle, raw=True)

    def _opened(self, prediction: Prediction) -> Card:
        if self._card is None:
            self._card = Card()
            if self._cancel:
                self._card.on_cancel(self._cancel)
            self._card.tell(card_state(prediction))
            told = f"{status.name(prediction)} · {status.state(prediction)}"
            self._place.show(self._card, told)
        return self._card

    def _new_pictures(self, prediction: Prediction) -> tuple[OutputFile, ...]:
        if not self.wants_previews or not self._look.answer:
            return ()
        new = [
            file
            for file in prediction.fetched
            if file.url not in self._shown and html.is_picture(file)
        ]
        self._shown.update(file.url for file in new)
        return tuple(new)

    def _end(self, card: Card, prediction: Prediction, document: Document, why: str) -> None:
        state = card_state(prediction, ended=True, why=why)
        card.tell(state, logs=self._logs.more(prediction) + self._logs.rest())
        card.end(text=document.text, markup=document.markup)
        _FINISHED.add(card, stays=self._look.keep_widget)

    def _replace(self, bundle: Bundle) -> None:
        staying = self._card if self._look.keep_widget else None
        self._place.leave(bundle, beside=staying)
        if staying:
            staying.send({"html": staying.markup})

    def _leave_nothing(self) -> None:
        self._place.leave_nothing()
        if self._card:
            widgets.close(self._card)


_FINISHED = widgets.Finished(KEPT)  # holds nothing before its first use


def close() -> None:
    """Close the cards that are kept."""
    _FINISHED.close()


def card_state(
    prediction: Prediction,
    *,
    logs: GrowingLogs | None = None,
    ended: bool = False,
    why: str = "",
) -> dict[str, Any]:
    """What the card's top line and its notes say, as JSON for the page.

    `going` is `[phase, seconds so far]` and goes on by itself on the page; `waiting` is `[reason,
    seconds left]`; `log` is the newest log line, `percent` how far its bar is; `moving` is `[which
    files are on their way, percent or null]`.

    Args:
        prediction: the snapshot.
        logs: its logs so far.
        ended: whether nothing more will come.
        why: what went wrong, for people.
    """
    over = ended or (prediction.final and not prediction.saving)
    passed = [] if over else status.passed(prediction)
    retry = None if over else prediction.retry
    speed = status.live_speed(prediction)
    return {
        "name": status.name(prediction),
        "phase": status.status_parts(prediction, ended=True)[1]
        if over
        else status.phase(prediction),
        "times": status.times(prediction) if over else [*map(_lasted, passed[:-1])],
        "going": list(passed[-1]) if passed else None,
        "measured": [*status.measured(prediction), *status.cost(prediction)]
        if over
        else [part for part in (speed,) if part],
        "percent": logs.percent if logs and not over else None,
        "log": one_line(logs.latest, limit=100) if logs and not over else "",
        "moving": None if over else _moving(prediction),
        "waiting": [status.trouble(retry), _left_s(prediction, retry)] if retry else None,
        "page": prediction.page or "",
        "why": why,
        "over": over,
    }


def _moving(prediction: Prediction) -> list[Any] | None:
    moving = prediction.moving
    if moving is None:
        return None
    percent = None if moving.fraction is None else int(100 * moving.fraction)
    return [" · ".join(status.moved(moving)), percent]


def _left_s(prediction: Prediction, retry: Retry) -> float:
    """What is left of a wait: files that move meanwhile bring snapshots of their own."""
    return max(retry.at_s + retry.delay_s - prediction.seen_after_s, 0.0)


def _lasted(part: tuple[str, float]) -> str:
    word, seconds = part
    return f"{word} {status.duration(seconds)}"
