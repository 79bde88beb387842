"""A process of its own that begins runs and batches in forks, which are there to be killed.

Each line of its input is `run` or `batch`, and what the prompts begin with; each line of its output
is the process that runs it. Nothing of ours has begun before a fork: what is loaded is shared.
"""

from __future__ import annotations

import os
import signal
import sys

import replicate_magic as rm
from replicate_magic import batches, batching, runner, session  # noqa: F401  (to be loaded once)

print("ready", flush=True)
while line := sys.stdin.readline():
    pid = os.fork()
    if pid == 0:
        what, prompt = line.strip().split(maxsplit=1)
        if what == "run":
            rm.run("acme/poet", prompt=prompt)
        else:
            rows = [f"{prompt} {number}" for number in range(3)]
            rm.batch("acme/poet", rows=rows, prompt="{{row}}", concurrency=2)
        signal.pause()  # it ends by being killed, and in no other way
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
