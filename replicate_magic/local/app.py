"""The engine as an ASGI application.

Only wiring: puts models, records, queues and routes together.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount

from . import api_files, api_models, api_predictions, problems
from .files import Files
from .guard import Guard
from .predictions import Predictions
from .problems import Problem
from .runner import Runner
from .smollm2 import SmolLM2
from .state import State
from .waifu2x import Waifu2x

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from .files import StoredFile
    from .model import Model


def default_models(home: Path) -> list[Model]:
    """The models of the engine, in the order they are listed."""
    return [SmolLM2(home), Waifu2x()]


def create_app(*, base_url: str, token: str, models: Sequence[Model]) -> Starlette:
    """The application.

    Args:
        base_url: Where it will be reached, without `/v1`; all URLs in answers begin with it.
        token: What a request must carry.
        models: What it runs.
    """
    parts = _parts(base_url, models)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        parts.runner.start()
        yield
        await parts.runner.stop()
        parts.files.close()

    routes = [*api_predictions.ROUTES, *api_models.ROUTES, *api_files.ROUTES]
    app = Starlette(
        routes=[Mount("/v1", routes=routes)],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={
            Problem: problems.on_problem,
            HTTPException: problems.on_http_error,
            Exception: problems.on_crash,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.parts = parts
    return app


def _parts(base_url: str, models: Sequence[Model]) -> State:
    predictions = Predictions()
    files = Files()

    def keep_file(file: StoredFile) -> str:
        files.add(file)
        return base_url + files.signed_path(file)

    def reachable(url: str) -> str:
        file = files.get(url.removeprefix(f"{base_url}/v1/files/").removesuffix("/download"))
        return base_url + files.signed_path(file) if file else url

    return State(
        base_url=base_url,
        models=models,
        predictions=predictions,
        files=files,
        runner=Runner(models, predictions, keep_file=keep_file, reachable=reachable),
    )
