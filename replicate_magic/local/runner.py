"""Runs predictions: one queue and one worker thread a model, cancels and deadlines.

Knows no HTTP. Models call back from their threads; everything else is on the event loop.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .files import StoredFile, store
from .model import File, Log, Metrics, Model, ModelError, ModelEvent, Output
from .predictions import Prediction, Predictions, now
from .validate import with_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STOP_S = 2.0


class Runner:
    """The queues of all models.

    Args:
        keep_file: Keeps a file output, gives the URL that goes into the output.
        reachable: Turns the URL of a file input into one that a model can fetch without a token.
    """

    def __init__(
        self,
        models: Sequence[Model],
        predictions: Predictions,
        *,
        keep_file: Callable[[StoredFile], str],
        reachable: Callable[[str], str],
    ) -> None:
        self.run_counts: Counter[str] = Counter()
        self._models = {model.info.full_name: model for model in models}
        self._predictions = predictions
        self._keep_file = keep_file
        self._reachable = reachable
        self._queues: dict[str, asyncio.Queue[Prediction | None]] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._unfinished: dict[str, Prediction] = {}
        self._deadlines: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin to work, on the running loop."""
        for name, model in self._models.items():
            self._queues[name] = asyncio.Queue()
            self._workers.append(asyncio.create_task(self._work(model, self._queues[name])))

    async def stop(self) -> None:
        """Cancel everything and wait until the models have let go, at most two seconds."""
        self.cancel_all()
        for queue in self._queues.values():
            queue.put_nowait(None)
        _, stuck = await asyncio.wait(self._workers, timeout=STOP_S)
        for worker in stuck:
            worker.cancel()

    def submit(self, prediction: Prediction) -> None:
        """Put a new prediction at the end of its model's queue."""
        self._unfinished[prediction.id] = prediction
        self.run_counts[prediction.model] += 1
        self._queues[prediction.model].put_nowait(prediction)
        if prediction.deadline:
            left_s = (prediction.deadline - now()).total_seconds()
            handle = asyncio.get_running_loop().call_later(
                left_s, self._cancel, prediction, "aborted"
            )
            self._deadlines[prediction.id] = handle

    async def cancel(self, prediction: Prediction, *, patience_s: float = 1.0) -> None:
        """Cancel; where it runs already, give the model a moment to stop."""
        self._cancel(prediction, "canceled")
        await prediction.until_final(patience_s)

    def cancel_all(self) -> None:
        """Cancel what has not ended."""
        for prediction in list(self._unfinished.values()):
            self._cancel(prediction, "canceled")

    def _cancel(self, prediction: Prediction, status_before_start: str) -> None:
        prediction.canceled.set()
        if prediction.started_at is None:
            self._finish(prediction, status_before_start)

    async def _work(self, model: Model, queue: asyncio.Queue[Prediction | None]) -> None:
        pool = ThreadPoolExecutor(1, thread_name_prefix=model.info.name)
        try:
            while prediction := await queue.get():
                if not prediction.is_final:
                    await self._run(model, prediction, pool)
        finally:
            pool.shutdown(wait=False)

    async def _run(self, model: Model, prediction: Prediction, pool: ThreadPoolExecutor) -> None:
        try:
            await self._run_model(model, prediction, pool)
        except ModelError as error:
            self._finish(prediction, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - a broken model must not end the worker
            traceback.print_exc()
            self._finish(prediction, "failed", f"{type(error).__name__}: {error}")
        else:
            self._finish(prediction, "canceled" if prediction.canceled.is_set() else "succeeded")

    async def _run_model(
        self, model: Model, prediction: Prediction, pool: ThreadPoolExecutor
    ) -> None:
        loop = asyncio.get_running_loop()

        def emit(event: ModelEvent) -> None:
            if isinstance(event, Output) and isinstance(event.value, File):
                event = Output(value=store(event.value))
            loop.call_soon_threadsafe(self._apply, prediction, event)

        if reason := model.unavailable():
            raise ModelError(reason)
        await loop.run_in_executor(pool, model.prepare, emit, prediction.canceled)
        if prediction.canceled.is_set():
            return
        values = self._values(model.info.input_schema, prediction.input)
        prediction.start(now())
        await loop.run_in_executor(pool, model.run, values, emit, prediction.canceled)

    def _values(self, schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        values = with_defaults(schema, given)
        files = {name for name in values if schema["properties"][name].get("format") == "uri"}
        return values | {name: self._reachable(values[name]) for name in files}

    def _apply(self, prediction: Prediction, event: ModelEvent) -> None:
        if prediction.is_final:
            return
        match event:
            case Output(value=StoredFile() as file):
                prediction.add_output(self._keep_file(file))
            case Output(value=value):
                prediction.add_output(value)
            case Log(text=text):
                prediction.add_log(text)
            case Metrics(values=values):
                prediction.metrics.update(values)

    def _finish(self, prediction: Prediction, status: str, error: str | None = None) -> None:
        # Here, not in an error branch: a model that fails because it was canceled was canceled.
        if status == "failed" and prediction.canceled.is_set():
            status, error = "canceled", None
        if prediction.is_final:
            return
        if error:
            prediction.add_log(f"{error}\n")
        prediction.finish(status, now(), error)
        del self._unfinished[prediction.id]
        if handle := self._deadlines.pop(prediction.id, None):
            handle.cancel()
        self._predictions.finished(prediction)
