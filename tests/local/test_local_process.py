"""The engine as a process: it starts, and it always ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import replicate_magic
from replicate_magic.local import EngineError, serve

ROOT = Path(replicate_magic.__file__).parents[1]
posix_only = pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")


def gone(pid, within_s=5):
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        # A killed orphan may wait for its new parent to take notice.
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def run_python(code, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, **options
    )


def by_hand(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "replicate_magic.local", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **options,
    )


def exports(engine):
    """What an engine that was started by hand says that one should export."""
    engine.stdout.readline()
    lines = [engine.stdout.readline().strip() for _ in range(2)]
    return dict(line.removeprefix("export ").split("=") for line in lines)


def test_importing_the_room_imports_no_server():
    code = "import sys, replicate_magic.local; print('starlette' in sys.modules)"
    with run_python(code) as process:
        assert process.communicate()[0].strip() == b"False"


def test_an_engine_answers_at_its_base_url():
    with serve() as engine:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", engine.base_url)
        answer = httpx.get(
            f"{engine.base_url}/v1/account", headers={"authorization": f"Token {engine.token}"}
        )
    assert answer.json()["username"] == "local"


def test_the_token_is_not_in_the_repr(engine):
    assert engine.token not in repr(engine)


def test_close_leaves_no_process_and_may_be_called_again():
    engine = serve()
    assert engine.alive
    engine.close()
    engine.close()
    assert not engine.alive


@pytest.mark.slow
@pytest.mark.model
def test_close_cancels_what_runs_and_its_stream_says_so(api_of, long_input):
    with serve() as engine:
        prediction = api_of(engine).processing(**long_input)
        with httpx.stream("GET", prediction["urls"]["stream"]) as stream:
            began = time.monotonic()
            engine.close()
            took_s = time.monotonic() - began
            text = stream.read().decode()
    assert text.endswith('data: {"reason":"canceled"}\n\n')
    assert took_s < 3


def test_a_taken_port_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=rf"127\.0\.0\.1:{port}.*Choose another --port"):
            serve(port=port)


def test_a_missing_extra_is_an_error_that_says_what_to_install():
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "from replicate_magic.local import serve, EngineError\n"
        "try: serve()\n"
        "except EngineError as error: print(error)"
    )
    with run_python(code) as process:
        told = process.communicate()[0].decode()
    assert told.strip() == (
        "the embedded engine needs its extra: pip install 'replicate-magic[local]'"
    )


@posix_only
def test_the_engine_ends_when_its_parent_is_killed():
    code = (
        "from replicate_magic.local import serve; import time\n"
        "engine = serve(); print(engine._process.pid, flush=True); time.sleep(60)"
    )
    with run_python(code) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    assert gone(pid)


@posix_only
def test_an_interrupt_of_the_parents_group_does_not_reach_the_engine():
    code = (
        "import signal; signal.signal(signal.SIGINT, lambda *_: None)\n"
        "from replicate_magic.local import serve\n"
        "engine = serve(); print(engine.base_url, flush=True); input()\n"
        "print(engine.alive, flush=True); engine.close()"
    )
    with run_python(code, stdin=subprocess.PIPE, start_new_session=True) as parent:
        url = parent.stdout.readline().decode().strip()
        os.killpg(parent.pid, signal.SIGINT)
        assert httpx.get(f"{url}/v1/account").status_code == 401
        parent.communicate(b"\n")


@posix_only
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_started_by_hand_it_prints_exports_and_ends_cleanly(how):
    with by_hand("--port", "0") as engine:
        exported = exports(engine)
        answer = httpx.get(
            f"{exported['REPLICATE_BASE_URL']}/v1/account",
            headers={"authorization": f"Bearer {exported['REPLICATE_API_TOKEN']}"},
        )
        engine.send_signal(how)
        _, errors = engine.communicate(timeout=10)
    assert answer.status_code == 200
    assert (engine.returncode, errors) == (0, "")


def test_what_the_server_logs_is_shown_where_it_was_started_by_hand():
    with by_hand() as engine:
        port = int(exports(engine)["REPLICATE_BASE_URL"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 400")
        engine.terminate()
        _, errors = engine.communicate(timeout=10)
    assert "Invalid HTTP request" in errors


def test_started_by_hand_on_a_taken_port_it_says_so_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with by_hand("--port", port) as engine:
            _, errors = engine.communicate(timeout=10)
    assert engine.returncode == 1
    assert errors.count("\n") == 1
    assert port in errors


def test_the_parent_is_told_in_one_line_of_json():
    with by_hand("--exit-with-parent", stdin=subprocess.PIPE) as engine:
        told = json.loads(engine.stdout.readline())
        engine.communicate(timeout=10)
    assert len(told["token"]) == 43
    assert told["base_url"].startswith("http://127.0.0.1:")
