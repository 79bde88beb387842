"""Owns `%replicate serve`: the embedded engine for whoever else in this kernel wants one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicate_magic.api.protocol import is_here
from replicate_magic.endpoint import configured_base, embedded_models
from replicate_magic.errors import CellError
from replicate_magic.session import the_session
from replicate_magic.views.facts import facts_bundle

if TYPE_CHECKING:
    from replicate_magic.local import Engine

_ENDS = "with this kernel, with %unload_ext, or by %replicate serve --stop"
_CLIENT = "replicate.Client(base_url=_.base_url, api_token=_.token)"
_ELSEWHERE = "Cells with local/… run at {base}, as REPLICATE_BASE_URL says, and not here."
_ENDED = "The engine has ended. A cell with local/… starts it anew."
_NONE = "No engine runs in this kernel: %replicate serve, or a cell with local/…, starts one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The engine that this kernel's `local/…` cells run on. It shows itself, without its token.

    Attributes:
        base_url: where it is, such as `http://127.0.0.1:43211`, without `/v1`.
        token: what it wants as bearer token; another one each time it starts.
        models: what it runs: what each is, by name.
    """

    base_url: str
    token: str = field(repr=False)
    models: dict[str, str]
    _engine: Engine = field(repr=False)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._engine.alive

    def close(self) -> None:
        """End it, and what it is running; again does nothing."""
        self._engine.close()

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        facts = {
            "engine": self.base_url if self.alive else f"has ended; it was at {self.base_url}",
            "token": "in .token, and shown nowhere",
            "models": "\n".join(f"{name}: {told}" for name, told in self.models.items()),
            "client": _CLIENT,
            "ends": _ENDS,
        }
        base = configured_base()
        return facts_bundle(facts, [_ELSEWHERE.format(base=base)] if is_here(base) else [])


def serve() -> Served:
    """Start the engine, or give the one that runs.

    Raises:
        EngineUnavailable: it does not start, or its extra is not installed.
    """
    engine = the_session().endpoints.started()
    return Served(
        base_url=engine.base_url, token=engine.token, models=embedded_models(), _engine=engine
    )


def stop() -> str:
    """End the engine; that in a sentence.

    Raises:
        CellError: none runs.
    """
    endpoints = the_session().endpoints
    if not endpoints.engine:
        raise CellError(_NONE)
    endpoints.close()
    return _ENDED
