"""What the routes share: the parts of the engine, and the model that a request names.

Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from . import problems
from .model import OWNER, Model
from .schema import version_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from .files import Files
    from .predictions import Predictions
    from .runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The parts of one engine.

    Attributes:
        base_url: Where it is reached, without `/v1`.
    """

    base_url: str
    models: Sequence[Model]
    predictions: Predictions
    files: Files
    runner: Runner

    def model(self, owner: str, name: str) -> Model:
        """The model `owner/name`.

        Raises:
            Problem: 404 if there is none.
        """
        for model in self.models:
            if (owner, name) == (OWNER, model.info.name):
                return model
        raise problems.not_found()

    def model_of_version(self, version: str) -> Model:
        """The model that `owner/name`, `owner/name:ID` or a bare version id names.

        Raises:
            Problem: 422 if there is none.
        """
        for model in self.models:
            name, identity = model.info.full_name, version_id(model.info)
            if version in {name, identity, f"{name}:{identity}"}:
                return model
        raise problems.unknown_version()


def state_of(request: Request) -> State:
    """The parts of the engine that *request* came to."""
    return cast("State", request.app.state.parts)
