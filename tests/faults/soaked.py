"""A process of its own that runs very many predictions, and measures itself.

Its last line is JSON: how each run came out, and what the process holds before the first run, after
a fifth of them, after all of them, and once the package has been closed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from contextlib import suppress

import psutil

import replicate_magic as rm
from replicate_magic import bridge, session

AT_ONCE = 40


def held():
    """What this process holds while nothing of it runs."""
    gc.collect()
    loops = [one.loop for one in bridge._LOOPS.values() if not one.loop.is_closed()]
    me = psutil.Process()
    return {
        "threads": threading.active_count(),
        "tasks": sum(len(asyncio.all_tasks(loop)) for loop in loops),
        "handles": me.num_handles() if sys.platform == "win32" else me.num_fds(),
        "sockets": len(me.net_connections()),
        "rss_bytes": me.memory_info().rss,
    }


async def one(number, gate):
    async with gate:
        try:
            prediction = await rm.arun("acme/poet", prompt=f"run {number}.", timeout=60)
        except rm.ReplicateMagicError as error:
            prediction = getattr(error, "prediction", None)
            name = type(error).__name__
        else:
            name = ""
        return {"number": number, "error": name, "id": prediction and prediction.id}


async def some(numbers):
    gate = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(one(number, gate) for number in numbers))


def quiet():
    """What is held once the last answers are read and idle connections are closed again."""
    end_s = time.monotonic() + 7  # httpx closes a connection that was idle for 5 s at its next use
    while time.monotonic() < end_s:
        time.sleep(0.5)
    with suppress(rm.ReplicateMagicError):  # faults are everywhere
        rm.run("acme/poet", prompt="to tidy up")
    time.sleep(0.5)
    return held()


total = int(sys.argv[1])
asyncio.run(asyncio.to_thread(gc.collect))  # what asyncio itself loads and keeps
first = held()
outcomes = asyncio.run(some(range(total // 5)))
before = quiet()
outcomes += asyncio.run(some(range(total // 5, total)))
after = quiet()
session.close()
told = {"first": first, "before": before, "after": after, "closed": held(), "outcomes": outcomes}
print(json.dumps(told), flush=True)
