"""Logging in: a kernel asks a page, a terminal a person, and the token is seen nowhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WRONG = "r8_not_that_one"


@pytest.fixture
def backend():
    """The keyring that a kernel has."""
    return "kept_keyring.KeptKeyring"


@pytest.fixture
def environment(environment, tmp_path, backend):
    """A kernel's environment without a token, with a keyring."""
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {
        **environment,
        "REPLICATE_API_TOKEN": "",
        "REPLICATE_MAGIC_HOME": str(tmp_path / "home"),
        "PYTHONPATH": path,
        "PYTHON_KEYRING_BACKEND": backend,
        "KEPT_KEYRING": str(tmp_path / "keyring.json"),
    }


def enter(page, code, answer):
    """Run a cell that asks for input, and give it; the request, and what the cell shows."""
    page.start(code)
    asked = page.client.get_stdin_msg(timeout=30)
    page.client.input(answer)
    page.wait()
    return asked["content"], page.shown()


def seen_in(folder, page, text):
    """Where a text is: in a message of the kernel, or a file."""
    messages = [one["msg_type"] for one in page.all if text in repr(one)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"history.sqlite", "history.db"} <= {path.name for path in files}
    return messages + [path.name for path in files if text.encode() in path.read_bytes()]


def test_a_page_is_asked_for_a_token_that_is_then_seen_nowhere(page, replicate, tmp_path):
    asked, refused = enter(page, "%replicate login", WRONG)
    assert asked["password"] is True
    assert "Replicate API token" in asked["prompt"]
    assert refused.error.startswith("Unauthorized: the account: Unauthenticated")
    assert not (tmp_path / "keyring.json").exists()

    _, empty = enter(page, "%replicate login", "  ")
    assert empty.error == "CellError: Nothing was entered."
    _, odd = enter(page, "%replicate login", "r8 two words")
    assert "characters that no token has" in odd.told

    _, logged_in = enter(page, "x = %replicate login\nx", f' "{replicate.token}" \n')
    assert logged_in.text == (
        f"Logged in to {replicate.url} as ada (user). The token is kept in the system keyring; "
        "%replicate logout takes it away."
    )
    page.run("%%replicate acme/poet\nhi")
    assert "Hello world" in page.shown().text
    page.run("%replicate status")
    assert "token            from the system keyring" in page.shown().text
    assert "account          ada (user)" in page.shown().text
    page.run("%history -g\nprint(In, dir())")
    page.run("%xmode Verbose\n%replicate run acme/none hi")
    assert page.shown().error.startswith("NotFound")
    page.run("%tb")
    page.run(
        "%config HistoryManager.db_cache_size = 0\nget_ipython().history_manager.writeout_cache()"
    )

    for token in (replicate.token, WRONG):
        assert seen_in(tmp_path, page, token) == []
    assert replicate.token[::-1] in (tmp_path / "keyring.json").read_text()


def test_the_next_kernel_has_the_token_until_somebody_logs_out(page, execute, replicate):
    enter(page, "%replicate login", replicate.token)
    works, status, headless, function, logged_out, none = execute(
        "%%replicate acme/poet\nhi",
        "%replicate status",
        "%replicate login",
        "import replicate_magic as rm\nrm.login()",
        "%replicate logout",
        "%replicate status",
    )
    assert "Hello world" in works.text
    assert "from the system keyring" in status.text
    for nobody in (headless, function):
        assert nobody.error.startswith("CellError: Nobody is here who could enter a token.")
        assert "Set REPLICATE_API_TOKEN" in nobody.told
    assert logged_out.text == "The token is gone."
    assert "none: local/… only" in none.text

    page.run("%%replicate acme/poet\nhi")  # the kernel that had it
    assert page.shown().error.startswith("Unauthorized")
    page.run("%replicate logout")
    assert page.shown().text == "There was no token of %replicate login."


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring"])
def test_without_a_keyring_the_token_holds_for_this_kernel_and_is_in_no_file(
    page, replicate, tmp_path
):
    _, shown = enter(page, "%replicate login", replicate.token)
    assert "holds until this kernel ends, since this system has no keyring." in shown.text
    assert "Set REPLICATE_API_TOKEN where Jupyter is started" in shown.text
    page.run("%%replicate acme/poet\nhi")
    assert "Hello world" in page.shown().text
    assert seen_in(tmp_path, page, replicate.token) == []
    page.run("import os; os.environ['REPLICATE_API_TOKEN'] = 'r8_old'")
    _, again = enter(page, "%replicate login", replicate.token)
    assert again.text.endswith("But the token from REPLICATE_API_TOKEN goes before it.")
    page.run("%replicate logout")
    assert page.shown().text == "The token is gone. The one from REPLICATE_API_TOKEN is used."


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal")
def test_a_terminal_does_not_show_the_token(environment, replicate, tmp_path):
    pexpect = pytest.importorskip("pexpect")
    options = ["-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt"]
    terminal = pexpect.spawn(sys.executable, options, env=environment, timeout=60, encoding="utf-8")
    with (tmp_path / "screen.txt").open("w") as screen:
        terminal.logfile_read = screen
        terminal.expect_exact("In [1]: ")
        terminal.sendline("%replicate login")
        terminal.expect_exact("(it is not shown): ")
        terminal.waitnoecho()
        terminal.sendline(replicate.token)
        terminal.expect_exact("as ada (user).")
        terminal.expect_exact("In [2]: ")
        terminal.sendline("%replicate status")
        terminal.expect_exact("from the system keyring")
        terminal.expect_exact("In [3]: ")
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"screen.txt", "history.sqlite"} <= {path.name for path in files}
    assert [path for path in files if replicate.token.encode() in path.read_bytes()] == []
