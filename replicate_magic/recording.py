"""Owns what history keeps of a run and when; must not know where it is kept.

A row is written when a prediction has its id, before its stream is opened, and again when it ends.
Writing takes a tenth of a millisecond, and half a minute where another process holds the file: so
it is done on another thread, in order, and waited for only so long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic import bridge
from replicate_magic.cell.fingerprint import bytes_of
from replicate_magic.prediction import Created, Finished, OutputFile, Prediction
from replicate_magic.runs.record import Record

if TYPE_CHECKING:
    from replicate_magic.prediction import Event, OutputShape
    from replicate_magic.runs.history import History

_PATIENCE_S = 1.0
_GATHER_S = 0.02  # rows of many runs that follow so soon are written together
_LONGEST_URL = 2_000  # a data URL holds the file itself
_TIMES = ("created_after_s", "started_after_s", "first_output_after_s", "finished_after_s")
_TOKENS = frozenset({"output_token_count", "token_output_count", "tokens_per_second"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What only the caller knows of a run.

    Attributes:
        origin: the base URL of the API.
        prompt: the prompt as it is sent.
        local: what else is to be kept: tag, notebook, cell, template.
        begun_here: whether its beginning was seen, so that our own clock tells anything.
    """

    origin: str
    prompt: str = ""
    local: Mapping[str, Any] = field(default_factory=dict)
    begun_here: bool = True


class Writer:
    """Has a history keep rows on its thread; on the loop.

    Rows that come while others are being written are written together after them: a thousand runs
    at once would else wait for two thousand transactions.

    Args:
        history: what keeps them.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._waiting: list[Record] = []
        self._kept: asyncio.Future[None] | None = None
        self._gathers = False
        self._writing: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Have the history opened, if it is not: it may take a while."""
        if not self._history.is_open and self._writing is None:
            self._writing = bridge.here().watch(self._write())

    def keep(self, record: Record, *, of_many: bool = False) -> asyncio.Future[None]:
        """Have a row kept; what is done once it is. Those of many runs may gather a moment."""
        self._waiting.append(record)
        self._gathers = self._gathers or of_many
        if self._kept is None:
            self._kept = asyncio.get_running_loop().create_future()
        if self._writing is None:
            self._writing = bridge.here().watch(self._write())
        return self._kept

    async def settled(self) -> None:
        """Wait until nothing is left to be kept; not for a history that is locked."""
        if self._writing:
            await asyncio.wait({self._writing}, timeout=_PATIENCE_S)

    async def _write(self) -> None:
        try:
            if not self._history.is_open:
                await bridge.in_turn(self._history.open)
            while self._waiting:
                some, self._waiting = self._waiting, []
                gathers, self._gathers = self._gathers, False
                kept, self._kept = self._kept, None
                await bridge.in_turn(partial(self._history.save_all, some))
                if kept and not kept.done():
                    kept.set_result(None)
                if gathers:
                    await asyncio.sleep(_GATHER_S)
        finally:
            self._writing = None


class Recorder:
    """Has history keep one run; on the loop.

    Args:
        writer: what keeps it, or `None` where nothing does.
        of_many: whether it is one of many runs, whose ends do not wait for their rows: whoever
            runs them waits for all rows at once.

    Attributes:
        notes: what is not in the prediction; to be set before it has an id.
    """

    def __init__(self, writer: Writer | None, *, of_many: bool = False) -> None:
        self.notes = Notes(origin="")
        self._writer = writer
        self._of_many = of_many
        self._saved: Prediction | None = None
        self._last: asyncio.Future[None] | None = None

    def prepare(self) -> None:
        """Have the history opened, while the network is waited for."""
        if self._writer:
            self._writer.open()

    def saw(self, event: Event, prediction: Prediction) -> None:
        """Keep the prediction, if the event makes that worth while."""
        if isinstance(event, Created | Finished):
            self._keep(prediction)

    def leave(self) -> None:
        """Keep nothing: history has it already."""
        self._writer = None

    async def kept(self) -> None:
        """Wait until all of it is kept; not for a history that is locked."""
        if self._last and not self._last.done():
            await asyncio.wait({self._last}, timeout=_PATIENCE_S)

    async def settle(self, prediction: Prediction) -> None:
        """Keep what is known at the end, whatever that is."""
        if prediction.id and prediction is not self._saved:
            self._keep(prediction)
        if not self._of_many:
            await self.kept()

    def _keep(self, prediction: Prediction) -> None:
        if self._writer:
            self._saved = prediction
            self._last = self._writer.keep(record_of(prediction, self.notes), of_many=self._of_many)


def record_of(prediction: Prediction, notes: Notes) -> Record:
    """The row of a prediction."""
    seen = _timings(prediction) if notes.begun_here else {}
    local = {
        **notes.local,
        "page": prediction.page,
        **seen,
        "cost_estimate_usd": prediction.cost_usd,
        "files": _files_of(prediction),
    }
    return Record(
        raw=prediction.raw,
        model=prediction.model,
        origin=notes.origin,
        local={name: value for name, value in local.items() if value is not None},
        prompt=notes.prompt or _prompt_in(prediction),
        output=_joined_if_tokens(prediction).text if prediction.id else "",
    )


def fetched(raw: Mapping[str, Any], origin: str) -> Record:
    """The row of a prediction as a list of the API has it."""
    prediction = Prediction(model=str(raw.get("model") or ""), raw=raw)
    notes = Notes(origin=origin, local={"remote": True}, begun_here=False)
    return record_of(prediction, notes)


def prediction_of(record: Record) -> Prediction:
    """The prediction of a row: its text as it was when it ran, its saved files, what it took.

    A file that is gone, or has another length by now, has no path. What it took is told of what
    has ended only: what is followed again is timed anew.
    """
    prediction = Prediction(model=record.model, raw=record.raw)
    joined = replace(prediction, shape="chunks")
    is_file = isinstance(prediction.output, str) and bool(prediction.files)
    if saved := _saved_of(record):
        prediction = _with_files(prediction, saved)
    elif not is_file and joined.is_text and joined.text == record.output:
        prediction = joined
    return replace(prediction, **_seen_of(record)) if record.final else prediction


def _saved_of(record: Record) -> list[Mapping[str, Any]]:
    """What the row says of files that were saved, whoever wrote that."""
    told = record.local.get("files")
    entries = told if isinstance(told, list) else []
    return [one for one in entries if isinstance(one, Mapping) and isinstance(one.get("path"), str)]


def _with_files(prediction: Prediction, saved: list[Mapping[str, Any]]) -> Prediction:
    """The prediction with its saved files, of which a long address is not in the row.

    Then they are in the same order; where some were not saved, their bytes tell which.
    """
    if not _names(prediction, saved):  # such as the embedded engine's own addresses
        shape: OutputShape = "files" if isinstance(prediction.output, list) else "file"
        prediction = replace(prediction, shape=shape)
    long = [file.url for file in prediction.files if len(file.url) >= _LONGEST_URL]
    unnamed = [entry for entry in saved if not entry.get("url")]
    if len(long) == len(unnamed):
        files = [_saved_file(entry, url) for entry, url in zip(unnamed, long, strict=True)]
    else:
        by_bytes = {sha256(bytes_of(url) or b"").hexdigest(): url for url in long}
        known = [(entry, by_bytes.get(str(entry.get("sha256")))) for entry in unnamed]
        files = [_saved_file(entry, url) for entry, url in known if url]
    files += [_saved_file(entry, str(entry["url"])) for entry in saved if entry.get("url")]
    return replace(prediction, fetched=tuple(files))


def _names(prediction: Prediction, saved: list[Mapping[str, Any]]) -> bool:
    """Whether the prediction's files are those that were saved, or more."""
    urls = [file.url for file in prediction.files]
    named = {str(entry["url"]) for entry in saved if entry.get("url")}
    unnamed = sum(not entry.get("url") for entry in saved)
    return named <= {*urls} and unnamed <= sum(len(url) >= _LONGEST_URL for url in urls)


def _saved_file(entry: Mapping[str, Any], url: str) -> OutputFile:
    path, size = Path(entry["path"]), entry.get("size_bytes")
    media_type, digest = entry.get("media_type"), entry.get("sha256")
    is_there = False
    with suppress(OSError, ValueError):  # a NUL in it, or a folder that may not be looked into
        is_there = path.is_file() and size in {None, path.stat().st_size}
    return OutputFile(
        url=url,
        path=path if is_there else None,
        media_type=media_type if isinstance(media_type, str) else None,
        size_bytes=size if isinstance(size, int) else None,
        sha256=digest if isinstance(digest, str) else None,
    )


def _seen_of(record: Record) -> dict[str, Any]:
    """What `_timings` has written."""
    seen: dict[str, Any] = {
        name: value for name in _TIMES if isinstance(value := record.local.get(name), int | float)
    }
    retries, cost = record.local.get("retries"), record.local.get("cost_estimate_usd")
    return {
        **seen,
        "cost_usd": float(cost) if isinstance(cost, int | float) else None,
        "retries": retries if isinstance(retries, int) else 0,
        "seen_after_s": seen.get("finished_after_s", 0.0),
    }


def _joined_if_tokens(prediction: Prediction) -> Prediction:
    """Without a schema a list of texts is one text where its tokens were counted."""
    if prediction.shape is None and not _TOKENS.isdisjoint(prediction.metrics):
        return replace(prediction, shape="chunks")
    return prediction


def _files_of(prediction: Prediction) -> list[dict[str, Any]] | None:
    """The files that were saved."""
    return [
        {
            "url": file.url if len(file.url) < _LONGEST_URL else None,
            "path": str(file.path),
            "media_type": file.media_type,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
        }
        for file in prediction.files
        if file.path is not None
    ] or None


def _timings(prediction: Prediction) -> dict[str, float | None]:
    """What was seen from here, in seconds since the call."""
    return {
        "retries": prediction.retries or None,
        "created_after_s": _rounded(prediction.created_after_s),
        "started_after_s": _rounded(prediction.started_after_s),
        "first_output_after_s": _rounded(prediction.first_output_after_s),
        "finished_after_s": _rounded(prediction.finished_after_s),
    }


def _rounded(seconds: float | None) -> float | None:
    """To the tenth of a millisecond, which is more than a network lets one know."""
    return None if seconds is None else round(seconds, 4)


def notebook_name(path: object) -> str | None:
    """The name of a notebook by the path that a front end gives; `None` where it is none."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1] if isinstance(path, str) else ""
    return name if name.endswith(".ipynb") else None


def _prompt_in(prediction: Prediction) -> str:
    """The prompt of a prediction that was made elsewhere, as most models name it."""
    prompt = prediction.input.get("prompt")
    return prompt if isinstance(prompt, str) else ""
