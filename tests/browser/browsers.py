"""JupyterLab and Notebook in a real browser, with a Replicate of the tests' own behind the kernel.

Screenshots go to the folder that REPLICATE_MAGIC_SCREENSHOTS names, or to the test's own.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from front_end import WAIT_S, Notebook
from jupyter_app import ARGUMENTS, CHROMIUM, Kind, Server
from replicate_server import Replicate


@pytest.fixture(scope="session")
def installed():
    """Skips where there is nothing to drive; fails where the browser is required."""
    modules = ("playwright", "jupyterlab", "notebook")
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    missing += [] if Path(CHROMIUM).exists() else [CHROMIUM]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("REPLICATE_MAGIC_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(installed):
    """One Chromium for a module.

    Not for the session: Playwright's synchronous API leaves its event loop running in this thread,
    and `asyncio.run` of any test outside this folder would refuse to start a second one.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def expect(installed):
    """Playwright's `expect`, patient; a module that imports it could not be collected without."""
    from playwright.sync_api import expect as playwrights

    playwrights.set_options(timeout=WAIT_S * 1000)
    return playwrights


@pytest.fixture(scope="session")
def servers(installed, tmp_path_factory):
    """The server of a kind, started when it is first asked for."""
    running = {}

    def server(kind):
        if kind not in running:
            running[kind] = Server(kind, tmp_path_factory.mktemp(kind.application))
        return running[kind]

    yield server
    for one in running.values():
        one.stop()


@pytest.fixture
def replicate():
    with Replicate() as server:
        yield server


@pytest.fixture
def open_notebook(browser, servers, replicate, tmp_path):
    """Opens cells in a page of their own; its kernel talks to `replicate`."""
    opened = []
    variables = {
        "REPLICATE_BASE_URL": replicate.url,
        "REPLICATE_API_TOKEN": replicate.token,
        "REPLICATE_MAGIC_HOME": str(tmp_path / "home"),
    }
    shots = Path(os.environ.get("REPLICATE_MAGIC_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)

    def open_(cells, application="lab", *, width=1200, height=900, **kind):
        server = servers(Kind(application=application, **kind))
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(WAIT_S * 1000)
        notebook = Notebook(server, context, cells, shots=shots)
        opened.append(notebook)
        notebook.open(f"__import__('os').environ.update({variables!r})")
        return notebook

    yield open_
    for notebook in opened:
        notebook.close()
