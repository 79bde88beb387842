"""Owns where a target runs: the configured API, or the embedded engine, which it starts.

It must not send a request itself.
"""

from __future__ import annotations

import os
import socket
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import errors, tokens
from replicate_magic.api import protocol

if TYPE_CHECKING:
    from replicate_magic.cell.plan import Target
    from replicate_magic.local import Engine

_WANTED = (
    "{base} wants an API token for {what}, and there is none: %replicate login asks for one, or "
    "set REPLICATE_API_TOKEN."
)
_WITHOUT_ACCOUNT = (
    "There is no API token, which {target} needs. Get one at "
    "https://replicate.com/account/api-tokens, then %replicate login asks for it; or set "
    "REPLICATE_API_TOKEN, here for example with\n"
    '  import os, getpass; os.environ["REPLICATE_API_TOKEN"] = getpass.getpass()\n'
    "{elsewhere}Models named local/… run on this machine and need none: "
    "%%replicate local/smollm2-135m-instruct"
)
_MEANT_ELSEWHERE = (
    "The one in {source} is for {origin}, and is not sent to {base}: REPLICATE_BASE_URL names the "
    "address, in a .env that of its own token.\n"
)
_ELSEWHERE = (
    "This prediction was made at {base}. To ask there, set REPLICATE_BASE_URL to that, and "
    "REPLICATE_API_TOKEN to its token."
)
_CONNECT_S = 1.0


class Endpoint(NamedTuple):
    """Where an API is, and the token for it."""

    base: str
    token: str

    def __repr__(self) -> str:
        return f"<Endpoint {self.base}>"


class Endpoints:
    """The API that the environment names, and the one embedded engine of this process."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._starting = Lock()  # one engine, whoever asks first

    def of(self, target: Target) -> Endpoint:
        """Where a target runs: the embedded engine for `local/…`, else the configured API.

        A `REPLICATE_BASE_URL` on this machine is taken for an engine that was started by hand. A
        Cog server is where it says, and is never sent the token.

        Raises:
            EngineUnavailable: the embedded engine does not start.
            Unauthorized: there is no token.
        """
        if target.kind == "cog":
            return Endpoint(str(target), "")
        if self.is_embedded(target):
            return self._embedded()
        configured = self.configured()
        if not configured.token and not protocol.is_here(configured.base):
            raise _without_account(target, configured.base)
        return configured

    def unused(self, target: Target) -> Endpoint:
        """Where a target would run, for what must not be sent: no engine, and no token."""
        return Endpoint("local" if target.is_local else configured_base(), "")

    def configured(self) -> Endpoint:
        """The API that the environment names, and the token for it; found anew at every call."""
        base = configured_base()
        return Endpoint(base, tokens.find(base).text)

    def at(self, base: str) -> Endpoint:
        """The endpoint of this base URL: a prediction's row tells where it was made.

        Raises:
            NotFound: it was an engine or a Cog server on this machine that has ended, with all
                that it knew.
            Unauthorized: it is another API than the one that is set, or there is no token for it.
        """
        if not base.endswith("/v1"):  # as every API's does: a Cog server's
            if protocol.is_here(base) and not _answers(base):
                raise errors.NotFound(f"The server at {base} has ended.", status=404)
            return Endpoint(base, "")
        configured, engine = self.configured(), self._engine
        if _same(configured.base, base):
            if not configured.token and not protocol.is_here(base):
                raise _without_account(base, base)
            return configured
        if engine and engine.alive and protocol.base_url(engine.base_url) == base:
            return Endpoint(base, engine.token)
        if protocol.is_here(base) and not _answers(base):
            raise errors.NotFound(f"The engine at {base} has ended.", status=404)
        raise errors.Unauthorized(_ELSEWHERE.format(base=base), status=401)

    @staticmethod
    def is_embedded(target: Target) -> bool:
        """Whether it runs on this process's own engine."""
        return target.is_local and not protocol.is_here(configured_base())

    @staticmethod
    def needs_token(base: str) -> bool:
        """Whether nobody answers at an address without a token: an engine of this machine may."""
        return not protocol.is_here(base)

    def is_gone(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint was the embedded engine, and its process has ended."""
        engine = self._engine
        ours = engine is not None and protocol.base_url(engine.base_url) == endpoint.base
        return bool(ours and engine and not engine.alive)

    @property
    def engine(self) -> str:
        """The address of the embedded engine, while it runs; else an empty string."""
        return self._engine.base_url if self._engine and self._engine.alive else ""

    def close(self) -> None:
        """End the embedded engine."""
        engine, self._engine = self._engine, None
        if engine:
            engine.close()

    def started(self) -> Engine:
        """The embedded engine, which is started where it does not run.

        Raises:
            EngineUnavailable: it does not start, or its extra is not installed.
        """
        from replicate_magic import local

        with self._starting:
            if self._engine is None or not self._engine.alive:
                try:
                    self._engine = local.serve()
                except local.EngineError as error:
                    raise errors.EngineUnavailable(str(error)) from error
            return self._engine

    def _embedded(self) -> Endpoint:
        engine = self.started()
        return Endpoint(protocol.base_url(engine.base_url), engine.token)


def embedded_schemas() -> dict[str, dict[str, Any]]:
    """The OpenAPI schemas of the embedded engine's models, by name; it is not started for that."""
    from replicate_magic.local import catalog

    return catalog.schemas()


def embedded_models() -> dict[str, str]:
    """What the embedded engine's models are, by name; it is not started for that."""
    from replicate_magic.local import catalog

    return {info.full_name: info.description for info in catalog.INFOS}


def configured_base() -> str:
    """The address of the API that the environment names.

    Raises:
        CellError: it is none.
    """
    return protocol.base_url(os.environ.get("REPLICATE_BASE_URL"))


def without_token(base: str, what: str) -> errors.Unauthorized:
    """The error where an API wants a token for something, and there is none."""
    return errors.Unauthorized(_WANTED.format(base=base, what=what), status=401)


def _without_account(target: object, base: str) -> errors.Unauthorized:
    told = ""
    if (held := tokens.meant_elsewhere(base)).text:
        told = _MEANT_ELSEWHERE.format(
            source=held.source, origin=tokens.place_of(held.base), base=tokens.place_of(base)
        )
    return errors.Unauthorized(_WITHOUT_ACCOUNT.format(target=target, elsewhere=told), status=401)


def _same(base: str, other: str) -> bool:
    """Whether two addresses are one API's; this machine has several names for itself."""
    if base == other:
        return True
    (scheme, _, port), (other_scheme, _, other_port) = map(protocol.origin, (base, other))
    here = protocol.is_here(base) and protocol.is_here(other)
    return here and (scheme, port) == (other_scheme, other_port)


def _answers(base: str) -> bool:
    """Whether anybody listens at an address of this machine."""
    _, host, port = protocol.origin(base)
    try:
        with socket.create_connection((host, port or 0), timeout=_CONNECT_S):
            return True
    except OSError:
        return False
