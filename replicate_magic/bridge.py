"""Owns the one loop thread and how callers enter it; must not know what runs there.

A blocking caller enters with `entered`, a context manager: leaving it, by whatever way, ends the
coroutine, and gives it a bounded time to clean up.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

T = TypeVar("T")
S = TypeVar("S")

SLICE_S = 0.1
"""How long a wait may last before the interpreter looks for an interrupt (Windows needs that)."""
CLEAN_UP_S = 4.8
"""How long an interrupted caller waits for the clean-up, in seconds."""
FRAME_S = 0.1
"""The time between two snapshots of a steady stream, in seconds."""
TICK_S = 1.0
"""After how many seconds without news the newest snapshot is given again, so that time is told."""
BURST = 5
"""How many snapshots may come at once after a quiet time, so that the first token is not late."""
APART = 4
"""How much of what takes long runs at once; what was given up counts until it ends."""


class Loop:
    """An event loop in a daemon thread of its own, started on first use."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._closing: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self.threads = ThreadPoolExecutor(APART, thread_name_prefix="replicate_magic-apart")
        self.turns = ThreadPoolExecutor(1, thread_name_prefix="replicate_magic-turns")
        _LOOPS[self.loop] = self
        self._thread = threading.Thread(target=self._run, name="replicate_magic", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def at_close(self, closer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Call `closer` on the loop before it ends."""
        self._closing.append(closer)

    def close(self) -> None:
        """Cancel what runs, close what was opened, end the thread; bounded in time."""
        if self.loop.is_closed():
            return
        done = asyncio.run_coroutine_threadsafe(self._wind_down(), self.loop)
        try:
            with suppress(concurrent.futures.TimeoutError):
                done.result(CLEAN_UP_S)
        finally:
            self.threads.shutdown(wait=False, cancel_futures=True)
            self.turns.shutdown(wait=False)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(CLEAN_UP_S)
            if not self._thread.is_alive():
                self.loop.close()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a call; on the loop's thread."""
        task = self.loop.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    def watch(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what follows a call to its end, and is not cancelled; on the loop's thread."""
        task = self.loop.create_task(work)
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)
        return task

    async def _wind_down(self) -> None:
        """Calls first: what works for them has to live while they clean up."""
        await _cancelled(self._calls)
        await asyncio.gather(*self._watches, return_exceptions=True)
        for closer in self._closing:
            await closer()
        await asyncio.gather(*self._watches, return_exceptions=True)  # those that closers began
        await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})


async def _cancelled(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    ending = [task for task in tasks if task]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


_LOOPS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = weakref.WeakKeyDictionary()


def here() -> Loop:
    """The loop that this runs on, also while it is being closed."""
    return _LOOPS[asyncio.get_running_loop()]


_STARTING = threading.Lock()  # `cache` alone would start a loop for each of several first callers


@cache
def _loop_of(pid: int) -> Loop:  # noqa: ARG001  (a forked child has no loop thread, and makes its own)
    loop = Loop()
    atexit.register(close)
    return loop


def the_loop() -> Loop:
    """The process's loop."""
    with _STARTING:
        return _loop_of(os.getpid())


def close() -> None:
    """End the loop and its thread, if there is one; the next use starts another."""
    if _loop_of.cache_info().currsize:
        loop = the_loop()
        _loop_of.cache_clear()
        atexit.unregister(close)
        loop.close()


class _Pace:
    """One frame each `FRAME_S`, and `BURST` of them at once after a quiet time."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long to wait after a frame at `now_s` before the next one, in seconds."""
        gained = (now_s - self._at_s) / FRAME_S
        self._left = min(self._left + gained, BURST) - 1
        self._at_s = now_s
        return max(1 - self._left, 0) * FRAME_S


class Call(Generic[S, T]):
    """A coroutine on the loop, and the newest snapshot it has published.

    Args:
        make: from the function that publishes snapshots to the coroutine.
    """

    def __init__(self, make: Callable[[Callable[[S], None]], Coroutine[Any, Any, T]]) -> None:
        self.latest: S | None = None
        self._make = make
        self._news = threading.Event()
        self._done = threading.Event()
        self._left = threading.Event()
        self._left.set()
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._task: asyncio.Task[None] | None = None
        self._cancelled = self._ending = False
        self._loop = the_loop()

    def start(self) -> None:
        """Begin."""
        self._loop.loop.call_soon_threadsafe(self._begin)

    def detach(self, update: Callable[[S], None], end: Callable[[], object]) -> None:
        """Begin, with nobody waiting; the end is the call's own, by `cancel`, or with the loop.

        Args:
            update: handed snapshots about ten times a second, on the loop's thread.
            end: called once, after the call's end, on a thread of its own.
        """
        self._left.clear()
        self.start()
        self._loop.loop.call_soon_threadsafe(lambda: self._loop.watch(self._watched(update, end)))

    def cancel(self) -> None:
        """Cancel the coroutine, from any thread; its clean-up still runs."""
        self._cancelled = True
        self.tell(self._end)

    def tell(self, word: Callable[[], object]) -> None:
        """Have the loop's thread call `word`, from any thread; not once the loop is closed."""
        with suppress(RuntimeError):
            self._loop.loop.call_soon_threadsafe(word)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the coroutine has ended; whether it has."""
        return self._done.wait(timeout_s)

    def left(self, timeout_s: float | None = None) -> bool:
        """Wait until whoever was told of it all has seen the end; whether that is so."""
        return self._left.wait(timeout_s)

    def result(self) -> T:
        """What the coroutine returned; its exception is raised."""
        return self._future.result()

    def at_end(self, tell: Callable[[], object]) -> None:
        """Call `tell` on the loop's thread when the coroutine has ended."""
        self._future.add_done_callback(lambda _: tell())

    def snapshots(self) -> Iterator[S]:
        """Snapshots as they are published, the newest only, about ten a second, and the last.

        Where there is no news, the newest comes again each `TICK_S`.
        """
        last: S | None = None
        given_s, pace = 0.0, _Pace()
        while not self._done.is_set():
            self._news.wait(SLICE_S)
            self._news.clear()
            newest, now_s = self.latest, time.monotonic()
            if newest is None or (newest is last and now_s - given_s < TICK_S):
                continue
            last, given_s = newest, now_s
            yield newest
            self._done.wait(pace.wait_s(now_s))
        if self.latest is not None and self.latest is not last:
            yield self.latest

    async def _watched(self, update: Callable[[S], None], end: Callable[[], object]) -> None:
        def see_the_end() -> None:
            try:
                end()
            finally:
                self._left.set()

        failed = await self._hand(update)
        await _on_a_thread(see_the_end)
        if failed:
            raise failed

    async def _hand(self, update: Callable[[S], None]) -> Exception | None:
        """Hand snapshots on, also the last; what `update` raised, which is called no more then."""
        last: S | None = None
        failed: Exception | None = None
        while True:
            over = self._done.is_set()
            if not failed and self.latest is not None and self.latest is not last:
                last = self.latest
                try:
                    update(last)
                except Exception as error:  # noqa: BLE001  (raised at the end)
                    failed = error
            if over:
                return failed
            await asyncio.sleep(FRAME_S)

    def _begin(self) -> None:
        if self._cancelled:
            self._finish(None)
            return
        self._task = self._loop.begin(self._run(self._make))
        del self._make  # with all that it holds: the call may be kept for long
        self._task.add_done_callback(self._finish)

    def _end(self) -> None:
        if self._task and not self._ending:  # once: what cleans up must not be cut off by a second
            self._ending = True
            self._task.cancel()

    async def _run(self, make: Callable[[Callable[[S], None]], Coroutine[Any, Any, T]]) -> None:
        self._future.set_result(await make(self._publish))

    def _publish(self, snapshot: S) -> None:
        self.latest = snapshot
        self._news.set()

    def _finish(self, task: asyncio.Task[None] | None) -> None:
        if task is None or task.cancelled():
            self._future.cancel()
        elif error := task.exception():
            self._future.set_exception(error)
        self._done.set()
        self._news.set()


async def _on_a_thread(work: Callable[[], object]) -> None:
    """So that the loop goes on; at the end of the interpreter no thread starts any more."""
    try:
        working = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        work()
    else:
        await working


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns; it runs on a thread, so that the loop goes on.

    Being cancelled ends the waiting: work that has not begun never does, and work that has goes on
    to its end, with nobody there to be told of it. At most `APART` run at once.
    """
    try:
        working = here().threads.submit(work)
    except RuntimeError as error:  # at the end of the interpreter no thread starts any more
        raise asyncio.CancelledError from error
    return await asyncio.wrap_future(working)


async def in_turn(work: Callable[[], T]) -> T:
    """What `work` returns; it runs on the one thread whose work is done in the order it came."""
    try:
        working = here().turns.submit(work)
    except RuntimeError:  # as above, and this has to be done
        return work()
    return await asyncio.wrap_future(working)


@contextmanager
def entered(call: Call[S, T]) -> Iterator[None]:
    """Run a call for a blocking caller.

    Leaving the block before the call's end cancels it and waits for its clean-up; a second
    interrupt ends that wait at once.
    """
    try:
        call.start()
        yield
    finally:
        if not call.wait(0):
            call.cancel()
            _wait_in_slices(call)


def _wait_in_slices(call: Call[Any, Any]) -> None:
    for _ in range(int(CLEAN_UP_S / SLICE_S)):
        if call.wait(SLICE_S):
            return


async def awaited(call: Call[S, T]) -> T:
    """Run a call for a caller on another loop.

    Being cancelled cancels the call, and waits for its clean-up.
    """
    here = asyncio.get_running_loop()
    ended = asyncio.Event()
    call.at_end(lambda: here.call_soon_threadsafe(ended.set))
    call.start()
    try:
        await ended.wait()
    except asyncio.CancelledError:
        call.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLEAN_UP_S):
                await ended.wait()
        raise
    return call.result()
