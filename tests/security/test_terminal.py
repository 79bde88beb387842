"""Hostile text in a terminal: no escape code of a payload is in what is written to it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from corpus import MARKS, TERMINAL
from replicate_server import Model, become, changed, log, openapi, say

from replicate_magic.api.protocol import APIRequest
from replicate_magic.notebook.dry_run import dry_run_text
from replicate_magic.session import DryRun

PAYLOADS = [*TERMINAL.values(), *MARKS.values()]
SENDABLE = [one.encode(errors="replace").decode() for one in PAYLOADS]
WHOLE = "\n".join(SENDABLE)
# What we write ourselves: a status in colour, a line that is written over, a cursor that goes up.
OURS = re.compile(r"\x1b\[(?:0|31|32|33|39)?m|\x1b\[K|\x1b\[A|\r\n|\r(?=\x1b\[K|[^\n]*\x1b\[K)")
STEERING = re.compile("[\0-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from corpus import *
import replicate_magic as rm
shell = get_ipython()
payloads = [one for one in [*TERMINAL.values(), *MARKS.values()]]
sendable = [one.encode(errors="replace").decode() for one in payloads]
lines = [" ".join(one.splitlines()) for one in sendable]
rows = [{{"text": one}} for one in sendable]

def do(code):
    print("##", code.split(None, 2)[:2] if code.isprintable() else "a cell")
    shell.run_cell(code, store_history=False)

do("%load_ext replicate_magic")
for number, one in enumerate(sendable):
    do("%%replicate acme/poet --raw\\n" + one)
    do("_")
do("%%replicate acme/poet --format json\\nx")
do("%%replicate acme/tree\\nx")
do("%%replicate acme/poet --rows rows --keep-going -o df\\n{{{{row.text}}}}")
do("df")
do("print(df, repr(df), df[['error']])")
do("%replicate runs")
do("%replicate runs --map '{{(.input.prompt // \\"x\\"): .error, logs}}'")
do("print(rm.runs().jq.map('{{a: .input.prompt}}'))")
do("%replicate stats")
do("%replicate info acme/evil")
do("%replicate status")
do("%replicate alias")
commands = ("help ", "info ", "runs ", "runs '", "attach ", "run ", "runs --", "run acme/poet --")
for one in lines:
    for command in commands:
        do("%replicate " + command + one)
    do("%%replicate acme/poet " + one + "\\nx")
    do("%%replicate acme/poet --dry-run --raw\\n" + one)
    do("rm.jq([{{'a': payloads[0]}}]).map('error(.a)')")
do("%%replicate acme/refused\\nx")
print("## the end")
"""


def test_a_dry_run_is_the_exact_json_without_what_steers(home):
    inputs = {one: one for one in PAYLOADS}
    request = APIRequest(method="POST", path="/predictions", json={"input": inputs})
    base = "https://x.example"
    dry_run = DryRun(base=base, request=request, doubt="", as_of=None, has_token=True)
    text = dry_run_text(dry_run)

    assert STEERING.search(text) is None
    assert json.loads(text[text.index("{") : text.rindex("}") + 1]) == {"input": inputs}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal")
def test_no_escape_code_of_a_payload_is_written(environment, replicate, tmp_path):
    pexpect = pytest.importorskip("pexpect")
    stories = [(log(f"{one}\n"), *map(say, one), ended(one, n)) for n, one in enumerate(SENDABLE)]
    replicate.tells(log(WHOLE), say(WHOLE), ended(WHOLE, 1))
    replicate.tells_in_turn(*stories)
    words = {one: {"type": "string", "description": one, "default": one} for one in SENDABLE}
    replicate.models["acme/evil"] = Model(official=True, schema=openapi(**words))
    replicate.models["acme/tree"] = Model(official=True, schema=openapi({"type": "object"}))
    replicate.fails("account", always=changed(username=WHOLE, name=WHOLE, type=WHOLE))
    script = tmp_path / "script.ipy"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent)), encoding="utf-8")

    options = ["-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt"]
    options += ["--TerminalInteractiveShell.term_title=False", str(script)]
    environment = {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home"), "TERM": "xterm"}
    terminal = pexpect.spawn(
        sys.executable, options, env=environment, timeout=100, dimensions=(40, 120)
    )
    terminal.expect(pexpect.EOF)
    written = terminal.before.decode()
    terminal.close()

    assert "## the end" in written
    assert "rm -rf" in written
    rest = OURS.sub("", written)
    found = {rest[max(one.start() - 60, 0) : one.end() + 20] for one in STEERING.finditer(rest)}
    assert sorted(found)[:10] == []


def ended(payload, number):
    """The end of a prediction: each second one fails."""
    said = {"logs": payload, "model": payload, "version": payload, "urls": {"web": payload}}
    if number % 2:
        return become("failed", error=payload, **said)
    return become("succeeded", metrics={payload: 1}, **said)
