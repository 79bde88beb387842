"""Owns whose token it is: asking the API for the account, logging in and out; must not show one."""

from __future__ import annotations

import getpass
import warnings
from dataclasses import dataclass

from replicate_magic import tokens
from replicate_magic.api.protocol import authorization, clean_token
from replicate_magic.endpoint import Endpoint, configured_base
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line
from replicate_magic.session import the_session
from replicate_magic.views import find_place

_LOGIN_S = 15.0
_PROMPT = "Replicate API token, from https://replicate.com/account/api-tokens (it is not shown): "
_BY_HAND = (
    "Set REPLICATE_API_TOKEN where Jupyter is started, or write it into a .env file beside the "
    "notebook."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What came of logging in or out.

    Attributes:
        account: whose token it is; empty after logging out.
        told: what became of the token, for people.
    """

    account: str
    told: str

    def __str__(self) -> str:
        return self.told

    def _repr_pretty_(self, printer: object, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        printer.text(self.told)  # type: ignore[attr-defined]  # IPython's own printer


def account_name(endpoint: Endpoint, *, within_s: float) -> str:
    """Whose token an endpoint has: the name, and whether it is a user or an organization.

    Raises:
        Unauthorized: the API does not know the token.
        ReplicateMagicError: it could not be found out in that time.
    """
    raw = the_session().account(endpoint, within_s=within_s)
    name, kind = one_line(str(raw.get("username") or "")), one_line(str(raw.get("type") or ""))
    return f"{name or 'unnamed'} ({kind})" if kind else name or "unnamed"


def login() -> Login:
    """Ask for a token, which is not shown, check it, and keep it in the system's keyring.

    Without a keyring it holds until the process ends. It goes to the API that `REPLICATE_BASE_URL`
    names, or the public one, and nowhere else.

    Raises:
        CellError: nobody can be asked, or nothing was entered.
        Unauthorized: the API does not know the token.
        ReplicateMagicError: the API is out of reach.
    """
    base = configured_base()
    text = _asked()
    name = account_name(Endpoint(base, text), within_s=_LOGIN_S)
    why = tokens.the_keyring().keep(base, text, name)
    kept = "The token is kept in the system keyring; %replicate logout takes it away."
    if why:
        kept = f"The token holds until this kernel ends, since {why}. {_BY_HAND}"
    told = f"Logged in to {tokens.place_of(base)} as {name}. {kept}"
    found = tokens.find(base)
    if found.text != text:
        told += f" But the token from {found.source} goes before it."
    return Login(account=name, told=told)


def logout() -> Login:
    """Take away the token that `login` was given.

    Raises:
        CellError: the keyring does not let it go.
    """
    base = configured_base()
    was = tokens.the_keyring().forget(base)
    told = "The token is gone." if was else "There was no token of %replicate login."
    if (found := tokens.find(base)).text:
        told += f" The one from {found.source} is used."
    return Login(account="", told=told)


def _asked() -> str:
    if find_place() == "headless":
        raise CellError(f"Nobody is here who could enter a token. {_BY_HAND}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown
            text = clean_token(getpass.getpass(_PROMPT))
    except (getpass.GetPassWarning, NotImplementedError, EOFError, OSError) as error:
        raise CellError(
            f"A token cannot be entered here without being shown. {_BY_HAND}"
        ) from error
    if not text:
        raise CellError("Nothing was entered.")
    authorization(text)  # which refuses what no header can carry
    return text
