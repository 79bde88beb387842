"""Processes of their own that run predictions, told what by a line, and answering with one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import replicate_magic as rm

HERE = Path(__file__).parent
ROOT = Path(rm.__file__).parents[1]


class Process:
    """One of the scripts beside this, with the home and the server of the test.

    Args:
        script: its name.
        env: what its environment has besides ours.
    """

    def __init__(self, script, **env):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, HERE / script], stdin=pipe, stdout=pipe, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        )  # fmt: skip
        self.says()

    def tell(self, word):
        """Hand it a line."""
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def ask(self, word):
        """What it says to a line."""
        self.tell(word)
        return self.says()

    def says(self):
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        return line

    def interrupt(self):
        self.send(signal.SIGINT)
        return time.monotonic()

    def send(self, which):
        self._process.send_signal(which)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
