"""Owns what history keeps of a run and when; must not know where it is kept.

A row is written when a prediction has its id, before its stream is opened, and again when it ends.
Writing takes a tenth of a millisecond, and half a minute where another process holds the file: so
it is done on another thread, in order, and waited for only so long.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from replicate_magic import bridge
from replicate_magic.prediction import Created, Finished, Prediction
from replicate_magic.runs.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.prediction import Event
    from replicate_magic.runs.history import History

_PATIENCE_S = 1.0
_LONGEST_URL = 2_000  # a data URL holds the file itself
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


class Recorder:
    """Has history keep one run; on the loop.

    Args:
        history: what keeps it, or `None` where nothing does.

    Attributes:
        notes: what is not in the prediction; to be set before it has an id.
    """

    def __init__(self, history: History | None) -> None:
        self.notes = Notes(origin="")
        self._history = history
        self._loop = bridge.here()
        self._saved: Prediction | None = None
        self._last: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Have the history opened, while the request is on its way."""
        if self._history and not self._history.is_open:
            self._last = self._loop.watch(bridge.in_turn(self._history.open))

    def saw(self, event: Event, prediction: Prediction) -> None:
        """Keep the prediction, if the event makes that worth while."""
        if isinstance(event, Created | Finished):
            self._keep(prediction)

    async def kept(self) -> None:
        """Wait until all of it is kept; not for a history that is locked."""
        if self._last and not self._last.done():
            await asyncio.wait({self._last}, timeout=_PATIENCE_S)

    async def settle(self, prediction: Prediction) -> None:
        """Keep what is known at the end, whatever that is."""
        if prediction.id and prediction is not self._saved:
            self._keep(prediction)
        await self.kept()

    def _keep(self, prediction: Prediction) -> None:
        if self._history:
            self._saved = prediction
            record = record_of(prediction, self.notes)
            self._last = self._loop.watch(bridge.in_turn(partial(self._history.save, record)))


def record_of(prediction: Prediction, notes: Notes) -> Record:
    """The row of a prediction."""
    seen = _timings(prediction) if notes.begun_here else {}
    local = {**notes.local, "page": prediction.page, **seen, "files": _files_of(prediction)}
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
    """The prediction of a row, which has its text as it was when it ran."""
    prediction = Prediction(model=record.model, raw=record.raw)
    joined = replace(prediction, shape="chunks")
    return joined if joined.is_text and joined.text == record.output else prediction


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
