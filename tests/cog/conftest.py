"""Cog servers that run the models of this folder, and a double for what no true one does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from cog_double import Double

from replicate_magic import session

HERE = Path(__file__).parent
TOKEN = "r8_made_up_for_the_tests"


@pytest.fixture(autouse=True)
def _own_home(home, monkeypatch):
    """A history of the test's own, a token that no Cog server may see, and nothing left over."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
    yield
    session.close()


@pytest.fixture
def double():
    with Double() as server:
        yield server
    assert TOKEN not in repr(server.requests)


@pytest.fixture(scope="session")
def writer(tmp_path_factory):
    with CogServer("writer", tmp_path_factory.mktemp("writer")) as server:
        server.until_it_says("READY")
        yield server


@pytest.fixture(scope="session")
def copier(tmp_path_factory):
    with CogServer("copier", tmp_path_factory.mktemp("copier")) as server:
        server.until_it_says("READY")
        yield server


@pytest.fixture
def serve(tmp_path):
    """Starts a server of the test's own; `environment` is for its model."""
    begun = []

    def start(model, **environment):
        begun.append(CogServer(model, tmp_path, **environment))
        return begun[-1]

    yield start
    for server in begun:
        server.kill()


class CogServer:
    """A true server in a process of its own; `log` is what it has printed."""

    def __init__(self, model, folder, **environment):
        pytest.importorskip("coglet")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        programs = Path(sys.executable).parent  # its workers are begun as `python`
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"],
                cwd=HERE / model, stdout=log, stderr=log,
                env={
                    **os.environ, **environment,
                    "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                    "PORT": str(self.port), "COG_PREDICT_TYPE_STUB": "run.py:Runner",
                },
            )  # fmt: skip

    def health(self):
        try:
            return httpx.get(f"{self.url}/health-check", timeout=10).json()["status"]
        except httpx.HTTPError:
            return "SILENT"

    def until_it_says(self, *statuses, within_s=30):
        end = time.monotonic() + within_s
        while self.health() not in statuses:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def until(condition, within_s=20):
    """Wait until it holds; what it holds."""
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found


@pytest.fixture(name="until")
def _until():
    return until
