"""Real kernels: executed as tools execute notebooks, and as a page at the other end drives them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from replicate_server import Replicate


@pytest.fixture
def replicate():
    with Replicate() as server:
        yield server


@pytest.fixture
def environment(replicate, tmp_path):
    """The environment of a kernel that talks to the tests' own server."""
    return {
        **os.environ,
        "REPLICATE_BASE_URL": replicate.url,
        "REPLICATE_API_TOKEN": replicate.token,
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }


@dataclass
class Outputs:
    """What one cell left."""

    raw: list

    @property
    def bundles(self):
        """The MIME bundles that are shown, in order."""
        return [one["data"] for one in self.raw if "data" in one]

    @property
    def text(self):
        """All that a reader without HTML sees."""
        texts = [one["data"].get("text/plain", "") for one in self.raw if "data" in one]
        return "\n".join([self.printed, *texts]).strip()

    @property
    def printed(self):
        return "".join(one["text"] for one in self.raw if one["output_type"] == "stream")

    @property
    def error(self):
        """The error, as `name: value`, or `None`."""
        found = [one for one in self.raw if one["output_type"] == "error"]
        return f"{found[0]['ename']}: {found[0]['evalue']}" if found else None

    @property
    def traceback(self):
        return "\n".join(next(one["traceback"] for one in self.raw if "traceback" in one))

    @property
    def told(self):
        """The traceback on one line, however it was wrapped."""
        return " ".join(self.traceback.split())


@pytest.fixture
def execute(environment):
    """Executes cells with nbclient, with nobody watching; what each one left."""

    def run(*cells, env=None, stop=False):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        client = NotebookClient(notebook, timeout=60, allow_errors=not stop, kernel_name="python3")
        client.execute(env={**environment, **(env or {})})
        return [Outputs(cell.outputs) for cell in notebook.cells]

    return run


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel of a module's own, as nbclient starts it."""
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=60, allow_errors=True)
    client.reset_execution_trackers()
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    with client.setup_kernel(env=environment):
        yield client


ANEW = """%reset -f
import os, replicate_magic.session
replicate_magic.session.close()
os.environ.update({})
del os, replicate_magic"""


@pytest.fixture
def execute_again(kernel, environment):
    """Does what `execute` does in the module's kernel, which has forgotten the earlier tests.

    Settings stay, and are for tests with a kernel of their own.
    """

    def run(*cells):
        code = [ANEW.format(environment), *cells]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in code])
        kernel.nb = notebook
        for index, cell in enumerate(notebook.cells):
            kernel.execute_cell(cell, index)
        assert not notebook.cells[0].outputs
        return [Outputs(cell.outputs) for cell in notebook.cells[1:]]

    return run


def outputs_of(messages):
    """The outputs as a page ends up with them: updates replace what they name."""
    outputs, places = [], {}
    for message in messages:
        content = message["content"]
        name = content.get("transient", {}).get("display_id")
        if message["msg_type"] == "update_display_data":
            if name in places:
                outputs[places[name]] = {"output_type": "display_data", **content}
        elif message["msg_type"] in {"display_data", "execute_result", "stream", "error"}:
            places[name] = len(outputs)
            outputs.append({"output_type": message["msg_type"], **content})
    return Outputs(outputs)


@dataclass
class Page:
    """The page's side of a kernel: runs cells, sees every message, may interrupt."""

    manager: object
    client: object
    in_browser: bool
    messages: list = field(default_factory=list)
    all: list = field(default_factory=list)

    def start(self, code):
        """Run a cell and do not wait for it."""
        message = self.client.session.msg("execute_request", {
            "code": code, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": True, "stop_on_error": False,
        })  # fmt: skip
        if self.in_browser:
            message["metadata"] = {"cellId": "a-cell"}
        self.messages = []
        self.client.shell_channel.send(message)
        self._asked = message["header"]["msg_id"]

    def wait(self, until=lambda _: False, timeout_s=30):
        """Read messages until one fits, or the cell is done; what came so far."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=deadline - time.monotonic())
            self.all.append(message)
            if message["parent_header"].get("msg_id") != self._asked:
                continue
            self.messages.append({**message, "came_s": time.monotonic()})
            idle = message["msg_type"] == "status"
            if until(message) or (idle and message["content"]["execution_state"] == "idle"):
                return self.messages
        raise TimeoutError([message["msg_type"] for message in self.messages])

    def run(self, code):
        self.start(code)
        return self.wait()

    def shown_of(self, messages):
        """What an earlier cell shows, with what was updated since."""
        updates = [one for one in self.all if one["msg_type"] == "update_display_data"]
        return outputs_of([*messages, *updates])

    @property
    def frames(self):
        """What the card was sent, in order."""
        data = [one["content"]["data"] for one in self.messages if one["msg_type"] == "comm_msg"]
        return [one["content"] for one in data if one.get("method") == "custom"]

    @property
    def card_text(self):
        """The answer as the card has it."""
        text = ""
        for frame in self.frames:
            offset, more = frame.get("text", (len(text), ""))
            assert "edition" in frame or offset == len(text)
            text = text[:offset] + more
        return text

    def tell_card(self, subshell=None, **content):
        """What the page says to the newest card, such as a click, by a subshell of the kernel."""
        comm_id = next(
            one["content"]["comm_id"]
            for one in reversed(self.messages)
            if one["msg_type"] == "comm_msg"
        )
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if subshell:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def shown(self):
        """What the newest cell shows."""
        return outputs_of(self.messages)

    def value(self, expression):
        """The `repr` of an expression in the kernel."""
        self.run(f"print(repr(({expression})))")
        return self.shown().printed.strip()


@pytest.fixture
def page(environment):
    yield from _page(environment, in_browser=True)


@pytest.fixture
def console(environment):
    yield from _page(environment, in_browser=False)


def _page(environment, *, in_browser):
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    yield Page(manager, client, in_browser)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
