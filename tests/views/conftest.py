"""A front end for the views: what a shell displays, and what widgets send and hear."""

from __future__ import annotations

import atexit
import json
import uuid

import comm
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config


@pytest.fixture
def displayed(tmp_path, monkeypatch):
    """What a shell's front end has received."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    fresh = not InteractiveShell.initialized()
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    with capture_output() as captured:
        yield lambda: captured.outputs
    if fresh:
        shell.restore_sys_module_state()
        InteractiveShell.clear_instance()
        atexit.unregister(shell.atexit_operations)  # a collection of all garbage, for each shell


class Comm:
    """A comm whose other end is the test.

    Attributes:
        opened: the state with which the widget began.
        frames: what was sent as messages, as a page reads it, each with its buffers.
        updates: how often the widget sent its traits by itself.
        is_open: whether it has not been closed.
    """

    kernel = "there is one"

    def __init__(self, **opening):
        self.comm_id = uuid.uuid4().hex
        self.opened = opening["data"]["state"]
        self.frames = []
        self.updates = 0
        self.is_open = True
        self._heard_by = None

    def send(self, data, buffers=None, **_):
        if data["method"] == "custom":
            self.frames.append((json.loads(json.dumps(data["content"])), buffers or []))
        else:
            self.updates += 1

    def on_msg(self, callback):
        self._heard_by = callback

    def says(self, **content):
        """Let the widget hear a message of the page's."""
        data = {"method": "custom", "content": content}
        self._heard_by({"content": {"data": data}, "buffers": []})

    def close(self, *_, **__):
        self.is_open = False


@pytest.fixture
def comms(monkeypatch):
    """The comms that widgets have opened, in order; `comms.kind` is the class of the next."""
    opened = Comms()
    monkeypatch.setattr(comm, "create_comm", opened.create)
    return opened


class Comms:
    """All comms of a test."""

    def __init__(self):
        self.kind = Comm
        self._opened = []

    def create(self, **opening):
        self._opened.append(self.kind(**opening))
        return self._opened[-1]

    @property
    def cards(self):
        """The comms of cards; a widget's layout has one of its own."""
        return [one for one in self._opened if "_esm" in one.opened]

    @property
    def are_open(self):
        """Whether any is."""
        return any(one.is_open for one in self._opened)
