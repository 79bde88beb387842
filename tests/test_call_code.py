"""A run written as code: each of the three is run, and has to ask for the very same."""

from __future__ import annotations

import base64
import gc
import json
import shlex
import shutil
import subprocess
import warnings
from urllib.parse import urlsplit

import httpx
import pytest
from IPython.core.interactiveshell import InteractiveShell
from replicate_server import CONCATENATED, OLDER, Model, Replicate, openapi

import replicate_magic as rm
from replicate_magic.call_code import ENGINE_BASE, Call, write_code
from replicate_magic.cell.plan import read_target
from replicate_magic.notebook import magics

HOSTILE = (
    "it's \"quoted\" `id` $HOME $(id) \\ back! \u00fc {{x}}\nJSON\n---\n'''\x1b[31m\u202ertl\x00"
)
INPUTS = {
    "prompt": {"type": "string"},
    "temperature": {"type": "number", "default": 1},
    "options": {"type": "object"},
    "image": {"type": "string", "format": "uri"},
}


@pytest.fixture
def replicate(home, monkeypatch):
    with Replicate() as server:
        for name, official in (("acme/poet", True), ("acme/sketch", False)):
            schema = openapi(CONCATENATED, **INPUTS)
            server.models[name] = Model(official=official, schema=schema)
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", server.token)
        yield server


@pytest.fixture
def shell():
    shell = InteractiveShell()
    magics.load(shell)
    yield shell
    magics.unload(shell)


def run_curl(code, token):
    """Run it as a shell does; without curl, as a shell would have taken it apart."""
    if shutil.which("curl") and shutil.which("bash"):
        done = subprocess.run(
            ["bash", "-s"], input=code, capture_output=True, text=True, check=True, timeout=20
        )
        assert not done.stderr
        return
    words = shlex.split(code.replace("$REPLICATE_API_TOKEN", token), comments=True)
    headers = dict(words[n + 1].split(": ", 1) for n, word in enumerate(words) if word == "-H")
    url = next(word for word in words if word.startswith("http"))
    httpx.post(url, headers=headers, content=words[words.index("-d") + 1].encode())


def run_python(code):
    """Run it; it leaves its file and its connection to the end of the process, as scripts do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        exec(code, {})
        gc.collect()


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("acme/poet", "/v1/models/acme/poet/predictions"),
        ("acme/sketch", "/v1/predictions"),
        (f"acme/sketch:{OLDER}", "/v1/predictions"),
        ("deployment:acme/prod", "/v1/deployments/acme/prod/predictions"),
    ],
)
def test_curl_python_and_the_cell_ask_for_the_same(replicate, shell, model, path):
    values = {"temperature": 1, "options": {"a": [1, None, "'"], "{{b}}": True}, "image": b"\x00x"}
    run = rm.run(model, prompt=HOSTILE, **values)
    code = rm.code(run.id)
    run_curl(code.curl, replicate.token)
    run_python(code.python)
    shell.run_cell(code.cell).raise_error()
    first, *others = replicate.seen("create")

    assert first.path == path
    assert [(one.path, one.json) for one in others] == [(path, first.json)] * 3
    assert first.json["input"]["prompt"] == HOSTILE
    assert replicate.token not in str(code)
    assert not {"\x1b", "\u202e"} & {*code.curl, *code.python, *code.cell, *str(code)}


def test_a_prompt_too_long_for_an_argument_still_runs(replicate, shell):
    prompt = "it's `long` " * 12_000
    run = rm.run("acme/poet", prompt=prompt)
    code = rm.code(run.id)
    if shutil.which("curl"):
        run_curl(code.curl, replicate.token)
        assert replicate.seen("create")[1].json == replicate.seen("create")[0].json
    shell.run_cell(code.cell).raise_error()

    assert replicate.seen("create")[-1].json == replicate.seen("create")[0].json


def test_a_large_file_is_a_name_and_a_comment_says_so(replicate, shell, tmp_path, monkeypatch):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(9_000)
    run = rm.run("acme/poet", prompt="Hi.", image=picture)
    code = rm.code(run.id)
    (tmp_path / "image.png").write_bytes(picture)
    monkeypatch.chdir(tmp_path)
    run_python(code.python)
    shell.run_cell(code.cell).raise_error()
    first, of_python, of_cell = replicate.seen("create")

    assert code.curl.startswith("# image.png stands for the file that was sent")
    assert '"image": "image.png"' in code.curl
    assert base64.b64encode(picture).decode()[:4_000] not in code.curl + code.python + code.cell
    assert of_cell.json == first.json
    assert of_python.json["input"].keys() == first.json["input"].keys()
    assert replicate.uploaded[-1][2] == picture  # which the official client sends ahead
    assert code.notes == ("image.png is the file that was sent: save it under that name.",)


def test_an_engine_and_a_cog_server_have_their_own_addresses():
    inputs = {"prompt": "it's"}
    local = write_code(
        Call(target=read_target("local/x"), version=None, base=ENGINE_BASE, inputs=inputs)
    )
    cog = write_code(
        Call(
            target=read_target("http://localhost:5000"),
            version=None,
            base="http://localhost:5000",
            inputs=inputs,
        )
    )
    words = shlex.split(cog.curl)

    assert "python -m replicate_magic.local --port 8000" in local.curl
    assert "http://127.0.0.1:8000/v1/models/local/x/predictions" in local.curl
    assert 'base_url="http://127.0.0.1:8000"' in local.python
    assert urlsplit(words[4]).path == "/predictions"
    assert "REPLICATE_API_TOKEN" not in cog.curl + cog.python
    assert json.loads(words[-1]) == {"input": inputs}
    assert cog.cell == "%%replicate http://localhost:5000\nit's"
    compile(cog.python, "python", "exec")


@pytest.mark.model
@pytest.mark.slow
def test_the_code_of_an_engine_that_was_started_by_hand_runs(engine, shell, home, monkeypatch):
    monkeypatch.setenv("REPLICATE_BASE_URL", engine.base_url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", engine.token)
    run = rm.run("local/smollm2-135m-instruct", prompt="it's", max_tokens=2, seed=1)
    code = rm.code(run.id)
    run_curl(code.curl, engine.token)
    run_python(code.python)
    shell.run_cell(code.cell).raise_error()
    listed = httpx.get(
        f"{engine.base_url}/v1/predictions", headers={"authorization": f"Bearer {engine.token}"}
    ).json()["results"]

    assert [one["input"] for one in listed[:4]] == [run.input] * 4
    assert engine.token not in str(code)
