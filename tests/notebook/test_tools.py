"""Tools that run and convert notebooks: papermill, nbconvert, a terminal."""

from __future__ import annotations

import sys

import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter
from replicate_server import become, hold, say

pytestmark = pytest.mark.slow


def saved(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(notebook, path)
    return str(path)


@pytest.fixture
def in_environment(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_papermill_stops_at_a_failing_cell_with_our_words(in_environment, replicate, tmp_path):
    replicate.tells(become("failed", error="CUDA error"))
    path = saved(tmp_path / "in.ipynb", "%%replicate acme/poet\nhi", "print('went on')")
    with pytest.raises(papermill.PapermillExecutionError, match="CUDA error"):
        papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), progress_bar=False)
    assert "went on\\n" not in (tmp_path / "out.ipynb").read_text()


def test_papermill_keeps_the_answer_and_no_widget(in_environment, tmp_path):
    path = saved(tmp_path / "in.ipynb", "%%replicate acme/poet\nhi")
    papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), progress_bar=False)
    made = nbformat.read(tmp_path / "out.ipynb", 4)
    [output] = made.cells[0].outputs
    assert output.data["text/plain"].startswith("Hello world")
    assert "widgets" not in made.metadata


def test_nbconvert_shows_the_answer_in_html(in_environment, replicate, tmp_path):
    replicate.tells(say("**Hello** <script>alert(1)</script>"), become("succeeded"))
    path = saved(tmp_path / "in.ipynb", "%%replicate acme/poet\nhi")
    papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), progress_bar=False)
    page, _ = HTMLExporter().from_filename(str(tmp_path / "out.ipynb"))
    assert "<strong>Hello</strong>" in page
    assert "<script>alert(1)" not in page


@pytest.fixture
def terminal(environment):
    """IPython in a pseudo-terminal."""
    pexpect = pytest.importorskip("pexpect", reason="there are no pseudo-terminals on Windows")
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]
    shell = pexpect.spawn(
        sys.executable, arguments, env=environment, encoding="utf-8", timeout=30, echo=False
    )
    shell.expect_exact("In [1]:")
    yield shell
    shell.close(force=True)


def test_a_terminal_gets_the_tokens_as_they_come(terminal, replicate):
    replicate.tells(say("Hello"), hold(), say(" world"), become("succeeded"))
    terminal.sendline("get_ipython().run_cell_magic('replicate', 'acme/poet', 'hi')")
    terminal.expect_exact("Hello")
    replicate.release()
    terminal.expect(r" world\r\n\r\nacme/poet · \S*succeeded")
    terminal.expect_exact("In [2]:")


def test_control_c_in_a_terminal_cancels_and_gives_the_prompt_back(terminal, replicate):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    terminal.sendline("x = %replicate run acme/poet --show hi")
    terminal.expect_exact("Hello")
    terminal.sendintr()
    terminal.expect(r"KeyboardInterrupt\S*: acme/poet .* was canceled")
    terminal.expect_exact("In [2]:")
    assert len(replicate.seen("cancel")) == 1


def test_escape_codes_in_an_answer_do_not_reach_the_terminal(terminal, replicate):
    replicate.tells(say("a\x1b]0;owned\x07b\x1b[2J"), become("succeeded"))
    terminal.sendline("%replicate run acme/poet --show hi")
    terminal.expect_exact("a␛]0;owned␇b␛[2J")
