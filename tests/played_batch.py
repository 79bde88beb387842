"""A batch that is played: a tally that a thread changes as an engine would, with made-up answers.

```python
play = Play(40, models=("acme/poet", "acme/bard"), fails={7})
show(play)                        # as a cell that blocks: the view, until all have ended
```
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from made_batch import HOSTILE

from replicate_magic.prediction import Created, Finished, Output, Prediction, Update, fold
from replicate_magic.tally import Entry, Tally
from replicate_magic.views import Look, choose_batch, close_batch

__all__ = ["HOSTILE", "Look", "Play", "show", "show_meanwhile"]

SENTENCE = "Once upon a time there was a lighthouse that nobody had lit for forty years."
WORDS = SENTENCE.split()
TICK_S = 0.01


class Play:
    """A batch.

    Args:
        number: how many requests there are.
        models: they take turns.
        concurrency: how many run at a time.
        ran_s: how long each takes.
        fails: the numbers of those that fail.
        holds: the numbers of those that do not end before there is a file `gate`.
        gate: its path.
        says: by number what it answers; else a sentence.
        params: by number what differs.
        prompts: by number what it is asked.
        total: whether it is known how many there are.
    """

    def __init__(
        self, number, *, models=("acme/poet",), concurrency=4, ran_s=0.4, fails=(), holds=(),
        gate="", says=None, params=None, prompts=None, total=True,
    ):  # fmt: skip
        self.tally = Tally("3f9ac0d1e2b4", number if total else None, time.monotonic())
        self.canceled, self.looked = [], []
        self.done = threading.Event()
        self._number, self._concurrency, self._ran_s = number, concurrency, ran_s
        self._fails, self._holds, self._gate = set(fails), set(holds), Path(gate)
        self._says, self._began = says or {}, {}
        self._streamed = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for n in range(number):
            entry = Entry(
                number=n,
                model=models[n % len(models)],
                prompt=(prompts or {}).get(n, "Write a sentence."),
                params=params(n) if params else {},
            )
            self.tally.add(entry)

    def start(self):
        self._thread.start()
        return self

    def cancel(self, number):
        """Hear a click: a request, or all."""
        self.canceled.append(number)
        if number is None:
            self.tally.canceling = True

    def look(self, number, looks):
        """Hear that somebody looks."""
        self.looked.append((number, looks))
        if looks:
            self._streamed.add(number)

    # -- the thread -----------------------------------------------------------------------------

    def _run(self):
        waiting, running = list(range(self._number)), []
        while waiting or running:
            while waiting and len(running) < self._concurrency and not self.tally.canceling:
                running.append(waiting.pop(0))
                self._begin(running[-1])
            running = [n for n in running if not self._goes_on(n)]
            if self.tally.canceling:
                for n in waiting:
                    self.tally.change(n, phase="done", error="Not sent: it was canceled.")
                waiting = []
            time.sleep(TICK_S)
        self.tally.ended_s = time.monotonic()
        self.done.set()

    def _begin(self, n):
        self._began[n] = time.monotonic()
        raw = {"id": f"p{n}", "status": "starting", "created_at": _now()}
        prediction = Prediction(model=self.tally.entries[n].model, shape="chunks")
        self.tally.change(n, phase="running", prediction=prediction)
        self._fold(n, Created(raw=raw, at_s=0.0))

    def _goes_on(self, n):
        """One step of a request that runs; whether it has ended."""
        entry, passed_s = self.tally.entries[n], time.monotonic() - self._began[n]
        prediction = entry.prediction
        if n in self.canceled or self.tally.canceling:
            return self._end(n, "canceled", None, "Canceled.")
        if prediction.status == "starting" and passed_s > 0.1 * self._ran_s:
            raw = {**prediction.raw, "status": "processing", "started_at": _now()}
            self._fold(n, Update(raw=raw, at_s=passed_s))
        if n in self._streamed and prediction.status == "processing":
            word = WORDS[len(prediction.streamed) % len(WORDS)]
            self._fold(n, Output(chunks=(f"{word} ",), at_s=passed_s))
        if passed_s < self._ran_s or (n in self._holds and not self._gate.exists()):
            return False
        if n in self._fails:
            return self._end(n, "failed", None, "CUDA out of memory: try a smaller one")
        said = prediction.streamed.text() or SENTENCE
        return self._end(n, "succeeded", self._says.get(n, said), "")

    def _end(self, n, status, output, error):
        prediction = self.tally.entries[n].prediction
        passed_s = time.monotonic() - self._began[n]
        metrics = {"predict_time": passed_s, "tokens_per_second": 40.0 + n % 7}
        raw = {**prediction.raw, "status": status, "output": output, "completed_at": _now()}
        raw |= {"metrics": metrics, "error": error or None}
        ended = fold(prediction, Finished(raw=raw, at_s=passed_s))
        self.tally.change(n, phase="done", prediction=ended, error=error)
        return True

    def _fold(self, n, event):
        prediction = fold(self.tally.entries[n].prediction, event)
        self.tally.change(n, prediction=prediction)


def _now():
    return datetime.now(UTC).isoformat()


def show(play, look=None, place="browser", *, why=""):
    """Draw it as a cell does that waits for it."""
    view = choose_batch(look or Look(), place)
    view.on_cancel(play.cancel)
    view.on_look(play.look)
    play.start()
    try:
        while not play.done.wait(0.1):
            view.update(play.tally)
        view.update(play.tally)
    except KeyboardInterrupt:
        close_batch(view, play.tally, why="Interrupted.")
        raise
    close_batch(view, play.tally, why=why)


def show_meanwhile(play, look=None):
    """Draw it as a cell does that returns at once."""
    view = choose_batch(look or Look(), "browser", background=True)
    view.on_cancel(play.cancel)
    view.on_look(play.look)
    view.update(play.tally)

    def follow():
        while not play.done.wait(0.1):
            view.update(play.tally)
        close_batch(view, play.tally)

    play.start()
    threading.Thread(target=follow, daemon=True).start()
