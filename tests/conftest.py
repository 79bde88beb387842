"""What all tests share: no account of the developer's, and one embedded engine."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import platformdirs
import pytest

from replicate_magic.local import serve

MODEL = "local/smollm2-135m-instruct"

if threading.current_thread() is threading.main_thread():
    # A shell that runs the tests in the background has had interrupts ignored, children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _name in ("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL"):
    os.environ.pop(_name, None)  # a test must never run on somebody's account


def _home_of_our_own():
    """A home without the developer's history, with their model weights: those are a download."""
    kept = os.environ.get("REPLICATE_MAGIC_HOME") or platformdirs.user_data_path(
        "replicate_magic", appauthor=False
    )
    models = Path(kept) / "models"
    models.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="replicate-magic-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    home.joinpath("models").symlink_to(models, target_is_directory=True)
    return home


os.environ["REPLICATE_MAGIC_HOME"] = str(_home_of_our_own())
os.environ["XDG_CONFIG_HOME"] = os.environ["REPLICATE_MAGIC_HOME"]  # no login of the Replicate CLI
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of this test's own, without any history."""
    folder = tmp_path / "home"
    monkeypatch.setenv("REPLICATE_MAGIC_HOME", str(folder))
    return folder


@pytest.fixture
def common_folder():
    """A folder that everybody may enter, within none that only its owner may."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)  # to be removed


@pytest.fixture
def as_nobody():
    """Within the block even root is refused what others are."""

    @contextmanager
    def nobody():
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if is_root:
                os.seteuid(0)

    return nobody


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    """No model of an earlier test's: this one's server may have its port."""
    shutil.rmtree(Path(os.environ["REPLICATE_MAGIC_HOME"]) / "schemas", ignore_errors=True)


@pytest.fixture(scope="session")
def engine():
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def model_runs(engine):
    """Why the model cannot run here, or None; its weights are fetched on the way."""
    if not importlib.util.find_spec("xllamacpp"):
        return "xllamacpp is not installed"
    headers = {"authorization": f"Bearer {engine.token}", "prefer": "wait=60"}
    url = f"{engine.base_url}/v1/models/{MODEL}/predictions"
    body = {"input": {"prompt": "Hi.", "max_tokens": 1}}
    for _ in range(5):  # a slow connection may take longer than one answer waits
        raw = httpx.post(url, json=body, headers=headers, timeout=90).json()
        if raw["status"] in {"succeeded", "failed"}:
            break
    return raw["error"]


@pytest.fixture(autouse=True)
def _needs_model(request):
    """Tests marked `model` skip with the reason; they fail where the model is required."""
    if request.node.get_closest_marker("model") is None:
        return
    if reason := request.getfixturevalue("model_runs"):
        if os.environ.get("REPLICATE_MAGIC_REQUIRE_MODEL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
