"""The text model `local/smollm2-135m-instruct`: SmolLM2 run by llama.cpp.

The only user of xllamacpp. Knows no queue and no HTTP.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from .model import Emit, Log, Metrics, ModelError, ModelInfo, Output
from .smollm2_info import INFO, WEIGHTS
from .weights import Canceled, fetch

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

CONTEXT_TOKENS = 2048
# llama.cpp asks whether to stop once a batch: 64 tokens are about half a second on a slow core.
BATCH_TOKENS = 64
PROMPT_MAX_CHARS = 100_000
# Grammars are compiled in native code that nothing interrupts, and that gets slow without bound.
SCHEMA_MAX_CHARS = 8_000
SCHEMA_MAX_DEPTH = 32
SEED_MAX = 2**32 - 2

_NATIVE_PREFIX = "Automatic parser generation failed: "


class SmolLM2:
    """The model; its weights are fetched and loaded when they are first needed.

    Args:
        home: The folder that keeps the weights.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server: Any = None

    @property
    def info(self) -> ModelInfo:
        """See `Model`."""
        return INFO

    def unavailable(self) -> str | None:
        """See `Model`."""
        if importlib.util.find_spec("xllamacpp"):
            return None
        return (
            "local/smollm2-135m-instruct needs xllamacpp, which is not installed here: "
            "pip install xllamacpp (there are wheels for Linux, macOS and Windows)."
        )

    def prepare(self, emit: Emit, canceled: threading.Event) -> None:
        """See `Model`."""
        if self._server is not None:
            return
        try:
            path = fetch(
                WEIGHTS,
                home=self._home,
                log=lambda text: emit(Log(text=text)),
                canceled=canceled,
            )
        except Canceled:
            return
        self._server = _load(path)

    def run(self, input: Mapping[str, Any], emit: Emit, canceled: threading.Event) -> None:  # noqa: A002 - Replicate's name
        """See `Model`."""
        _refuse_excess(input)
        seed = input.get("seed")
        if seed is None:
            seed = secrets.randbelow(SEED_MAX)
            emit(Log(text=f"Using seed: {seed}\n"))
        request = chat_request(input, seed=seed, reuse_prefix="seed" not in input)
        answer = _Answer(emit, canceled)
        try:
            self._server.handle_chat_completions(request, answer)
        except (ValueError, RuntimeError) as error:
            raise ModelError(_plain(str(error))) from error
        answer.finish(max_tokens=input["max_tokens"])


def chat_request(input: Mapping[str, Any], *, seed: int, reuse_prefix: bool) -> dict[str, Any]:  # noqa: A002 - Replicate's name
    """The chat completion that llama.cpp is asked for.

    Args:
        input: Valid input of the model, defaults filled in.
        seed: What decides the choice of words.
        reuse_prefix: Keep the computed prefix of the prompt before. Faster, but rounding then
            depends on what ran before, so a given seed goes without.
    """
    request = {
        "messages": _messages(input),
        "seed": seed,
        "stream": True,
        "cache_prompt": reuse_prefix,
        "timings_per_token": True,
        "return_progress": True,
    }
    for name in ("max_tokens", "temperature", "top_p", "repeat_penalty"):
        request[name] = input[name]
    if (schema := input.get("json_schema")) is not None:
        request["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": schema},
        }
    return request


def _messages(input: Mapping[str, Any]) -> list[dict[str, str]]:  # noqa: A002 - Replicate's name
    """What the model is to go on with.

    Raises:
        ModelError: If there is nothing to answer.
    """
    if said := input["messages"]:
        return [{"role": one["role"], "content": one["content"]} for one in said]
    if "prompt" not in input:
        raise ModelError("There is nothing to answer: give a prompt, or messages.")
    return [
        {"role": "system", "content": input["system_prompt"]},
        {"role": "user", "content": input["prompt"]},
    ]


class _Answer:
    """Takes llama.cpp's chunks as they come; called from native code, so it never raises."""

    def __init__(self, emit: Emit, canceled: threading.Event) -> None:
        self._emit = emit
        self._canceled = canceled
        self._began = time.monotonic()
        self._timings: dict[str, Any] = {}
        self._first_token_s: float | None = None
        self._finish_reason: str | None = None
        self._error: dict[str, Any] | None = None
        self._crash: Exception | None = None

    def __call__(self, chunk: dict[str, Any]) -> bool:
        """Take one chunk; whether llama.cpp should stop."""
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001 - raised again in finish
            self._crash = error
            return True
        return self._canceled.is_set()

    def finish(self, *, max_tokens: int) -> None:
        """Tell the figures, and raise what went wrong.

        Raises:
            ModelError: If llama.cpp refused or broke off.
        """
        if self._crash is not None:
            raise self._crash
        if self._error is not None:
            raise ModelError(_explain(self._error))
        self._emit(Metrics(values=figures(self._timings, first_token_s=self._first_token_s)))
        if self._finish_reason == "length":
            told = self._timings.get("predicted_n", 0)
            limit = "max_tokens" if told >= max_tokens else f"the context of {CONTEXT_TOKENS}"
            self._emit(Log(text=f"Stopped after {told} tokens: {limit} was reached.\n"))

    def _take(self, chunk: dict[str, Any]) -> None:
        self._error = chunk.get("error", self._error)
        self._timings = chunk.get("timings", self._timings)
        for choice in chunk.get("choices", ()):
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            if text := choice["delta"].get("content"):
                if self._first_token_s is None:
                    self._first_token_s = time.monotonic() - self._began
                self._emit(Output(value=text))


def figures(timings: Mapping[str, Any], *, first_token_s: float | None) -> dict[str, float]:
    """The metrics that llama.cpp's last *timings* allow, none for what was not reached."""
    values: dict[str, float] = {}
    if "prompt_n" in timings:
        values["input_token_count"] = timings["prompt_n"] + max(0, timings.get("cache_n", 0))
        values["output_token_count"] = timings["predicted_n"]
    if first_token_s is not None:
        values["time_to_first_token"] = first_token_s
    # The clock starts with the first token: one alone took no time.
    if timings.get("predicted_n", 0) > 1:
        values["tokens_per_second"] = timings["predicted_per_second"]
    return values


def _load(path: Path) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(f"xllamacpp cannot be loaded on this machine: {error}") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT_TOKENS
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.n_parallel = 1
    params.verbosity = -1
    params.warmup = False
    # Its server opens an HTTP port of its own, on 127.0.0.1, that nobody is meant to use.
    params.api_keys = [secrets.token_urlsafe(32)]
    # All cores would spin against each other as soon as anything else runs.
    threads = max(1, (os.cpu_count() or 1) // 2)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"llama.cpp could not load {path}: {error}") from error


def _refuse_excess(input: Mapping[str, Any]) -> None:  # noqa: A002 - Replicate's name
    size = sum(len(message["content"]) for message in _messages(input))
    if size > PROMPT_MAX_CHARS:
        raise ModelError(
            f"The prompt has {size} characters; this model's context holds {CONTEXT_TOKENS} "
            "tokens, about 8000 characters."
        )
    schema = input.get("json_schema")
    if len(json.dumps(schema)) > SCHEMA_MAX_CHARS or _depth(schema) > SCHEMA_MAX_DEPTH:
        raise ModelError(
            f"The json_schema is too large: at most {SCHEMA_MAX_CHARS} characters and "
            f"{SCHEMA_MAX_DEPTH} levels."
        )


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for outer in level for item in _members(outer)]:
        depth += 1
    return depth


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _explain(error: dict[str, Any]) -> str:
    if error.get("type") == "exceed_context_size_error":
        return (
            f"The prompt has {error['n_prompt_tokens']} tokens; this model's context holds "
            f"{error['n_ctx']}. Shorten the prompt."
        )
    return _plain(str(error.get("message", error)))


def _plain(message: str) -> str:
    if "grammar" in message:
        return f"The json_schema cannot be used: {message}."
    if _NATIVE_PREFIX in message:
        return f"The json_schema cannot be used: {message.partition(_NATIVE_PREFIX)[2]}."
    return f"llama.cpp failed: {message}"
