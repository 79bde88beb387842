"""Owns what a prediction is, the events that change it, and how they do; must not do any I/O.

A `Prediction` is a snapshot. The client reports events, `fold` turns a snapshot and an event into
the next snapshot, and views draw whichever snapshot they are handed. The three stand together,
however long that is: another event is a class here, a field of the snapshot and a branch of `fold`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.chunks import Chunks
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OutputShape = Literal["text", "chunks", "file", "files", "json"]
"""What a model's schema says of its output; `chunks` are strings that are joined to one text."""

CANCELING = "cancel sent"
"""The reason of a `Retry` for a cancel that Replicate has heard, and whose end is not seen yet."""

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""The statuses that end a prediction (https://replicate.com/docs/reference/http#predictions.get).

`aborted` is a prediction whose deadline passed before it started.
"""


def is_final(raw: Mapping[str, Any]) -> bool:
    """Whether the API's JSON is of a prediction that has ended.

    A status we do not know ends a prediction once it carries `completed_at`.
    """
    status = raw.get("status")
    return status in FINAL or (
        status not in {"starting", "processing"} and bool(raw.get("completed_at"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """A file that a model gave.

    Attributes:
        url: where it lies; Replicate deletes it an hour after the run.
        path: where it was saved on this machine, or `None`.
        media_type: such as `image/png`, or `None` while it is not known.
        size_bytes: its length, or `None` while it is not known.
        sha256: the digest of its bytes in hex, where it was saved.
        preview: its bytes, where they were fetched to be shown.
    """

    url: str
    path: Path | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    preview: bytes | None = field(default=None, repr=False)


# -- events -----------------------------------------------------------------------------------
# `at_s` is in seconds since the request was begun, by a monotonic clock.


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """Replicate has accepted the prediction: from here on it has an id, and may cost money."""

    raw: dict[str, Any]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The prediction as a GET answered it."""

    raw: dict[str, Any]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Pieces of output, as the stream brought them."""

    chunks: tuple[str, ...]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Log lines, as the stream brought them."""

    text: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Something is tried again after `delay_s` seconds, and why.

    Attributes:
        reason: what went wrong, or what is waited for.
        attempt: which try comes next: 2 after the first has failed; 0 where tries are not counted.
        file: the name of the file that is tried again, or empty where it is another request.
    """

    reason: str
    delay_s: float
    at_s: float
    attempt: int = 0
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """How far files are on their way: an input's up to the API, or an output's down to disk.

    Attributes:
        direction: up, or down.
        name: the file's name where it is one, else empty.
        files: how many there are.
        done_files: how many have ended; where all have, nothing moves any more.
        done_bytes: how many bytes have gone, or come.
        total_bytes: how many there are in all, or `None` where that is not known.
        fraction: how much of the way is done, from 0 to 1, or `None` where that is not known.
        waits: whether one of them is to be tried again, and has not begun anew.
    """

    direction: Literal["up", "down"]
    name: str
    files: int
    done_files: int
    done_bytes: int
    total_bytes: int | None
    fraction: float | None
    waits: bool = False
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file of the output was fetched from where it lay, or could not be: `trouble` says why."""

    file: OutputFile
    at_s: float
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The prediction has ended, and this is the last word on it."""

    raw: dict[str, Any]
    at_s: float


Event = Created | Update | Output | Log | Retry | Moving | Fetched | Finished


# -- the snapshot -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Prediction:
    """One prediction, as far as it is known.

    Everything Replicate says is in `raw`, the JSON as it came; the properties read it. Source:
    https://replicate.com/docs/reference/http#predictions.get

    Attributes:
        model: the model as it was asked for; `raw["model"]` may be an internal name.
        raw: the API's JSON; empty before the prediction has an id.
        shape: what the model's schema says of its output, where it is known.
        streamed: the output as the stream brought it.
        streamed_logs: the logs as the stream brought them.
        fetched: those of the output files that were fetched.
        unsaved: why files could not be saved, one for each.
        saving: whether it has ended, and its files are being fetched.
        moving: how far the files are that are on their way now, if any has been for a while.
        retry: what is being waited for at the moment, if anything.
        retries: how often something was tried again.
        seen_after_s: seconds from the start of the call until the newest event.
        sent_after_s: seconds from the start of the call until its files were sent ahead.
        created_after_s: seconds from the start of the call until the id was known.
        started_after_s: seconds from the start of the call until the model was seen to run.
        first_output_after_s: seconds from the start of the call until the first output came.
        finished_after_s: seconds from the start of the call until the end was known.
        age_s: how old the answer is, in seconds, where history gave it and nothing was sent.
        cost_usd: about what it cost in US dollars, by known prices; `None` before its end, and
            where no price is known.
        whole: whether it shows itself with its state and logs, as a cell does, and not its answer
            alone.
    """

    model: str
    raw: Mapping[str, Any] = field(default_factory=dict)
    shape: OutputShape | None = None
    streamed: Chunks = field(default_factory=Chunks)
    streamed_logs: Chunks = field(default_factory=Chunks)
    fetched: tuple[OutputFile, ...] = field(default=())
    unsaved: tuple[str, ...] = field(default=())
    saving: bool = field(default=False)
    moving: Moving | None = field(default=None)
    retry: Retry | None = field(default=None)
    retries: int = field(default=0)
    seen_after_s: float = field(default=0.0)
    sent_after_s: float | None = field(default=None)
    created_after_s: float | None = field(default=None)
    started_after_s: float | None = field(default=None)
    first_output_after_s: float | None = field(default=None)
    finished_after_s: float | None = field(default=None)
    age_s: float | None = field(default=None)
    cost_usd: float | None = field(default=None)
    whole: bool = field(default=False)

    @property
    def id(self) -> str:
        """Replicate's id, or an empty string before there is one."""
        return str(self.raw.get("id") or "")

    @property
    def version(self) -> str | None:
        """The version that ran: a hash, or `hidden` for official models."""
        version = self.raw.get("version")
        return None if version is None else str(version)

    @property
    def status(self) -> str:
        """Such as `starting`, `processing`, `succeeded`, `failed`, `canceled`, `aborted`."""
        return str(self.raw.get("status") or "starting")

    @property
    def input(self) -> dict[str, Any]:
        """What the model was given."""
        return _dict(self.raw.get("input"))

    @property
    def output(self) -> Any:
        """What the model gave: any JSON value, or `None`."""
        return self.raw.get("output")

    @property
    def error(self) -> str | None:
        """Why a failed prediction failed."""
        error = self.raw.get("error")
        return error if error is None or isinstance(error, str) else json.dumps(error)

    @property
    def logs(self) -> str:
        """What the model printed."""
        told, streamed = str(self.raw.get("logs") or ""), self.streamed_logs.text()
        return streamed if not told or (len(streamed) > len(told) and not self.final) else told

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured, by the names Replicate gives; times are in seconds."""
        return _dict(self.raw.get("metrics"))

    @property
    def urls(self) -> dict[str, str]:
        """Addresses by use: `get`, `cancel`, `stream`, `web`."""
        urls = _dict(self.raw.get("urls"))
        return {use: url for use, url in urls.items() if isinstance(url, str)}

    @property
    def url(self) -> str | None:
        """The page of this run on Replicate's site."""
        return self.urls.get("web")

    @property
    def page(self) -> str | None:
        """The page of this run, if it is one for people: the embedded engine has none."""
        url = self.url or ""
        return one_line(url, limit=500) if url.startswith("https://") else None

    @property
    def created_at(self) -> datetime | None:
        """When Replicate accepted it (UTC)."""
        return _time(self.raw.get("created_at"))

    @property
    def started_at(self) -> datetime | None:
        """When the model began (UTC)."""
        return _time(self.raw.get("started_at"))

    @property
    def completed_at(self) -> datetime | None:
        """When it ended (UTC)."""
        return _time(self.raw.get("completed_at"))

    @property
    def data_removed(self) -> bool:
        """Whether Replicate has deleted input, output and logs, as it does after an hour."""
        return bool(self.raw.get("data_removed"))

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return is_final(self.raw)

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.status == "succeeded"

    @property
    def text(self) -> str:
        """The output as text.

        A string as it is; a list of strings joined where the schema says so or the stream brought
        that very list; any other value as JSON. While it runs, what has come so far.
        """
        output = self.output
        if not self.final:
            return self._text_so_far()
        if output is None:
            return self.streamed.text()
        if self._is_joined(output):
            return "".join(output)
        return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)

    @property
    def files(self) -> tuple[OutputFile, ...]:
        """The files among the output: one for each URL."""
        fetched = {file.url: file for file in self.fetched}
        return tuple(fetched.get(url) or OutputFile(url=url) for url in self._file_urls())

    @property
    def image(self) -> Any:
        """The first output file as a PIL image.

        Raises:
            InputError: no file was saved, it is no picture, or Pillow is not installed.
        """
        from replicate_magic.views.picture import image_of

        return image_of(self)

    def jq(self, program: str, *, args: Mapping[str, Any] | None = None) -> Any:
        """Run a jq program on the prediction's JSON.

        Args:
            program: such as `.metrics.predict_time`.
            args: values that the program sees as `$name`.

        Returns:
            The one output as its value, none as `None`, several as a list.

        Raises:
            JqError: the program does not compile, fails, or runs too long.
        """
        from replicate_magic.runs import jq

        outputs = jq.outputs(program, json.dumps(self.raw), args=args)
        return outputs[0] if len(outputs) == 1 else outputs or None

    @property
    def is_text(self) -> bool:
        """Whether the output is text: a string, or a list of strings that are joined."""
        return isinstance(self.output, str) or self._is_joined(self.output)

    def _text_so_far(self) -> str:
        output = self.output
        polled = ""
        if isinstance(output, str):
            polled = output
        elif self.shape in {"chunks", None} and _is_strings(output):
            polled = "".join(output)
        streamed = self.streamed.text()
        return streamed if len(streamed) >= len(polled) else polled

    def _is_joined(self, output: Any) -> bool:
        if not _is_strings(output):
            return False
        return self.shape == "chunks" or (
            self.shape is None and len(output) > 0 and output == self.streamed.parts()
        )

    def _file_urls(self) -> list[str]:
        output = self.output
        if self.shape in {"file", "files"}:
            found = output if isinstance(output, list) else [output]
            return [url for url in found if isinstance(url, str)]
        if self.shape is None and not len(self.streamed):
            found = output if isinstance(output, list) else [output]
            return [url for url in found if isinstance(url, str) and _is_delivered(url)]
        return []

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Prediction {self.id or 'without id'} of {self.model}: {self.status}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # The one import upwards: IPython asks the value itself how it is shown.
        from replicate_magic.views.html import answer_bundle

        return answer_bundle(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        from replicate_magic.views.answer import shown

        if self.whole:
            printer.text(self._repr_mimebundle_()["text/plain"])
        else:
            printer.text(shown(self, None, "auto").text)


def fold(prediction: Prediction, event: Event) -> Prediction:
    """The prediction after the event."""
    at_s = event.at_s
    changes: dict[str, Any] = {"seen_after_s": at_s, "retry": None}
    match event:
        case Output(chunks=chunks):
            changes["streamed"] = prediction.streamed.extended(chunks)
        case Log(text=text):
            changes["streamed_logs"] = prediction.streamed_logs.extended((text,))
        case Created(raw=raw):
            changes |= {"raw": raw, "created_after_s": at_s}
        case Update(raw=raw):
            changes["raw"] = raw
        case Finished(raw=raw):
            changes |= {"raw": raw, "finished_after_s": at_s}
        case Fetched(file=file, trouble=trouble):
            came, lost = ((), (trouble,)) if trouble else ((file,), ())
            changes |= {
                "fetched": (*prediction.fetched, *came),
                "unsaved": (*prediction.unsaved, *lost),
            }
        case Retry():
            changes |= {"retry": event, "retries": prediction.retries + 1}
        case Moving():
            changes |= _after_moving(prediction, event)
    if prediction.first_output_after_s is None:
        changes |= _first_signs(prediction, event)
    return replace(prediction, **changes)


def _after_moving(prediction: Prediction, event: Moving) -> dict[str, Any]:
    """What a file that moves changes; it is no news of another request that is waited for."""
    over = event.done_files >= event.files
    retry = prediction.retry
    changes = {
        "moving": None if over else event,
        "retry": None if retry and retry.file and not event.waits else retry,
    }
    return {**changes, "sent_after_s": event.at_s} if over and event.direction == "up" else changes


def _first_signs(prediction: Prediction, event: Event) -> dict[str, float]:
    """When the model is seen to run, and to give output; by polling is seeing too."""
    match event:
        case Output(at_s=at_s):
            begun = gives = True
        case Created(raw=raw, at_s=at_s) | Update(raw=raw, at_s=at_s):
            gives = bool(raw.get("output")) and not is_final(raw)
            begun = gives or raw.get("status") == "processing"
        case _:
            return {}
    signs = {"first_output_after_s": at_s} if gives else {}
    if begun and prediction.started_after_s is None:
        signs["started_after_s"] = at_s
    return signs


def _time(value: Any) -> datetime | None:
    """A time stamp of the API, with 0 to 9 digits of a second; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_DELIVERED = re.compile(r"https://([a-z0-9-]+\.)*replicate\.delivery/")


def _is_delivered(url: str) -> bool:
    """Whether a string is a file Replicate delivers, where no schema says so."""
    if url.startswith("data:"):
        return ";base64," in url[:100]
    return bool(_DELIVERED.match(url))
