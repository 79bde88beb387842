"""Where the token comes from, in which order, and to which address it goes."""

from __future__ import annotations

import os
import sys
import time
import types

import keyring
import pytest
from keyring.backend import KeyringBackend

from replicate_magic import endpoint, tokens
from replicate_magic.api.protocol import PUBLIC_API
from replicate_magic.cell.plan import read_target
from replicate_magic.errors import CellError, Unauthorized
from replicate_magic.tokens import Keyring, parse_env, parse_hosts

PROXY = "https://proxy.example/v1"


class MemoryKeyring(KeyringBackend):
    """A keyring as a desktop has one."""

    priority = 5

    def __init__(self):
        super().__init__()
        self.kept = {}
        self.asked = 0

    def get_password(self, service, username):
        self.asked += 1
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


class LockedKeyring(MemoryKeyring):
    """One that its owner does not unlock."""

    def get_password(self, service, username):
        raise keyring.errors.KeyringLocked(f"for {service}")

    def set_password(self, service, username, password):
        raise keyring.errors.PasswordSetError(f"could not store {password}")


@pytest.fixture
def desktop():
    """A system with a keyring."""
    before, ours = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, home):
    """A user's home with a project in it, where the kernel works; no token anywhere."""
    user = tmp_path / "user"
    (user / "project" / "notebooks").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("USERPROFILE", str(user))
    for name in ("XDG_CONFIG_HOME", "REPLICATE_API_TOKEN", "REPLICATE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(user / "project" / "notebooks")
    monkeypatch.setattr(tokens, "_KEYRING", Keyring())  # nothing of another test's
    monkeypatch.setattr(tokens, "_COLAB", tokens._Colab())
    return user


@pytest.fixture
def colab(monkeypatch):
    """A Colab notebook, with the secrets that it may read."""
    secrets = {}
    userdata = types.ModuleType("google.colab.userdata")
    userdata.get = lambda name: secrets[name]
    for name, module in {
        "google": types.ModuleType("google"),
        "google.colab": types.ModuleType("google.colab"),
        "google.colab.userdata": userdata,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    return secrets


def write_hosts(user, text):
    path = user / ".config" / "replicate" / "hosts"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(base=PUBLIC_API):
    held = tokens.find(base)
    return held.text, held.source


def test_the_places_count_in_their_order(place, colab, desktop, monkeypatch):
    """Each is asked only where those before it have none: as they are taken away, the next one."""
    env, hosts = place / "project" / ".env", place / ".config" / "replicate" / "hosts"
    monkeypatch.setenv("REPLICATE_API_TOKEN", ' "r8_environment" ')
    colab["REPLICATE_API_TOKEN"] = "r8_colab\n"
    env.write_text("REPLICATE_API_TOKEN=r8_dotenv\n")
    write_hosts(place, "api.replicate.com:\n    token: r8_command_line\n")
    assert tokens.the_keyring().keep(PUBLIC_API, "r8_keyring", "ada") == ""

    assert found() == ("r8_environment", "REPLICATE_API_TOKEN")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "  ")
    assert found() == ("r8_colab", "the Colab secret REPLICATE_API_TOKEN")
    monkeypatch.delitem(sys.modules, "google.colab")
    assert found() == ("r8_dotenv", str(env))
    env.unlink()
    assert found() == ("r8_command_line", f"the Replicate CLI's login, {hosts}")
    hosts.unlink()
    assert found() == ("r8_keyring", "the system keyring")
    assert tokens.the_keyring().forget(PUBLIC_API)
    assert found() == ("", "")


@pytest.mark.parametrize(
    ("line", "token"),
    [
        ("REPLICATE_API_TOKEN=r8_a", "r8_a"),
        ("REPLICATE_API_TOKEN = r8_a  # mine", "r8_a"),
        ("export REPLICATE_API_TOKEN='r8_a' # mine", "r8_a"),
        ('\tREPLICATE_API_TOKEN="r8_a"', "r8_a"),
        ("REPLICATE_API_TOKEN=r8_a#b", "r8_a#b"),
        ("OTHER=1\r\nREPLICATE_API_TOKEN=r8_a\r\nMORE=2", "r8_a"),
        ("REPLICATE_API_TOKEN=r8_old\nREPLICATE_API_TOKEN=r8_a", "r8_a"),
        ("# REPLICATE_API_TOKEN=r8_a", None),
        ("REPLICATE_API_TOKEN=", None),
        ('REPLICATE_API_TOKEN=""', None),
        ("REPLICATE_API_TOKEN=${OTHER}", None),
        ("NOT_REPLICATE_API_TOKEN=r8_a", None),
        ("REPLICATE_API_TOKEN_OLD=r8_a", None),
        ("REPLICATE_API_TOKEN: r8_a", None),
        ("\x00\ufffd= =", None),
    ],
)
def test_a_dotenv_is_read_as_people_write_it(line, token):
    assert parse_env(line).get("REPLICATE_API_TOKEN") == token


def test_a_dotenv_is_looked_for_up_to_the_users_home(place):
    (place / ".env").write_text("REPLICATE_API_TOKEN=r8_home")
    (place.parent / ".env").write_text("REPLICATE_API_TOKEN=r8_above")
    assert found() == ("r8_home", str(place / ".env"))
    nearer = place / "project" / "notebooks" / ".env"
    nearer.write_text("SOMETHING=else")
    assert found()[0] == "r8_home"
    nearer.write_text("REPLICATE_API_TOKEN=r8_nearer")
    assert found() == ("r8_nearer", str(nearer))
    nearer.unlink()
    (place / ".env").unlink()
    assert found() == ("", "")


def test_a_dotenv_above_a_repository_is_not_the_projects(place):
    (place / ".env").write_text("REPLICATE_API_TOKEN=r8_home")
    (place / "project" / ".git").mkdir()
    assert found() == ("", "")


def test_outside_the_home_only_the_working_directory_counts(tmp_path, monkeypatch):
    inner = tmp_path / "elsewhere" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (inner.parent / ".env").write_text("REPLICATE_API_TOKEN=r8_above")
    assert found() == ("", "")
    (inner / ".env").write_text("REPLICATE_API_TOKEN=r8_here")
    assert found()[0] == "r8_here"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("api.replicate.com:\n    token: r8_a\n", {"api.replicate.com": "r8_a"}),
        (
            '# mine\n"api.replicate.com":\n  token: "r8_a" # new\nother.host:\n  token: r8_b\n',
            {"api.replicate.com": "r8_a", "other.host": "r8_b"},
        ),
        ("api.replicate.com:\n  user: x\n", {}),
        ("  token: r8_a\n", {}),
        ("api.replicate.com: {}\n", {}),
        ("", {}),
    ],
)
def test_the_login_file_of_the_command_line_is_read(text, hosts):
    assert parse_hosts(text) == hosts


def test_the_login_file_lies_where_the_system_says(place, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_hosts(place, "api.replicate.com:\n  token: r8_not_here\n")
    assert found() == ("", "")
    path = tmp_path / "config" / "replicate" / "hosts"
    path.parent.mkdir(parents=True)
    path.write_text("api.replicate.com:\n  token: r8_a\n")
    assert found()[0] == "r8_a"


# -- to which address ---------------------------------------------------------------------------


def test_a_stored_token_goes_only_where_it_was_stored_for(place, colab, desktop):
    """Law 6: an address that the environment names is sent no token of another one's."""
    colab["REPLICATE_API_TOKEN"] = "r8_colab"
    (place / "project" / ".env").write_text("REPLICATE_API_TOKEN=r8_dotenv")
    write_hosts(place, "api.replicate.com:\n  token: r8_command_line\n")
    tokens.the_keyring().keep(PUBLIC_API, "r8_keyring", "ada")
    strangers = [
        PROXY, "http://api.replicate.com/v1", "https://api.replicate.com:8443/v1",
        "http://127.0.0.1:8000/v1", "https://api.replicate.com.evil.example/v1",
    ]  # fmt: skip

    assert [tokens.find(base).text for base in strangers] == [""] * 5
    assert tokens.find(PUBLIC_API).text == "r8_colab"


def test_a_token_of_the_environment_goes_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_environment")
    assert tokens.find(PROXY).text == "r8_environment"


def test_a_dotenv_may_name_the_address_of_its_token(place):
    path = place / "project" / ".env"
    path.write_text(f"REPLICATE_API_TOKEN=r8_proxy\nREPLICATE_BASE_URL={PROXY}\n")

    assert tokens.find(PROXY).text == "r8_proxy"
    assert tokens.find(PUBLIC_API).text == ""


def test_where_none_is_for_the_address_it_is_told_why(place, monkeypatch):
    path = place / "project" / ".env"
    path.write_text("REPLICATE_API_TOKEN=r8_secret_one\n")
    monkeypatch.setenv("REPLICATE_BASE_URL", PROXY)

    with pytest.raises(Unauthorized) as caught:
        endpoint.Endpoints().of(read_target("acme/poet"))
    told = str(caught.value)
    assert "There is no API token, which acme/poet needs" in told
    assert "%replicate login" in told
    assert f"The one in {path} is for https://api.replicate.com, and is not sent to" in told
    assert "https://proxy.example" in told
    assert "r8_secret_one" not in told


def test_the_endpoint_has_the_token_and_does_not_show_it(place):
    (place / "project" / ".env").write_text("REPLICATE_API_TOKEN=r8_secret_one\n")
    there = endpoint.Endpoints().of(read_target("acme/poet"))

    assert there == (PUBLIC_API, "r8_secret_one")
    assert "r8_secret_one" not in repr(there) + repr(tokens.find(PUBLIC_API))


# -- the keyring --------------------------------------------------------------------------------


def test_a_login_is_kept_by_address_and_its_file_holds_no_token(home, desktop):
    kept = tokens.the_keyring()
    assert kept.keep(PUBLIC_API, "r8_public", "ada (user)") == ""
    assert kept.keep(PROXY, "r8_proxy", "ada (user)") == ""

    assert desktop.kept == {
        ("replicate_magic", "https://api.replicate.com"): "r8_public",
        ("replicate_magic", "https://proxy.example"): "r8_proxy",
    }
    assert Keyring().find(PUBLIC_API).text == "r8_public"  # as another kernel sees it
    assert Keyring().find(PROXY).text == "r8_proxy"
    assert [path.name for path in home.iterdir()] == ["logins.json"]
    assert "r8_" not in (home / "logins.json").read_text()


def test_a_keyring_is_not_touched_where_nobody_has_logged_in(desktop):
    assert [tokens.find(PUBLIC_API).text for _ in range(3)] == [""] * 3
    assert desktop.asked == 0


def test_a_keyring_is_asked_once_until_somebody_logs_in_again(desktop):
    tokens.the_keyring().keep(PUBLIC_API, "r8_one", "ada")
    other = Keyring()
    before = desktop.asked
    assert [other.find(PUBLIC_API).text for _ in range(5)] == ["r8_one"] * 5
    assert desktop.asked == before + 1
    tokens.the_keyring().keep(PUBLIC_API, "r8_two", "ada")  # another kernel
    assert other.find(PUBLIC_API).text == "r8_two"


def test_logging_out_takes_the_token_away_for_all(desktop):
    ours, other = tokens.the_keyring(), Keyring()
    ours.keep(PUBLIC_API, "r8_one", "ada")
    assert other.find(PUBLIC_API).text == "r8_one"

    assert other.forget(PUBLIC_API) is True
    assert desktop.kept == {}
    assert ours.find(PUBLIC_API).text == ""
    assert ours.forget(PUBLIC_API) is False


def test_without_a_keyring_a_login_holds_in_memory_alone(home):
    """The null backend, as the tests' environment names it, is none."""
    ours = tokens.the_keyring()
    why = ours.keep(PUBLIC_API, "r8_one", "ada")

    assert why == "this system has no keyring"
    assert ours.find(PUBLIC_API) == (
        "r8_one",
        "%replicate login, for this kernel alone",
        PUBLIC_API,
    )
    assert Keyring().find(PUBLIC_API).text == ""
    assert not home.exists()
    assert ours.forget(PUBLIC_API) is True
    assert ours.find(PUBLIC_API).text == ""


def test_a_keyring_that_writes_plain_files_is_none(desktop):
    class Plain(MemoryKeyring):
        priority = 0.5

    plain = Plain()
    keyring.set_keyring(plain)

    assert tokens.the_keyring().keep(PUBLIC_API, "r8_one", "ada") == "this system has no keyring"
    assert plain.kept == {}


def test_a_keyring_that_stays_locked_raises_nothing_and_is_left_alone_for_a_while(desktop):
    tokens.the_keyring().keep(PUBLIC_API, "r8_one", "ada")
    locked = LockedKeyring()
    keyring.set_keyring(locked)
    other = Keyring()

    assert [other.find(PUBLIC_API).text for _ in range(3)] == [""] * 3
    why = other.keep(PUBLIC_API, "r8_two", "ada")
    assert why == "the system keyring did not answer"
    assert other.find(PUBLIC_API).text == "r8_two"  # in memory
    with pytest.raises(CellError, match="remove the entry replicate_magic there by hand"):
        other.forget(PUBLIC_API)


# -- whatever lies there ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"=" * 2_000_000, b"REPLICATE_API_TOKEN", b"[1]"]
)
def test_nothing_that_lies_there_raises(place, home, content):
    hosts = write_hosts(place, "")
    home.mkdir()
    for path in (place / "project" / ".env", hosts, home / "logins.json"):
        path.write_bytes(content)
    (place / "project" / "notebooks" / ".env").mkdir()

    assert found() == ("", "")


def test_a_working_directory_that_is_gone_raises_nothing(tmp_path, monkeypatch):
    if os.name != "posix":
        pytest.skip("a folder in use cannot be removed here")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert found() == ("", "")


def test_a_colab_notebook_without_the_secret_is_not_asked_at_every_call(colab):
    asked = []

    def refuse(name):
        asked.append(name)
        raise TimeoutError(name)

    sys.modules["google.colab.userdata"].get = refuse

    assert [found() for _ in range(3)] == [("", "")] * 3
    assert asked == ["REPLICATE_API_TOKEN"]


def test_finding_it_is_cheap(place):
    (place / ".env").write_text("# nothing\n" * 1_000)
    write_hosts(place, "api.replicate.com:\n  token: r8_a\n" + "# more\n" * 1_000)
    assert found()[0] == "r8_a"
    began_s = time.perf_counter()
    for _ in range(200):
        found()

    assert (time.perf_counter() - began_s) / 200 < 0.001
