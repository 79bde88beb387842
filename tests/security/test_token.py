"""The token goes to the API, in one header, and is in nothing else that leaves a kernel.

One kernel runs a day's work, and is then searched: its messages, its files, its logs, the requests
that it sent, and what tools show of it that look into frames and objects.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from queue import Empty

import kept_keyring
import nbformat
import psutil
import pytest
from kernels import outputs_of
from replicate_server import (
    Model,
    answer,
    become,
    done_but,
    hold,
    log,
    openapi,
    redirect,
    reset,
    say,
    stream,
    torn,
)
from spellings import spelled_in, spellings

from replicate_magic.notebook.command_line import COMMANDS

TOKEN = "r8_Kp7+Zq/9v~XwT=3.nOt&iN%aNy$pLaCe"  # no spelling of it is another one's
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc"
    b"\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
SETUP = """
import logging, os, sys, traceback
logging.basicConfig(level=logging.DEBUG, filename="debug.log", force=True)
os.environ.pop("PYTHONPATH", None)
import replicate_magic as rm
%xmode Verbose
"""
CELLS = (
    "%%replicate acme/poet\nWrite.",
    "_",
    "print(repr(_), str(_), _.raw, _.jq('.'), _.urls, sep='\\n')",
    "%%replicate acme/poet -o p --show --tag t --save pictures\nWrite.",
    "%%replicate acme/poet --dry-run\nWrite.",
    "%%replicate acme/poet --keep-widget\nWrite.",
    "%%replicate acme/poet --wait=5 --no-stream\nWrite.",
    "%%replicate acme/painter\nDraw.",
    "%%replicate acme/painter picture=@big.bin\nDraw.",
    "%%replicate acme/poet --repeat 3 --concurrency 2 -o df\nWrite.",
    "df",
    "%%replicate acme/poet acme/sketch --dry-run\nWrite.",
    "%%replicate acme/poet --bg -o job\nWrite.",
    "job",
    "%replicate wait",
    "x = %replicate run acme/poet hello\nx",
    "%replicate run acme/none hello",  # 404
    "%tb",
    "%%replicate acme/poet\n{{1 / 0}}",
    "%tb",
    "%%replicate acme/poet --rows {{(1 / 0 for _ in [1])}}\n{{row}}",
    "%%replicate local/nothing\nWrite.",
    "%%replicate http://127.0.0.1:1\nWrite.",
    "%%replicate acme/poet --jq '$ENV'\nWrite.",
    "%%replicate acme/poet --jq '[env, $__prog_args]'\nWrite.",
    "%replicate runs 'env'",
    "%replicate nonsense",
    "%%replicate?",
    "%config ReplicateMagics",
)
# What goes wrong at the API: each is a cell's error, and a function's with all that frames hold.
FAULTS = (
    ("create", reset()),
    ("create", torn()),
    ("create", torn(20)),
    ("create", answer(401, {"detail": "no"})),
    ("create", answer(402, {"detail": "no"})),
    ("create", answer(422, {"detail": "no"})),
    ("create", answer(429, {"detail": "no", "retry_after": 0})),
    ("create", answer(200, "<html>Sign in</html>")),
    ("create", done_but(502, "<html>bad</html>")),
    ("get", answer(500, {"detail": "no"})),
    ("get", answer(200, "{")),
    ("list", reset()),
    ("model", reset()),
)
LOCALS = """
def frames_of(call):
    try:
        return str(call())
    except Exception as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(told.format()) + repr(error) + repr(vars(error))

calls = (lambda: rm.run("acme/poet", prompt="x", timeout="1s"), lambda: rm.info("acme/{number}"))
print(*map(frames_of, calls), file=open("frames.txt", "a"))
"""
OBJECTS = """
import gc
ours = [one for one in gc.get_objects() if str(type(one).__module__).startswith("replicate_magic")]
kinds = {type(one).__name__ for one in ours}
with open("objects.txt", "w") as file:
    for one in ours:
        print(f"{one!r} {one}", file=file)
print(sorted(kinds))
"""
WIDGETS = """
import ipywidgets
from ipywidgets.embed import embed_minimal_html
state = ipywidgets.Widget.get_manager_state(drop_defaults=False)
embed_minimal_html("widgets.html", views=list(ipywidgets.widgets.widget._instances.values()))
print(len(state["state"]), state)
"""
FLUSH = "get_ipython().history_manager.writeout_cache()\nlogging.shutdown()"


@pytest.fixture
def replicate(replicate):
    replicate.token = TOKEN
    files = {"type": "array", "items": {"type": "string", "format": "uri"}}
    inputs = {"prompt": {"type": "string"}, "picture": {"type": "string", "format": "uri"}}
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(files, **inputs))
    replicate.files["a.png"] = ("image/png", PNG)
    replicate.fails("stream", stream(ends_after=1, torn_off=True))
    return replicate


@pytest.fixture
def environment(environment, tmp_path):
    """Everything that a kernel may write to is below one folder; but for its keyring."""
    (tmp_path / "work").mkdir()
    here = {
        "HOME": "home",
        "JUPYTER_DATA_DIR": "jupyter",
        "REPLICATE_MAGIC_HOME": "magic",
        "TMPDIR": "work",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
    }
    folders = [str(Path(kept_keyring.__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {
        **environment,
        **{name: str(tmp_path / folder) for name, folder in here.items()},
        "PYTHONPATH": os.pathsep.join(folders),
        "PYTHON_KEYRING_BACKEND": "kept_keyring.KeptKeyring",
        "KEPT_KEYRING": str(tmp_path / "keyring.json"),
    }


class Session:
    """A kernel's work, and all that comes of it."""

    def __init__(self, page):
        self.page = page
        self.cells = []
        self.asked = []

    def run(self, code, types=()):
        """Run a cell; whoever is asked for something types it."""
        page, typed = self.page, iter(types)
        page.start(code)
        while True:
            try:
                messages = page.wait(timeout_s=0.2 if types else 60)
                break
            except (Empty, TimeoutError):
                try:
                    self.asked.append(page.client.get_stdin_msg(timeout=0))
                    page.client.input(next(typed, ""))
                except Empty:
                    continue
        self.cells.append((code, outputs_of(messages)))
        return self.cells[-1][1]

    def save(self, path):
        """The notebook, as a page saves it."""
        cells = [
            nbformat.v4.new_code_cell(code, outputs=[_saved(one) for one in shown.raw])
            for code, shown in self.cells
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)

    def everything_said(self):
        """All messages that the kernel sent, of every channel."""
        messages = [*self.page.all, *self.asked]
        for take in (self.page.client.get_shell_msg, self.page.client.get_iopub_msg):
            try:
                while True:
                    messages.append(take(timeout=0.1))
            except Empty:
                continue
        return messages


def _saved(output):
    return nbformat.from_dict({name: it for name, it in output.items() if name != "transient"})


def found_in(folder, *, but=()):
    """The files that hold the token, however it is spelled."""
    files = [one for one in folder.rglob("*") if one.is_file() and one.name not in but]
    return {one.name: found for one in files if (found := spelled_in(one.read_bytes(), TOKEN))}


def lines_of(command, id_):
    """A command as it may be written: with what it needs, and with each of its options."""
    samples = {
        **dict.fromkeys(("ID", "A", "B"), id_),
        "JQ": "'.id'",
        "METHOD": "GET",
        "METRIC": "predict_time",
        "MODEL": "acme/poet",
        "PATH": f"{command.name}.jsonl",
        "WORDS": "poet",
    }
    values = {"text": "'.'", "number": "2", "duration": "5s", "pair": "x=1"}
    words = command.usage.replace("[", "").replace("]", "").split()
    needed = " ".join(samples.get(word, "") for word in words).strip()
    plain = f"%replicate {command.name}"
    yield f"{plain} {needed}"
    if needed:
        yield plain
    for option in command.options:
        yield f"{plain} {needed} --{option.name} {values.get(option.kind, '')}"


def test_the_search_finds_each_spelling():
    for name, spelled in spellings(TOKEN).items():
        assert name in spelled_in(b"xy" + spelled.upper() + b"z", TOKEN)
    for before in range(3):
        within = b"abc"[:before] + TOKEN.encode() + b"more"
        assert spelled_in(base64.b64encode(within), TOKEN)
        assert spelled_in(base64.urlsafe_b64encode(within), TOKEN)
    assert spelled_in(json.dumps({"a": TOKEN}), TOKEN)
    assert spelled_in(repr(TOKEN.encode()), TOKEN)
    assert not spelled_in(b"Bearer r8_" + b"K" * 40, TOKEN)


@pytest.mark.slow
def test_the_token_leaves_the_kernel_in_one_header_alone(page, replicate, tmp_path, capfd):
    work = tmp_path / "work"
    session = Session(page)
    do_a_days_work(session, replicate, work)
    go_wrong(session, replicate)
    give_every_command(session, replicate)
    log_in(session)
    for code in (OBJECTS, WIDGETS, FLUSH):
        session.run(code)
    session.save(work / "saved.ipynb")

    said = session.everything_said()
    kinds = {message["msg_type"] for message in said}
    assert {"stream", "error", "comm_open", "comm_msg", "update_display_data"} <= kinds
    assert {"execute_reply", "input_request"} <= kinds
    leaks = [(one["msg_type"], one["content"]) for one in said if spelled_in(repr(one), TOKEN)]
    assert leaks == []
    names = {one.name for one in tmp_path.rglob("*") if one.is_file()}
    assert {"history.db", "history.db-wal", "history.sqlite", "debug.log", "frames.txt"} <= names
    assert {"objects.txt", "widgets.html", "saved.ipynb", "logins.json", "export.jsonl"} <= names
    assert found_in(tmp_path, but=["keyring.json"]) == {}
    assert spelled_in((tmp_path / "keyring.json").read_bytes(), TOKEN) == ["backwards"]
    assert "httpcore" in (work / "frames.txt").read_text()
    assert spelled_in("".join(capfd.readouterr()), TOKEN) == []
    assert_sent_in_one_header(replicate)
    assert_in_no_process(page)


def do_a_days_work(session, replicate, work):
    """Runs of every kind, and what is looked at afterwards."""
    work.joinpath("big.bin").write_bytes(os.urandom(300_000))
    session.run(f"import os\nos.chdir({str(work)!r})\n{SETUP}")
    for code in CELLS:
        picture = become("succeeded", output=[f"{replicate.other_url}/files/a.png"])
        replicate.tells(
            *((picture,) if "painter" in code else (log("l\n"), say("Hello"), become("succeeded")))
        )
        session.run(code)
    errors = [shown.error.split(":")[0] for _, shown in session.cells if shown.error]
    assert {"NotFound", "TemplateError", "JqError", "ConnectionFailed"} <= set(errors), errors
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    made = len(replicate.predictions)
    session.page.start("%%replicate acme/poet\nWrite.")
    replicate.until(lambda: any(one.get("output") for one in replicate.predictions[made:]))
    session.page.manager.interrupt_kernel()
    session.page.wait()
    session.run("%tb")


def go_wrong(session, replicate):
    """Each fault in a cell, and in a function whose frames are shown with their variables."""
    for number, (route, fault) in enumerate(FAULTS):
        cell = "%%replicate acme/poet --timeout 1s\nWrite."
        for code in (cell, LOCALS.replace("{number}", str(number))):
            replicate.fails(route, fault, fault, fault)
            replicate.tells(say("Hello"), become("succeeded"))
            session.run(code)
        replicate.fails(route)
    replicate.fails("account", redirect(f"{replicate.other_url}/v1/account"))
    session.run("%replicate status")
    replicate.page_size, replicate.next_base = 2, replicate.other_url
    session.run("%replicate runs --remote since=1h")
    replicate.next_base = None
    session.run(
        "kept = os.environ['REPLICATE_BASE_URL']\nos.environ['REPLICATE_BASE_URL'] = 'http://127.0.0.1:1'"
    )
    session.run(LOCALS)
    session.run("os.environ['REPLICATE_BASE_URL'] = kept")


def give_every_command(session, replicate):
    id_ = replicate.predictions[0]["id"]
    for command in COMMANDS:
        for line in (*lines_of(command, id_), f"%replicate help {command.name}"):
            if command.name != "login":
                session.run(line)
                session.run("_")
    session.run("%history -g -o")


def log_in(session):
    """The token comes from a person in place of the environment, and goes into a keyring."""
    session.run("del os.environ['REPLICATE_API_TOKEN']")
    for wrong in (f"{TOKEN}!", f"{TOKEN} {TOKEN}"):
        assert session.run("%replicate login", types=[wrong]).error
        session.run("%tb")
    assert "as ada" in session.run("login = %replicate login\nlogin", types=[TOKEN]).text
    session.run("login, vars(login) if hasattr(login, '__dict__') else dir(login)")
    for code in ("%%replicate acme/poet\nWrite.", "%replicate status", LOCALS):
        session.run(code)


def assert_sent_in_one_header(replicate):
    assert len([one for one in replicate.requests if one.place == "other"]) > 5
    assert replicate.strangers_with_token() == []
    for one in replicate.requests:
        headers = {name: value for name, value in one.headers.items() if name != "authorization"}
        rest = f"{one.path} {one.query} {headers}".encode() + one.body
        if one.place == "other":
            rest += one.headers.get("authorization", "").encode()
        assert spelled_in(rest, TOKEN) == [], one


def assert_in_no_process(page):
    """The helpers of a kernel have it neither in their arguments nor in their environment."""
    kernel = psutil.Process(page.manager.provisioner.pid)
    for child in kernel.children(recursive=True):
        assert spelled_in(repr(child.cmdline()), TOKEN) == []
        if sys.platform == "linux":
            assert spelled_in(repr(child.environ()), TOKEN) == []
