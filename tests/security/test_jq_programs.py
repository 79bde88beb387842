"""What a jq program can reach: its documents and arguments, and nothing of this machine."""

from __future__ import annotations

import json
import sys

import psutil
import pytest
from corpus import PAGE

from replicate_magic.errors import JqError
from replicate_magic.runs import jq, jq_process

MARKER = "r8_a_marker_that_is_in_the_environment"
REACHING = [
    'import "~/.jq" as $x; $x',
    'import "data" as $d {search: "."}; $d',
    'include "mine"; leak',
    'import "mine" as m {search: "{folder}"}; m::leak',
    "leak",
    '$ENV["PATH"]',
    "$ ENV",
    "env.PATH",
    '"\\($ENV)"',
    "{$ENV}",
    ". as [$a, $ENV] | $ENV.PATH",
    "reduce env as $x (0; $x)",
    "$__prog_args",
    "$__env",
    "$ARGS",
    "$named",
    "input_filename",
    "get_search_list",
    "input",
    "[inputs]",
    "first(inputs)",
    "input_line_number",
    "halt",
    "halt_error",
    '"x" | halt_error(1)',
    '"mine" | modulemeta',
    '"{folder}/mine.jq" | modulemeta',
    "ltrimstr($ENV)",
    "debug(env)",
    'getpath(["env"])',
    '@sh "\\(env)"',
    "try error($ENV) catch .",
    "label $x | env",
    "path(env)",
    "[splits(env)]",
    "$__loc__.file",
]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path):
    """A helper that is started where there is something to find."""
    tmp_path.joinpath(".jq").write_text(f'def leak: "{MARKER}";')
    tmp_path.joinpath("mine.jq").write_text(f'def leak: "{MARKER}";')
    tmp_path.joinpath("data.json").write_text(json.dumps(MARKER))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REPLICATE_API_TOKEN", MARKER)
    monkeypatch.setenv("JQ_LIBRARY_PATH", str(tmp_path))
    jq.close()
    yield
    jq.close()


def told(program, document="null", **options):
    """All that comes of a program: its outputs, or the words of its error."""
    try:
        return repr(jq.outputs(program, document, **options))
    except JqError as error:
        return f"{error!r} {error}"


def test_no_program_finds_what_lies_around(tmp_path, capfd):
    for program in REACHING:
        said = told(program.replace("{folder}", str(tmp_path)))
        assert MARKER not in said, program
        assert "/bin" not in said, program
    assert told("1") == "[1]"
    assert MARKER not in "".join(capfd.readouterr())


def test_no_builtin_gives_anything_of_this_machine():
    names = jq.outputs("[builtins] | flatten | unique", "null")[0]
    plain = [name.removesuffix("/0") for name in names if name.endswith("/0")]
    assert {"env", "halt", "input", "now"} <= set(plain)
    known = [f"(try ({name} | tostring) catch tostring)" for name in plain]
    for start in range(0, len(known), 10):
        said = told(f"[{', '.join(known[start : start + 10])}]", '{"a": [1, "b"]}')
        assert not [
            word for word in (MARKER, "/home", "/root", "/bin", "jq_worker") if word in said
        ]


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")
def test_the_helper_has_neither_environment_files_nor_connections():
    assert told(".a", '{"a": 1}') == "[1]"
    helper = psutil.Process(jq_process._IDLE[-1].pid)
    assert MARKER not in repr(helper.environ())
    assert MARKER not in repr(helper.cmdline())
    assert helper.net_connections() == []
    assert helper.open_files() == []
    assert helper.children() == []


def test_what_a_program_writes_aside_is_heard_nowhere(capfd):
    for program in ("debug", "stderr", 'debug("aside")', '"aside" | stderr'):
        assert told(program, '"aside"') == "['aside']"
    assert capfd.readouterr() == ("", "")


def test_hostile_text_is_neither_a_program_that_acts_nor_a_document_that_breaks():
    for name, payload in PAGE.items():
        assert MARKER not in told(payload), name
        text = payload.encode(errors="replace").decode()
        assert jq.outputs(". + $x", json.dumps(payload), args={"x": text})[0].endswith(text[-1:])
    assert told(".", "1") == "[1]"
