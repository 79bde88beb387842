"""The API's model, version and deployment objects, made from a model's description.

Pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .model import OWNER, ModelInfo

COG_VERSION = "local"


def version_id(info: ModelInfo) -> str:
    """The model's version: 64 hex digits that change with its schemas or its weights."""
    parts = [info.full_name, info.fingerprint, info.input_schema, info.output_schema]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def version_json(info: ModelInfo) -> dict[str, Any]:
    """The model's only version."""
    return {
        "id": version_id(info),
        "created_at": info.created_at,
        "cog_version": COG_VERSION,
        "openapi_schema": openapi_schema(info),
    }


def openapi_schema(info: ModelInfo) -> dict[str, Any]:
    """The description that cog would make of the model."""
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {
            "schemas": {"Input": info.input_schema, "Output": info.output_schema},
        },
    }


def body_schema(info: ModelInfo, *, with_version: bool) -> dict[str, Any]:
    """The schema of a request that creates a prediction, with the model's own input in it."""
    version = {"version": {"type": "string"}} if with_version else {}
    return {
        "type": "object",
        "required": [*version, "input"],
        "additionalProperties": False,
        "properties": {
            **version,
            "input": info.input_schema,
            "stream": {"type": "boolean"},
            "webhook": {"type": "string"},
            "webhook_events_filter": {
                "type": "array",
                "items": {"type": "string", "enum": ["start", "output", "logs", "completed"]},
            },
        },
    }


def model_json(
    info: ModelInfo, *, base_url: str, run_count: int, unavailable: str | None
) -> dict[str, Any]:
    """The model; one that cannot run here says so in its description."""
    note = f" Unavailable on this machine: {unavailable}" if unavailable else ""
    return {
        "url": f"{base_url}/v1/models/{info.full_name}",
        "owner": OWNER,
        "name": info.name,
        "description": info.description + note,
        "visibility": "public",
        "is_official": True,
        "github_url": info.github_url,
        "paper_url": info.paper_url,
        "license_url": info.license_url,
        "run_count": run_count,
        "cover_image_url": None,
        "default_example": example_json(info, base_url=base_url),
        "latest_version": version_json(info),
    }


def example_json(info: ModelInfo, *, base_url: str) -> dict[str, Any]:
    """The recorded prediction that shows what the model does."""
    url = f"{base_url}/v1/models/{info.full_name}/examples"
    return {
        "model": info.full_name,
        "version": version_id(info),
        "status": "succeeded",
        "error": None,
        "source": "api",
        "data_removed": False,
        "urls": {"web": url, "get": url, "cancel": url},
        **info.example,
    }


def deployment_json(info: ModelInfo) -> dict[str, Any]:
    """The deployment that has the model's name and runs it."""
    return {
        "owner": OWNER,
        "name": info.name,
        "current_release": {
            "number": 1,
            "model": info.full_name,
            "version": version_id(info),
            "created_at": info.created_at,
            "created_by": {"type": "user", "username": OWNER, "name": OWNER},
            "configuration": {"hardware": "cpu", "min_instances": 0, "max_instances": 1},
        },
    }
