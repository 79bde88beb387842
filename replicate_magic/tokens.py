"""Owns where the API token comes from, and for which address it is; must not send or show it.

A token that is stored goes only where it was stored for. `REPLICATE_API_TOKEN` goes to whatever
`REPLICATE_BASE_URL` names, both being the environment's. A `.env` names its address by the same two
variables, and where it names none its token is for the public API, as a Colab secret is. The
Replicate CLI's login file and the keyring keep tokens by their address.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import bridge
from replicate_magic.api import protocol
from replicate_magic.errors import CellError
from replicate_magic.filed import Filed, replace_file
from replicate_magic.runs.history import home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TOKEN = "REPLICATE_API_TOKEN"  # noqa: S105  (the variable's name)
_BASE = "REPLICATE_BASE_URL"
_SERVICE = "replicate_magic"
_LOGINS = "logins.json"
_KEYRING_S = 20.0  # a keyring that is locked may ask its owner meanwhile
_REST_S = 60.0  # who has not given a token is not asked again for so long


class Token(NamedTuple):
    """A token, where it was found, and the address that it is for."""

    text: str
    source: str
    base: str

    def __repr__(self) -> str:
        return f"<Token from {self.source}>"


NONE = Token("", "", "")


def find(base: str) -> Token:
    """The token for an API, of the first place that has one; `NONE` where none has.

    It raises nothing, and costs a few looks at the file system.

    Args:
        base: the API's address.
    """
    return next((held for held in _held(base) if _suits(held, base)), NONE)


def meant_elsewhere(base: str) -> Token:
    """A token that is stored for another address than this; `NONE` where there is none."""
    stored = (*_of_colab(base), *_of_dotenv(base))
    return next((held for held in stored if not _suits(held, base)), NONE)


def _held(base: str) -> Iterator[Token]:
    """What each place has, in the order in which they count."""
    for place in (_of_environment, _of_colab, _of_dotenv, _of_command_line, _of_login):
        yield from place(base)


def _suits(held: Token, base: str) -> bool:
    return protocol.origin(held.base) == protocol.origin(base)


def _of_environment(base: str) -> Iterator[Token]:
    if text := protocol.clean_token(os.environ.get(TOKEN)):
        yield Token(text, TOKEN, base)


# -- Colab --------------------------------------------------------------------------------------


class _Colab:
    """The secrets of a Colab notebook; the page is asked for one, so it is kept."""

    def __init__(self) -> None:
        self._text = ""
        self._resting_until_s = 0.0

    def secret(self) -> str:
        """The token, where the notebook may read it."""
        if self._text or time.monotonic() < self._resting_until_s:
            return self._text
        try:
            userdata = importlib.import_module("google.colab.userdata")
            self._text = protocol.clean_token(str(userdata.get(TOKEN) or ""))
        except Exception:  # noqa: BLE001  (there is none, or the notebook may not read it)
            self._text = ""
        if not self._text:
            self._resting_until_s = time.monotonic() + _REST_S
        return self._text


_COLAB = _Colab()


def _of_colab(_base: str) -> Iterator[Token]:
    if "google.colab" in sys.modules and (text := _COLAB.secret()):
        yield Token(text, f"the Colab secret {TOKEN}", protocol.PUBLIC_API)


# -- .env ---------------------------------------------------------------------------------------

_LINE = re.compile(rf"\s*(?:export\s+)?({TOKEN}|{_BASE})\s*=\s*(.*)")
_VALUE = re.compile(r"""'([^']*)'|"([^"]*)"|(.*?)(?:\s+#.*)?$""")


def parse_env(text: str) -> dict[str, str]:
    """The two variables that a `.env` may name: `KEY=VALUE`, `export`, quotes, comments.

    A value that refers to another variable is passed over: it is none by itself.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if named := _LINE.fullmatch(line):
            value = _VALUE.match(named[2].strip())
            plain = next((part for part in value.groups() if part is not None), "") if value else ""
            found[named[1]] = "" if "$" in plain else plain.strip()
    return {name: value for name, value in found.items() if value}


_DOTENV: Filed[Mapping[str, str]] = Filed(parse_env, {})


def _of_dotenv(_base: str) -> Iterator[Token]:
    for folder in _folders():
        path = folder / ".env"
        found = _DOTENV.read(path)
        if text := protocol.clean_token(found.get(TOKEN)):
            yield Token(text, str(path), found.get(_BASE) or protocol.PUBLIC_API)
            return


def _folders() -> list[Path]:
    """The working directory and those above it, up to a repository's root or the user's home.

    Where neither is above, the working directory alone: what lies further up is not the project's.
    """
    try:
        here, user = Path.cwd(), Path.home()
    except (OSError, RuntimeError):
        return []
    folders = [here, *here.parents]
    for place, folder in enumerate(folders):
        if folder == user or (folder / ".git").exists():
            return folders[: place + 1]
    return [here]


# -- the Replicate CLI --------------------------------------------------------------------------


def parse_hosts(text: str) -> dict[str, str]:
    """The tokens by host of the CLI's login file: YAML of two levels, `host:` and `token: …`.

    Source: https://github.com/replicate/cli/blob/main/internal/config/auth.go
    """
    found: dict[str, str] = {}
    host = ""
    for line in text.splitlines():
        key, sign, value = line.partition(":")
        if not sign or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            host = protocol.clean_token(key).lower()
        elif key.strip() == "token" and host:
            found[host] = protocol.clean_token(value.split(" #")[0])
    return found


_HOSTS: Filed[Mapping[str, str]] = Filed(parse_hosts, {})


def _of_command_line(base: str) -> Iterator[Token]:
    scheme, host, port = protocol.origin(base)
    if (scheme, port) != ("https", 443) and not protocol.is_here(
        base
    ):  # the file knows hosts alone
        return
    try:
        folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    except RuntimeError:
        return
    path = Path(folder) / "replicate" / "hosts"
    if text := _HOSTS.read(path).get(host):
        yield Token(text, f"the Replicate CLI's login, {path}", base)


# -- %replicate login ---------------------------------------------------------------------------


def _parse_logins(text: str) -> dict[str, str]:
    found = json.loads(text)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(origin): str(name) for origin, name in pairs}


class Keyring:
    """The tokens that `%replicate login` was given.

    They are in the system's keyring, which may ask its owner to be unlocked: so a file tells for
    which addresses there is one, without the token, and nobody else's keyring is ever touched.
    """

    def __init__(self) -> None:
        self._logins: Filed[Mapping[str, str]] = Filed(_parse_logins, {})
        self._read: dict[str, tuple[Mapping[str, str], str]] = {}
        self._resting_until_s = 0.0
        self._in_memory: dict[str, str] = {}

    def find(self, base: str) -> Token:
        """The token for an address; `NONE` where there is none."""
        origin = place_of(base)
        if text := self._in_memory.get(origin):
            return Token(text, "%replicate login, for this kernel alone", base)
        logins = self._logins.read(home() / _LOGINS)
        if origin not in logins:
            return NONE
        known = self._read.get(origin)
        if known and known[0] is logins:  # the file is as it was
            return Token(known[1], "the system keyring", base)
        text = self._asked(origin)
        if not text:
            return NONE
        self._read[origin] = logins, text
        return Token(text, "the system keyring", base)

    def _asked(self, origin: str) -> str:
        if time.monotonic() < self._resting_until_s:
            return ""
        text = protocol.clean_token(_in_time(partial(_get, origin)))
        if not text:
            self._resting_until_s = time.monotonic() + _REST_S
        return text

    def keep(self, base: str, text: str, account: str) -> str:
        """Keep a token; why the keyring has not taken it, or an empty string.

        One that the keyring does not take is kept in memory.
        """
        origin = place_of(base)
        self._in_memory.pop(origin, None)
        self._resting_until_s = 0.0
        why = _in_time(partial(_set, origin, text))
        if why == "":
            try:
                self._note({origin: account})
            except OSError as error:
                why = f"{home() / _LOGINS}: {error.strerror}"
        if why != "":
            self._in_memory[origin] = text
        return "the system keyring did not answer" if why is None else why

    def forget(self, base: str) -> bool:
        """Take the token for an address away; whether there was one."""
        origin = place_of(base)
        was = self._in_memory.pop(origin, None) is not None
        logins = self._logins.read(home() / _LOGINS)
        if origin in logins:
            was = True
            if not _in_time(partial(_delete, origin)):
                raise CellError(
                    "The system keyring does not let the token go: remove the entry "
                    f"{_SERVICE} there by hand."
                )
            self._note({origin: None})
        return was

    def _note(self, change: Mapping[str, str | None]) -> None:
        logins = {**self._logins.read(home() / _LOGINS), **change}
        left = {origin: account for origin, account in logins.items() if account is not None}
        replace_file(home() / _LOGINS, json.dumps(left))


_KEYRING = Keyring()


def the_keyring() -> Keyring:
    """The tokens of `%replicate login`."""
    return _KEYRING


def _of_login(base: str) -> Iterator[Token]:
    if (held := _KEYRING.find(base)).text:
        yield held


def place_of(base: str) -> str:
    """An address as the keyring knows it, and as it may be shown: the origin alone."""
    scheme, host, port = protocol.origin(base)
    return f"{scheme}://{host}" + ("" if port in {80, 443, None} else f":{port}")


def _get(name: str) -> str:
    import keyring

    return keyring.get_password(_SERVICE, name) or ""


def _set(name: str, text: str) -> str:
    """Have the keyring keep a token; why it did not, or an empty string."""
    try:
        import keyring
    except ImportError:
        return 'the library for it is missing: pip install "replicate-magic[keyring]"'
    if getattr(keyring.get_keyring(), "priority", 0) < 1:  # none, or one that writes plain files
        return "this system has no keyring"
    keyring.set_password(_SERVICE, name, text)
    return "" if keyring.get_password(_SERVICE, name) == text else "the system keyring lost it"


def _delete(name: str) -> bool:
    import keyring

    if keyring.get_password(_SERVICE, name) is not None:
        keyring.delete_password(_SERVICE, name)
    return True


def _in_time(work: Callable[[], Any]) -> Any:
    """What a keyring gives; `None` where it fails, or waits for somebody who is not there."""

    async def working(_: object) -> Any:
        try:
            return await asyncio.wait_for(bridge.apart(work), _KEYRING_S)
        except Exception:  # noqa: BLE001  (its backends raise what they like, and may quote the token)
            return None

    call: bridge.Call[Any, Any] = bridge.Call(working)
    with bridge.entered(call):
        while not call.wait(bridge.SLICE_S):
            pass
        return call.result()
