"""Owns a run that was begun: its newest snapshot, its end, and how to wait for it or end it.

It must not know what runs, or who watches.
"""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic import bridge, errors
from replicate_magic.failure import Cut, carry, explain_wait, short_why, why_not
from replicate_magic.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable


class Ended(NamedTuple):
    """A prediction that nothing more is done about, and what of ours cut it short, if anything."""

    prediction: Prediction
    cut: Cut = ""


class Job:
    """A prediction that runs in the background, or has ended.

    ```python
    job = replicate_magic.start("owner/name", prompt="…")
    job.prediction.text          # what has come so far
    p = job.wait()               # the prediction, once it has ended
    ```
    """

    detached: bool
    """Whether nobody waits for it."""

    def __init__(
        self,
        call: bridge.Call[Prediction, Ended],
        model: str,
        wish: Callable[[], object] = lambda: None,
    ) -> None:
        self.call = call
        self.detached = False
        self._model = model
        self._wish = wish  # told that it is to be canceled, and not only left

    @property
    def prediction(self) -> Prediction:
        """A snapshot of the prediction, as far as it is known now."""
        return self.call.latest or Prediction(model=self._model)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.call.wait(0)

    def wait(self, timeout: float | None = None) -> Prediction:
        """Wait for the end, and for what is drawn of it.

        An interrupt ends the waiting and not the prediction.

        Args:
            timeout: for how many seconds at most.

        Raises:
            PredictionFailed: it failed, or was canceled or aborted; `error.prediction` has all.
            PredictionTimeout: the time that it was given is over; it is canceled.
            TimeoutError: it had not ended within `timeout`; it goes on.
            ReplicateMagicError: it could not be run, or not be followed to its end.
        """
        try:
            self._wait(None if timeout is None else time.monotonic() + timeout)
        except KeyboardInterrupt as interrupt:
            explain_wait(interrupt, self.prediction)
            raise
        return check(self.ended())

    def cancel(self) -> None:
        """Have the prediction canceled; this only sends word, and may be called at any time."""
        self._wish()
        self.call.cancel()

    def ended(self) -> Ended:
        """How it ended; whoever calls this knows that it has.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end.
        """
        try:
            return self.call.result()
        except CancelledError:
            return Ended(self.prediction, "cancel")
        except errors.ReplicateMagicError as error:
            carry(error, self.prediction)
            raise

    def why(self) -> str:
        """What went wrong, in a line or two; an empty string where nothing did."""
        try:
            prediction, cut = self.ended()
        except Exception as error:  # noqa: BLE001  (whoever waits for the job is raised it)
            return str(error) or type(error).__name__
        return "" if prediction.ok else short_why(prediction, cut=cut)

    def detach(self, update: Callable[[Prediction], None], end: Callable[[Job], object]) -> None:
        """Begin, with nobody waiting.

        Args:
            update: handed snapshots, on the loop's thread.
            end: called once it has ended, on another thread.
        """
        self.detached = True
        self.call.detach(update, lambda: end(self))

    def _wait(self, until_s: float | None) -> None:
        while not self.call.wait(bridge.SLICE_S) or not self.call.left(bridge.SLICE_S):
            if until_s is not None and time.monotonic() > until_s:
                raise TimeoutError(f"{self!r} has not ended yet; it goes on.")

    def __repr__(self) -> str:
        prediction = self.prediction
        return f"<Job of {prediction.model}: {prediction.status}, {prediction.id or 'no id yet'}>"


def check(ended: Ended) -> Prediction:
    """The prediction, if it succeeded.

    Raises:
        PredictionTimeout: its time was over.
        PredictionFailed: it failed, or was canceled or aborted.
    """
    prediction, cut = ended
    if cut in {"deadline", "left"}:
        raise too_late(prediction, cut=cut)
    if not prediction.ok:
        raise errors.PredictionFailed(why_not(prediction, cut=cut), prediction=prediction)
    return prediction


def too_late(prediction: Prediction, *, cut: Cut = "deadline") -> errors.PredictionTimeout:
    """The error for a prediction whose time was over."""
    return errors.PredictionTimeout(why_not(prediction, cut=cut), prediction=prediction)
