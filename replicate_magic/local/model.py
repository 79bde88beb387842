"""What a model is to the engine: its description, the events it emits, how it fails.

Holds no model, no queue and no HTTP. A new model is one module, or folder, with a class that fits
`Model`, and one line in `app.default_models`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import threading

OWNER = "local"


class ModelError(Exception):
    """A prediction cannot be made; the message becomes the prediction's `error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as an output value: the engine stores it and puts its URL in its place."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One value of the output: appended where the model's output is an array, else the output."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Text for the prediction's logs, newline included."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Measured figures; a later figure replaces an earlier one of the same name."""

    values: Mapping[str, float]


ModelEvent = Output | Log | Metrics
Emit = Callable[[ModelEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the API says about a model; schemas are in cog's style.

    Attributes:
        name: The name without its owner, which is always `local`.
        created_at: When its version was made, as the API writes times.
        fingerprint: What else than the schemas decides the answers, e.g. a weights' checksum.
        example: `input`, `output`, `logs`, `metrics` and times of a prediction that was made.
    """

    name: str
    description: str
    readme: str
    license_url: str
    github_url: str | None
    paper_url: str | None
    created_at: str
    fingerprint: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    example: dict[str, Any]

    @property
    def full_name(self) -> str:
        """The name as the API writes it, `local/NAME`."""
        return f"{OWNER}/{self.name}"


class Model(Protocol):
    """Something that turns an input into outputs, in a worker thread, one prediction at a time."""

    @property
    def info(self) -> ModelInfo:
        """What the API says about it."""

    def unavailable(self) -> str | None:
        """Why this machine cannot run the model, or None. Must be cheap and import nothing big."""

    def prepare(self, emit: Emit, canceled: threading.Event) -> None:
        """Get ready to run, e.g. fetch and load weights; the prediction is `starting` meanwhile.

        Raises:
            ModelError: If it cannot be made ready. The next prediction tries again.
        """

    def run(self, input: Mapping[str, Any], emit: Emit, canceled: threading.Event) -> None:  # noqa: A002 - Replicate's own name
        """Make one prediction, returning early once *canceled* is set.

        Args:
            input: Valid against the input schema, defaults filled in; file inputs (`format: uri`)
                are URLs that can be fetched as they are.
            emit: Takes outputs, logs and metrics as they come; from any thread.
            canceled: Set when nobody wants the answer any more.

        Raises:
            ModelError: If the prediction failed.
        """
