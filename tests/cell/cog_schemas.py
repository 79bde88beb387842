"""Schemas as Cog wrote them for models people run, shortened to what matters."""

from __future__ import annotations


def openapi(properties, *, required=(), output=None, **schemas):
    """The `openapi_schema` of a version."""
    described = {"type": "object", "title": "Input", "properties": properties}
    if required:
        described["required"] = list(required)
    found = {"Input": described, **schemas}
    if output is not None:
        found["Output"] = {"title": "Output", **output}
    return {"openapi": "3.0.2", "components": {"schemas": found}}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


CHUNKS = {
    "type": "array",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}
FILE = {"type": "string", "format": "uri"}
FILES = {"type": "array", "items": {"type": "string", "format": "uri"}}

CHAT = openapi(
    {
        "prompt": {"type": "string", "title": "Prompt", "default": "", "x-order": 0},
        "system_prompt": {"type": "string", "default": "You are helpful.", "x-order": 1},
        "max_tokens": {"type": "integer", "default": 512, "minimum": 1, "x-order": 2},
        "temperature": {"type": "number", "default": 0.7, "minimum": 0, "maximum": 5, "x-order": 3},
        "top_p": {"type": "number", "default": 0.95, "minimum": 0, "maximum": 1, "x-order": 4},
        "stop_sequences": {"type": "string", "x-order": 5},
        "seed": {"type": "integer", "nullable": True, "x-order": 6},
        "debug": {"type": "boolean", "default": False, "x-order": 7},
    },
    output=CHUNKS,
)

SDXL = openapi(
    {
        "prompt": {"type": "string", "default": "An astronaut", "x-order": 0},
        "image": {"type": "string", "format": "uri", "x-order": 2},
        "width": {"type": "integer", "default": 1024, "x-order": 4},
        "num_outputs": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4, "x-order": 6},
        "scheduler": {"allOf": [ref("scheduler")], "default": "K_EULER", "x-order": 7},
        "refine": {"allOf": [ref("refine")], "default": "no_refiner", "x-order": 12},
        "apply_watermark": {"type": "boolean", "default": True, "x-order": 15},
    },
    output=FILES,
    scheduler={"enum": ["DDIM", "K_EULER", "PNDM"], "type": "string", "title": "scheduler"},
    refine={"enum": ["no_refiner", "expert_ensemble_refiner"], "type": "string"},
)

FLUX = openapi(
    {
        "prompt": {"type": "string", "x-order": 0},
        "aspect_ratio": {"allOf": [ref("aspect_ratio")], "default": "1:1", "x-order": 1},
        "num_outputs": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4, "x-order": 2},
        "seed": {"type": "integer", "x-order": 3},
        "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "x-order": 5},
        "megapixels": {"allOf": [ref("megapixels")], "default": "1", "x-order": 8},
        "go_fast": {"type": "boolean", "default": True, "x-order": 7},
    },
    required=["prompt"],
    output=FILES,
    aspect_ratio={"enum": ["1:1", "16:9", "21:9"], "type": "string"},
    megapixels={"enum": ["1", "0.25"], "type": "string"},
)

WHISPER = openapi(
    {
        "audio": {"type": "string", "format": "uri", "x-order": 0},
        "model": {"allOf": [ref("model")], "default": "large-v3", "x-order": 1},
        "translate": {"type": "boolean", "default": False, "x-order": 3},
        "language": {
            "enum": ["auto", "de", "en"],
            "type": "string",
            "default": "auto",
            "x-order": 4,
        },
        "initial_prompt": {"type": "string", "x-order": 7},
        "temperature": {"type": "number", "default": 0, "x-order": 5},
    },
    required=["audio"],
    output=ref("ModelOutput"),
    model={"enum": ["large-v3"], "type": "string"},
    ModelOutput={"type": "object", "properties": {"segments": {}}},
)

NEWER = openapi(  # cog 0.14 and later: unions instead of `nullable`
    {
        "text": {"type": "string", "x-order": 1},
        "question": {"type": "string", "x-order": 0},
        "image": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}], "x-order": 2},
        "style": {"anyOf": [ref("style"), {"type": "null"}], "x-order": 3},
        "strength": {"anyOf": [{"type": "number", "maximum": 1}, {"type": "null"}], "x-order": 4},
        "images": {"type": "array", "items": {"type": "string", "format": "uri"}, "x-order": 5},
        "tags": {"type": "array", "items": {"type": "string"}, "default": [], "x-order": 6},
        "settings": {"type": "object", "x-order": 7},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-order": 8},
        "size": {"allOf": [ref("size")], "x-order": 9},
        "anything": {"x-order": 10},
    },
    required=["text", "question"],
    output=FILE,
    style={"enum": ["plain", "bold"], "type": "string"},
    size={"enum": [256, 512], "type": "integer"},
)

OLD = openapi(
    {
        "image": {"type": "string", "format": "uri"},
        "scale": {"type": "number", "ge": 1, "le": 10},
        "steps": {"type": "integer", "minimum": 1, "le": 500},
    },
    required=["image"],
    output={"type": "string"},
)
