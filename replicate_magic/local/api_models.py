"""Routes about what there is: models, deployments, collections, search, the account.

Nothing here changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from . import problems
from .bodies import read_body
from .model import OWNER, Model, ModelInfo
from .paging import page_json
from .problems import Problem
from .schema import deployment_json, example_json, model_json, version_id, version_json
from .state import State, state_of

if TYPE_CHECKING:
    from starlette.requests import Request

QUERY_MAX_BYTES = 10_000
SEARCH_LIMIT = 20
SEARCH_LIMIT_MAX = 50
COLLECTION = {
    "name": "On this machine",
    "slug": "local",
    "description": "Models that run on this machine, with no account.",
}
TAGS = ["local", "demo"]


async def list_models(request: Request) -> Response:
    """`GET /models`."""
    state = state_of(request)
    return JSONResponse(page_json(request, state.models, show=lambda model: _show(state, model)))


async def query_models(request: Request) -> Response:
    """`QUERY /models`, the words to look for as plain text."""
    state = state_of(request)
    body = await read_body(request, max_bytes=QUERY_MAX_BYTES, detail="The query is too long")
    found = [model for model, _ in _find(state, body.decode("utf-8", "replace"))]
    return JSONResponse(page_json(request, found, show=lambda model: _show(state, model)))


async def get_model(request: Request) -> Response:
    """`GET /models/{owner}/{name}`."""
    state = state_of(request)
    return JSONResponse(_show(state, _named(request)))


async def list_versions(request: Request) -> Response:
    """`GET /models/{owner}/{name}/versions`; a model here has one."""
    return JSONResponse(page_json(request, [_named(request).info], show=version_json))


async def get_version(request: Request) -> Response:
    """`GET /models/{owner}/{name}/versions/{id}`."""
    info = _named(request).info
    if request.path_params["id"] != version_id(info):
        raise problems.not_found()
    return JSONResponse(version_json(info))


async def list_examples(request: Request) -> Response:
    """`GET /models/{owner}/{name}/examples`."""
    base_url = state_of(request).base_url
    infos = [_named(request).info]
    return JSONResponse(
        page_json(request, infos, show=lambda info: example_json(info, base_url=base_url))
    )


async def get_readme(request: Request) -> Response:
    """`GET /models/{owner}/{name}/readme`."""
    return PlainTextResponse(_named(request).info.readme)


async def search(request: Request) -> Response:
    """`GET /search`."""
    state = state_of(request)
    query = request.query_params.get("query", "")
    if not query.strip():
        raise Problem(400, 'Query parameter "query" is required')
    found = _find(state, query)
    models = [
        {
            "model": _show(state, model),
            "metadata": {
                "generated_description": model.info.description,
                "tags": TAGS,
                "score": score,
            },
        }
        for model, score in found[: _limit(request)]
    ]
    names = [model.info.full_name for model, _ in found]
    collections = [{**COLLECTION, "models": names}] if found else []
    return JSONResponse({"query": query, "models": models, "collections": collections, "pages": []})


async def list_deployments(request: Request) -> Response:
    """`GET /deployments`: one for each model, of the same name."""
    infos = [model.info for model in state_of(request).models]
    return JSONResponse(page_json(request, infos, show=deployment_json))


async def get_deployment(request: Request) -> Response:
    """`GET /deployments/{owner}/{name}`."""
    return JSONResponse(deployment_json(_named(request).info))


async def list_collections(request: Request) -> Response:
    """`GET /collections`."""
    return JSONResponse(page_json(request, [COLLECTION], show=dict))


async def get_collection(request: Request) -> Response:
    """`GET /collections/{slug}`."""
    if request.path_params["slug"] != COLLECTION["slug"]:
        raise problems.not_found()
    state = state_of(request)
    models = [_show(state, model) for model in state.models]
    return JSONResponse({**COLLECTION, "full_description": None, "models": models})


async def get_account(_request: Request) -> Response:
    """`GET /account`."""
    return JSONResponse({"type": "user", "username": OWNER, "name": "This machine"})


async def list_hardware(_request: Request) -> Response:
    """`GET /hardware`."""
    return JSONResponse([{"name": "CPU", "sku": "cpu"}])


async def list_nothing(request: Request) -> Response:
    """What an account without any is answered, e.g. for `GET /trainings`."""
    return JSONResponse(page_json(request, list[Any](), show=dict))


def _find(state: State, query: str) -> list[tuple[Model, float]]:
    """The models that fit, the best first."""
    scored = [(model, _relevance(model.info, query)) for model in state.models]
    found = [(model, score) for model, score in scored if score > 0]
    return sorted(found, key=lambda pair: -pair[1])


def _relevance(info: ModelInfo, query: str) -> float:
    """The part of the words of *query* that name or description have."""
    words = query.lower().split()
    text = f"{info.full_name} {info.description}".lower()
    return sum(word in text for word in words) / len(words) if words else 1.0


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(SEARCH_LIMIT))
    if not text.isdecimal() or not 1 <= int(text) <= SEARCH_LIMIT_MAX:
        raise Problem(400, f'Query parameter "limit" must be between 1 and {SEARCH_LIMIT_MAX}')
    return int(text)


def _show(state: State, model: Model) -> dict[str, Any]:
    return model_json(
        model.info,
        base_url=state.base_url,
        run_count=state.runner.run_counts[model.info.full_name],
        unavailable=model.unavailable(),
    )


def _named(request: Request) -> Model:
    return state_of(request).model(request.path_params["owner"], request.path_params["name"])


_MODEL = "/models/{owner}/{name}"

ROUTES = [
    Route("/account", get_account, methods=["GET"]),
    Route("/collections", list_collections, methods=["GET"]),
    Route("/collections/{slug}", get_collection, methods=["GET"]),
    Route("/deployments", list_deployments, methods=["GET"]),
    Route("/deployments/{owner}/{name}", get_deployment, methods=["GET"]),
    Route("/hardware", list_hardware, methods=["GET"]),
    Route("/models", list_models, methods=["GET"]),
    Route("/models", query_models, methods=["QUERY"]),
    Route(_MODEL, get_model, methods=["GET"]),
    Route(f"{_MODEL}/versions", list_versions, methods=["GET"]),
    Route(f"{_MODEL}/versions/{{id}}", get_version, methods=["GET"]),
    Route(f"{_MODEL}/examples", list_examples, methods=["GET"]),
    Route(f"{_MODEL}/readme", get_readme, methods=["GET"]),
    Route("/search", search, methods=["GET"]),
    Route("/trainings", list_nothing, methods=["GET"]),
]
