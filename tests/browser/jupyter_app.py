"""JupyterLab and Notebook as servers of the tests' own, and how Chromium is started."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from front_end import WAIT_S

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--no-proxy-server",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    # what a route does not see, such as the browser's own requests, has nowhere to go either
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a server is chosen by: one is started for each that a test asks for."""

    application: str = "lab"  # or "notebook"
    subshells: str = "default"  # or "disabled": comms then queue behind the running cell
    theme: str = "light"  # or "dark"
    widgets: bool = True  # whether the server has anywidget's extension, as the kernel does

    @property
    def settings(self):
        """What differs from an application as it comes, by plugin."""
        plugins = {
            # cells out of sight would not be in the DOM
            "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
            "@jupyterlab/apputils-extension/notification": {
                "fetchNews": "false",
                "checkForUpdates": False,
            },
        }
        if self.subshells != "default":
            kernels = {"commsOverSubshells": self.subshells}
            plugins["@jupyterlab/apputils-extension/kernels-settings"] = kernels
        if self.theme == "dark":
            plugins["@jupyterlab/apputils-extension/themes"] = {"theme": "JupyterLab Dark"}
        return plugins


class Server:
    """A running `jupyter lab` or `jupyter notebook` that shares nothing with the developer's."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.notebooks = folder / "notebooks"
        self._token = secrets.token_hex(16)
        self._log = folder / "log.txt"
        self._runtime = folder / "runtime"
        self.notebooks.mkdir(parents=True)
        self._settle(folder / "settings")
        if not kind.widgets:
            page = folder / "config" / "labconfig" / "page_config.json"
            page.parent.mkdir(parents=True)
            page.write_text('{"disabledExtensions": {"anywidget": true}}', encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), env=_environment(folder), stdout=log, stderr=log
            )
        try:
            url = poll(self._address, "the server's address")
            token = {"authorization": f"token {self._token}"}
            self.http = httpx.Client(base_url=url, headers=token, timeout=WAIT_S, trust_env=False)
            poll(self._answers, "the server's first answer")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _command(self):
        module, app = {
            "lab": ("jupyterlab", "LabApp"),
            "notebook": ("notebook", "JupyterNotebookApp"),
        }[self.kind.application]
        return [
            sys.executable, "-m", module, "--no-browser", "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",  # a free one; the server tells which in its runtime folder
            f"--ServerApp.root_dir={self.notebooks}",
            f"--IdentityProvider.token={self._token}",
            f"--{app}.expose_app_in_browser=True",
        ]  # fmt: skip

    def _settle(self, folder):
        for plugin, values in self.kind.settings.items():
            file = folder / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), encoding="utf-8")

    def _address(self):
        if self._process.poll() is not None:
            raise RuntimeError(self._log.read_text(encoding="utf-8")[-2000:])
        for file in self._runtime.glob("jpserver-*.json"):
            with suppress(ValueError):  # half written
                return json.loads(file.read_text(encoding="utf-8"))["url"]
        return None

    def _answers(self):
        with suppress(httpx.ConnectError):
            return self.http.get("api/status").is_success
        return False

    def path(self, name):
        """Where a notebook is opened by itself; a workspace of its own keeps other tabs out."""
        if self.kind.application == "notebook":
            return f"notebooks/{name}"
        return f"doc/workspaces/{Path(name).stem}/tree/{name}"

    def url(self, name):
        return f"{self.http.base_url}{self.path(name)}"

    def door(self, name):
        """The URL that lets a new browser context in."""
        return f"{self.url(name)}?token={self._token}"

    def end_kernels(self, name):
        """Shut down what runs for a notebook, whatever its page is doing."""
        for session in self.http.get("api/sessions").json():
            if session["path"] == name:
                self.http.delete(f"api/sessions/{session['id']}")

    def stop(self):
        self.http.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment(folder):
    """Ours, with all of Jupyter's and IPython's folders in a temporary one."""
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    ours = {name: str(folder / place) for name, place in places.items()}
    return {**os.environ, **ours, "JUPYTER_PREFER_ENV_PATH": "1"}


def poll(found, what, timeout_s=WAIT_S):
    """Ask until there is an answer; what it is."""
    deadline = time.monotonic() + timeout_s
    while not (answer := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {timeout_s:.0f} s")
        time.sleep(0.05)
    return answer
