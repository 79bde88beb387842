"""Routes that create, show, list, cancel and stream predictions.

Reads requests and writes answers; what happens is in `runner` and `predictions`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from . import problems, sse
from .bodies import read_json
from .paging import page_json
from .predictions import Prediction, now, to_json
from .problems import Problem
from .schema import body_schema, version_id
from .state import state_of
from .validate import invalid_fields
from .wire import parse_duration, parse_timestamp, parse_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from .model import Model

KEEP_ALIVE_S = 15.0


async def create_by_version(request: Request) -> Response:
    """`POST /predictions`."""
    body = await read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("version"), str):
        schema = {
            "type": "object",
            "required": ["version", "input"],
            "properties": {"version": {"type": "string"}},
        }
        raise problems.invalid_input(list(invalid_fields(schema, body)))
    model = state_of(request).model_of_version(body["version"])
    return await _create(request, model, body, with_version=True)


async def create_by_model(request: Request) -> Response:
    """`POST /models/{owner}/{name}/predictions`."""
    model = state_of(request).model(**request.path_params)
    return await _create(request, model, await read_json(request))


async def create_by_deployment(request: Request) -> Response:
    """`POST /deployments/{owner}/{name}/predictions`."""
    model = state_of(request).model(**request.path_params)
    body = await read_json(request)
    return await _create(request, model, body, deployment=model.info.full_name)


async def get(request: Request) -> Response:
    """`GET /predictions/{id}`."""
    return JSONResponse(to_json(_named(request), state_of(request).base_url))


async def cancel(request: Request) -> Response:
    """`POST /predictions/{id}/cancel`; one that has ended stays as it is."""
    prediction = _named(request)
    await state_of(request).runner.cancel(prediction)
    return JSONResponse(to_json(prediction, state_of(request).base_url))


async def list_all(request: Request) -> Response:
    """`GET /predictions`."""
    state = state_of(request)
    query = request.query_params
    after, before = _time(query.get("created_after")), _time(query.get("created_before"))
    chosen = [
        prediction
        for prediction in state.predictions.newest_first()
        if (after is None or prediction.created_at >= after)
        and (before is None or prediction.created_at < before)
    ]
    match query.get("source"):
        case None:
            pass
        case "web":
            # Nothing here was made on a web page.
            chosen = []
        case _:
            raise Problem(422, 'source must be "web"', title="Invalid query")
    return JSONResponse(
        page_json(
            request,
            chosen,
            key=lambda prediction: prediction.sequence,
            show=lambda prediction: to_json(prediction, state.base_url),
        )
    )


async def stream(request: Request) -> Response:
    """`GET /streams/{token}`: the events from the start, or after `Last-Event-ID`."""
    prediction = state_of(request).predictions.by_stream(request.path_params["token"])
    if prediction is None:
        raise problems.not_found()
    last = sse.parse_id(request.headers.get("last-event-id"))
    return StreamingResponse(
        _frames(prediction, last),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _frames(prediction: Prediction, last: tuple[int, int] | None) -> AsyncIterator[str]:
    yield sse.GREETING
    while True:
        changed = prediction.changed
        if events := prediction.events_after(last):
            last = events[-1].id
            yield "".join(map(sse.encode, events))
        if prediction.is_final:
            return
        try:
            await asyncio.wait_for(changed.wait(), KEEP_ALIVE_S)
        except TimeoutError:
            yield sse.KEEP_ALIVE


async def _create(
    request: Request,
    model: Model,
    body: Any,
    *,
    deployment: str | None = None,
    with_version: bool = False,
) -> Response:
    state = state_of(request)
    if wrong := list(invalid_fields(body_schema(model.info, with_version=with_version), body)):
        raise problems.invalid_input(wrong)
    lifetime_s = _lifetime_s(request)
    prediction = _new(model, body, deployment=deployment, lifetime_s=lifetime_s)
    state.predictions.add(prediction)
    state.runner.submit(prediction)
    headers = {}
    if preference := parse_wait(request.headers.get("prefer", "")):
        headers["preference-applied"], wait_s = preference
        await prediction.until_final(wait_s)
    return JSONResponse(to_json(prediction, state.base_url), status_code=201, headers=headers)


def _new(
    model: Model, body: dict[str, Any], *, deployment: str | None, lifetime_s: int
) -> Prediction:
    created_at = now()
    webhook: dict[str, Any] = {
        name: body[name] for name in ("webhook", "webhook_events_filter") if name in body
    }
    prediction = Prediction(
        model=model.info.full_name,
        version=version_id(model.info),
        input=body["input"],
        output_is_list=model.info.output_schema["type"] == "array",
        created_at=created_at,
        deployment=deployment,
        deadline=created_at + timedelta(seconds=lifetime_s) if lifetime_s else None,
        webhook=webhook,
    )
    for name in sorted(body["input"].keys() - model.info.input_schema["properties"].keys()):
        prediction.add_log(f"Unknown input {name!r} was ignored.\n")
    if webhook:
        prediction.add_log("The embedded engine sends no webhooks.\n")
    return prediction


def _named(request: Request) -> Prediction:
    prediction = state_of(request).predictions.get(request.path_params["id"])
    if prediction is None:
        raise problems.not_found()
    return prediction


def _lifetime_s(request: Request) -> int:
    """The seconds of `Cancel-After`, 0 without one."""
    text = request.headers.get("cancel-after")
    if text is None:
        return 0
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Problem(422, f"Cancel-After: {error}", title="Invalid Cancel-After") from error


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise Problem(422, f"{text!r} is not an ISO 8601 time", title="Invalid query") from error


ROUTES = [
    Route("/predictions", create_by_version, methods=["POST"]),
    Route("/predictions", list_all, methods=["GET"]),
    Route("/predictions/{id}", get, methods=["GET"]),
    Route("/predictions/{id}/cancel", cancel, methods=["POST"]),
    Route("/models/{owner}/{name}/predictions", create_by_model, methods=["POST"]),
    Route("/deployments/{owner}/{name}/predictions", create_by_deployment, methods=["POST"]),
    Route("/streams/{token}", stream, methods=["GET"]),
]
