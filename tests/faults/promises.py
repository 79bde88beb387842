"""What must hold of a run whatever has gone wrong, checked by one function.

It looks from outside: at what the caller was given, at what the server saw, and at the rows of the
real history file.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import replicate_magic as rm
from replicate_magic.prediction import Prediction, is_final


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a caller was given, or raised, and after how long."""

    prediction: Prediction | None
    error: BaseException | None
    took_s: float

    @property
    def id(self):
        return self.prediction.id if self.prediction else None

    @property
    def message(self):
        return "\n".join([str(self.error), *getattr(self.error, "__notes__", ())])


class Watched:
    """A run in the background, and when it has ended."""

    def __init__(self, prompt, **arguments):
        self._began_s, self._ended_s = time.monotonic(), 0.0
        self.job = rm.start("acme/poet", prompt=prompt, **arguments)
        self.job.call.at_end(self._end)

    def _end(self):
        self._ended_s = time.monotonic()

    def outcome(self, within_s=100):
        """How it came out; it is waited for."""
        prediction = error = None
        try:
            prediction = self.job.wait(within_s)
        except rm.ReplicateMagicError as raised:
            error, prediction = raised, getattr(raised, "prediction", None)
        prediction = prediction if prediction and prediction.id else None
        return Outcome(prediction=prediction, error=error, took_s=self._ended_s - self._began_s)


def row_of(home, prediction_id):
    """The API's JSON and the text of a prediction's row, read from the file; `None` if none."""
    with closing(sqlite3.connect(f"file:{home / 'history.db'}?mode=ro", uri=True)) as file:
        found = file.execute(
            "SELECT raw, output FROM prediction JOIN document USING (key) JOIN text USING (key) "
            "WHERE id = ?",
            [prediction_id],
        ).fetchone()
    return found and (json.loads(found[0]), found[1])


def batches_in(home):
    """The ids of the batches whose requests are all kept."""
    with closing(sqlite3.connect(f"file:{home / 'history.db'}?mode=ro", uri=True)) as file:
        return {name for (name,) in file.execute("SELECT id FROM batch WHERE total IS NOT NULL")}


def check(server, home, outcome, *, posts=1, within_s=5.0, stopped=False):
    """Check every promise of a run that has ended, the only one that the server had.

    Args:
        server: it.
        home: where the history is.
        outcome: what the caller was given.
        posts: how many requests to create may have been sent.
        within_s: how long it may have taken.
        stopped: whether it was to be canceled, by its deadline or a caller.
    """
    made = [raw for raw in server.predictions if not raw.get("earlier")]
    assert len(server.seen("create")) <= posts, "it was sent again"
    assert len(made) <= 1, "it was created twice"
    assert outcome.took_s < within_s
    assert not server.strangers_with_token()
    assert stopped or not server.seen("cancel"), "nobody asked for a cancel"
    for raw in made:
        _check_id(raw, outcome)
        _check_not_left(server, raw, outcome)
    if outcome.prediction:
        _check_row(outcome.prediction, row_of(home, outcome.id))
        _check_truth(outcome.prediction, made)
    _check_message(server, outcome)


def _check_id(raw, outcome):
    """The caller has the id of what was created, or is told where to look for it."""
    unseen = "Look at https://replicate.com/predictions", "as soon as its id is known"
    told = outcome.error is not None and any(one in outcome.message for one in unseen)
    assert raw["id"] == outcome.id or raw["id"] in outcome.message or told, "the id is lost"


def _check_not_left(server, raw, outcome):
    """Nothing goes on being paid that nobody follows."""
    over, later = is_final(raw) or server.seen("cancel"), "as soon as its id is known"
    assert over or later in outcome.message or isinstance(outcome.error, rm.CreateUnclear)


def _check_row(prediction, row):
    assert row, "the row is missing"
    raw, output = row
    assert raw == prediction.raw
    assert output == prediction.text


def _check_truth(prediction, made):
    """What is called final is what the server has, letter by letter."""
    if prediction.final:
        [true] = made
        assert prediction.raw == true
        if prediction.ok and isinstance(true.get("output"), list):
            assert prediction.text == "".join(true["output"])


def _check_message(server, outcome):
    if outcome.error is None:
        return
    message = outcome.message
    assert isinstance(outcome.error, rm.ReplicateMagicError)
    assert "acme/poet" in message or server.url.rpartition("/")[2] in message, message
    assert server.token not in message
    assert "Traceback" not in message
    assert "httpx" not in message
    assert len(message) < 1_500, "it quotes too much"
    if outcome.prediction:
        assert outcome.id in message


def settled(server, within_s=5):
    """Wait until nothing runs at the server any more: what was stopped has been canceled."""
    server.until(lambda: all(is_final(raw) for raw in server.predictions), within_s)
