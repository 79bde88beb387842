"""A notebook that is open in a page of JupyterLab or Notebook.

```python
nb = Notebook(server, context, ["print('hello')"], shots=folder)
nb.open()                                                   # its kernel has started
nb.run(0)
nb.wait_idle()
assert nb.output(0).inner_text() == "hello"
nb.close()
```

The page is steered by the application's own commands, but never waited for inside an `evaluate`,
which knows no deadline: the page keeps the answer, and we poll for it.
"""

from __future__ import annotations

import itertools
import json
import re

import nbformat

OUTSIDE = re.compile(r"^(?!https?://(127\.0\.0\.1|localhost)[:/])(?!data:|blob:|about:)")
WAIT_S = 60.0  # two cores, and others at work on them

# Put into each page before its own scripts. `window.jupyterapp` is there in both applications
# because of `expose_app_in_browser`.
RIG = """
window.rig = {
  running: 0,  // cells we asked for; a kernel's status is also "idle" when only a subshell is
  answers: {},
  panel() {
    const shell = window.jupyterapp?.shell;
    return shell && [...shell.widgets("main")].find((one) => one.sessionContext && one.context);
  },
  kernel() {
    return this.panel()?.sessionContext.session?.kernel;
  },
  isThere(cells, light) {
    const panel = this.panel();
    return Boolean(
      panel?.context.isReady && this.kernel() && panel.isVisible &&
      panel.content.widgets.length >= cells &&
      panel.content.widgets.every((cell) => cell.isAttached && !cell.isPlaceholder()) &&
      document.body.dataset.jpThemeLight === String(light)
    );
  },
  toFront(index) {
    const { content, id } = this.panel();
    jupyterapp.shell.activateById(id);
    content.deselectAll();
    content.activeCellIndex = index;
    return jupyterapp.shell.currentWidget === this.panel();
  },
  async run(command) {
    this.running += 1;
    try {
      await jupyterapp.commands.execute(command);
    } finally {
      this.running -= 1;
    }
  },
  async value(expression) {
    const content = { code: "", silent: true, user_expressions: { it: expression } };
    let reply;
    do {  // what waits behind a cell that fails is aborted
      reply = (await this.kernel().requestExecute(content).done).content;
    } while (reply.status === "aborted");
    const it = reply.user_expressions.it;
    if (it.status !== "ok") throw new Error(`${it.ename}: ${it.evalue}`);
    return it.data["text/plain"];
  },
  keep(name, promise) {
    promise.then(
      (value) => { this.answers[name] = { value: value ?? null }; },
      (error) => { this.answers[name] = { error: String(error) }; },
    );
  },
};
"""


class Notebook:
    """A notebook that is open in a page, with a kernel of its own.

    Attributes:
        page: Playwright's page.
        url: where it is, without a token.
        file: the notebook on disk.
        outside: URLs of requests to anywhere but this machine; all of them were aborted.
        received: sizes in bytes of the WebSocket frames that came from the kernel.
        page_errors: what the page did not catch. Notebook 7.6 has one of its own, about 'schema'.
    """

    _numbers = itertools.count(1)

    def __init__(self, server, context, cells, *, shots):
        name = f"notebook-{next(self._numbers)}.ipynb"
        self._server, self._context, self._cells, self._shots = server, context, len(cells), shots
        self._questions = itertools.count()
        self._setup = "0"
        self._reloaded = False
        self.url, self.file = server.url(name), server.notebooks / name
        self.outside, self.received, self.page_errors = [], [], []
        _write(self.file, cells)
        context.add_init_script(RIG)
        context.route(OUTSIDE, self._refuse)
        self.page = context.new_page()
        self.page.on("websocket", self._listen)
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())  # "Leave this page?"

    def open(self, setup="0"):
        """Go there; the kernel evaluates an expression before its first cell, now and restarted."""
        self._setup = setup
        self.page.goto(self._server.door(self.file.name), wait_until="commit")
        self._wait_there()
        self._wait_started()
        if self._server.kind.subshells == "disabled":  # Notebook 7.6 does not read its setting
            self.page.evaluate("void (rig.kernel().commsOverSubshells = 'disabled')")

    # -- the kernel --------------------------------------------------------------------------

    def value(self, expression, timeout_s=WAIT_S):
        """The `repr` of an expression in the kernel, once what runs is done; no cell shows it."""
        return self._answer(f"rig.value({json.dumps(expression)})", timeout_s)

    def run(self, i):
        """Run a cell as its user does; it is not waited for."""
        self._command("notebook:run-cell", i)

    def run_all(self):
        self._command("notebook:run-all-cells", 0)

    def wait_idle(self, timeout_s=WAIT_S):
        """Wait until all that was started has ended.

        A reloaded page has forgotten what it had started, and the kernel's status is that of its
        subshells too: then the main shell is asked, which answers when it is free.
        """
        self._wait_for("rig.running === 0", timeout_s)
        if self._reloaded:
            self.value("0", timeout_s)
            self._reloaded = False

    def interrupt(self):
        """The square button."""
        self._command("notebook:interrupt-kernel", 0)

    def restart(self):
        """Restart the kernel without being asked whether, and set it up again."""
        self._answer("rig.panel().sessionContext.restartKernel()")
        self._wait_started()

    def _command(self, command, i):
        self._wait_for(f"rig.toFront({i})")
        self.page.evaluate(f"void rig.run({json.dumps(command)})")

    # -- what is seen ------------------------------------------------------------------------

    def output(self, i):
        """Locator of the output area of a cell."""
        cell = self.page.locator(".jp-Notebook .jp-Notebook-cell").nth(i)
        return cell.locator(".jp-Cell-outputArea")

    def error_text(self, i):
        """The traceback that a cell shows, or an empty string if it has ended without one."""
        kept = self.page.evaluate(f"rig.panel().content.widgets[{i}].model.outputs.toJSON()")
        kinds = [one["output_type"] for one in kept]
        if "error" not in kinds:
            return ""
        shown = self.output(i).locator(":scope > .jp-OutputArea-child")
        return shown.nth(kinds.index("error")).inner_text()

    def second_view(self, i):
        """Lab's "Create New View for Cell Output"; Locator of the view, below the notebook."""
        assert self._server.kind.application == "lab", "Notebook shows one document, once"
        views = self.page.locator(".jp-LinkedOutputView")
        count = views.count()
        self.page.evaluate("void (jupyterapp.shell.mode = 'multiple-document')")
        self._command("notebook:create-output-view", i)
        views.nth(count).wait_for()
        return views.nth(count)

    def shot(self, name):
        """A picture of the page as it is now; its path."""
        file = self._shots / f"{name}.png"
        self.page.screenshot(path=file)
        return file

    def shot_of(self, i, name):
        """A picture of a cell with its output as they are now; its path."""
        file = self._shots / f"{name}.png"
        self.page.locator(".jp-Notebook .jp-Notebook-cell").nth(i).screenshot(path=file)
        return file

    # -- the document ------------------------------------------------------------------------

    def reload(self):
        """Load the page again; what was not saved is lost. The kernel goes on, and may be busy.

        By its first URL: Lab has another once there is a second view, and forgets the notebook.
        """
        self._reloaded = True
        self.page.goto(self.url, wait_until="commit")
        self._wait_there()

    def save(self):
        self._answer("rig.panel().context.save()")

    def saved(self):
        """The notebook on disk."""
        return nbformat.read(self.file, as_version=4)

    def close(self):
        self._context.close()
        self._server.end_kernels(self.file.name)

    # -- the page ----------------------------------------------------------------------------

    def _wait_there(self):
        light = json.dumps(self._server.kind.theme == "light")
        self._wait_for(f"window.rig?.isThere({self._cells}, {light})")

    def _wait_started(self):
        self._wait_for("rig.kernel()?.status === 'idle'")
        self.value(self._setup)

    def _wait_for(self, condition, timeout_s=WAIT_S):
        self.page.wait_for_function(f"() => {condition}", timeout=timeout_s * 1000, polling=50)

    def _answer(self, promise, timeout_s=WAIT_S):
        """What a promise in the page comes to."""
        name = f"answer-{next(self._questions)}"
        self.page.evaluate(f"rig.keep('{name}', {promise})")
        self._wait_for(f"rig.answers['{name}']", timeout_s)
        answer = self.page.evaluate(f"rig.answers['{name}']")
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def _refuse(self, route):
        self.outside.append(route.request.url)
        route.abort()

    def _listen(self, socket):
        if OUTSIDE.match(socket.url.replace("ws", "http", 1)):
            self.outside.append(socket.url)
        if "/channels" in socket.url:
            socket.on("framereceived", lambda data: self.received.append(_size_bytes(data)))


def _size_bytes(frame):
    return len(frame.encode() if isinstance(frame, str) else frame)


def _write(file, cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    code = [nbformat.v4.new_code_cell(source) for source in cells]
    notebook = nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": kernel})
    nbformat.write(notebook, file)
