"""Completion in IPython in a real terminal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX"),
]


class Terminal:
    """IPython, and whoever types at it."""

    def __init__(self, environment):
        import pty
        import termios

        self._end, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (30, 120))
        command = [sys.executable, "-m", "IPython"]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        self._process = subprocess.Popen(
            command, env=environment, start_new_session=True, **streams
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text):
        os.write(self._end, text.encode())

    def wait_for(self, text, within_s=20):
        """Wait until a text is shown, behind the one before."""
        until_s = time.monotonic() + within_s
        while text not in self.shown:
            ready, _, _ = select.select([self._end], [], [], until_s - time.monotonic())
            assert ready, self.shown
            piece = os.read(self._end, 65_536).decode(errors="replace")
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", piece)
        self.shown = self.shown.partition(text)[2]

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._end)


@pytest.fixture
def terminal(tmp_path):
    names = {
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody answers where the cursor is
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "REPLICATE_MAGIC_HOME": str(tmp_path / "home"),
    }
    opened = Terminal({**os.environ, **names})
    yield opened
    opened.close()


def test_models_and_inputs_are_completed(terminal):
    terminal.wait_for("In [1]:")
    terminal.type("%%replicate waif\t")
    terminal.wait_for("local/waifu2x")
    terminal.type(" noi\t")
    terminal.wait_for("noise=")
    terminal.type("2 st\t")
    terminal.wait_for("style=")
    terminal.type("\x15%replicate exp\t")
    terminal.wait_for("explore")
    terminal.wait_for("export")
    terminal.type("\t")
    terminal.wait_for("a live table: type jq, see what it keeps, open a run, take the table along")
