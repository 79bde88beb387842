"""Owns the values that answers of the API become: they are Python's own, and show themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from replicate_magic.api import answers
from replicate_magic.recording import fetched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.runs.frame import RunsFrame


class _Shown:
    """Shows itself; IPython would write a Python object of such a type its own way."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        raise NotImplementedError

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        printer.text(self._repr_mimebundle_()["text/plain"])


class JSONObject(_Shown, dict[str, Any]):
    """A JSON object: a `dict` that shows itself as its tree.

    Attributes:
        hidden: the keys whose values are not shown.
    """

    hidden: frozenset[str] = frozenset()

    def jq(self, program: str, *, args: Mapping[str, Any] | None = None) -> Any:
        """Run a jq program on it: the one output as its value, none as `None`, several as a list.

        Raises:
            JqError: the program does not compile, fails, or runs too long.
        """
        return program_value(program, json.dumps(self), args)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from replicate_magic.views.values import json_bundle

        return json_bundle(dict(self), self.hidden)


class JSONArray(_Shown, list[Any]):
    """A JSON array: a `list` that shows itself as its tree."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from replicate_magic.views.values import json_bundle

        return json_bundle(list(self))


class Text(_Shown, str):  # noqa: SLOT000  (it takes nothing of its own, and its parent has none)
    """A text: a `str` that shows itself as Markdown."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from replicate_magic.views.values import text_bundle

        return text_bundle(str(self))


class Data(_Shown, bytes):
    """The bytes of a file, which show their number and kind.

    Attributes:
        media_type: such as `image/png`; empty where it is not told.
    """

    media_type: str = ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from replicate_magic.views.values import bytes_bundle

        return bytes_bundle(bytes(self), self.media_type)


def program_value(program: str, text: str, args: Mapping[str, Any] | None = None) -> Any:
    """What a jq program makes of a JSON text: one output as its value, none as `None`, else a list.

    Raises:
        JqError: the program does not compile, fails, or runs too long.
    """
    from replicate_magic.runs import jq

    outputs = jq.outputs(program, text, args=args)
    return shown(outputs[0] if len(outputs) == 1 else outputs or None)


def shown(value: Any) -> Any:
    """The same value, of a type that shows itself where Python's own is hard to read."""
    match value:
        case dict():
            return JSONObject(value)
        case list():
            return JSONArray(value)
    return value


def data(answer: answers.Answer) -> Data:
    """The bytes of an answer."""
    made = Data(answer.body)
    made.media_type = answers.media_type(answer)
    return made


# -- lists --------------------------------------------------------------------------------------


def is_listing(value: Any) -> bool:
    """Whether it is a page of a list, as the API gives it."""
    return isinstance(value, dict) and isinstance(value.get("results"), list)


def frame_of(rows: list[Any], what: str, base: str) -> RunsFrame:
    """A frame of a list's items: predictions as runs are, anything else by their keys.

    Args:
        rows: the items.
        what: what was asked, such as `GET /models`.
        base: the base URL of the API, which is the predictions' origin.
    """
    from replicate_magic.runs import accessor  # noqa: F401  (gives frames their `.jq`)
    from replicate_magic.runs.frame import values_frame

    if what.endswith(("predictions", "/examples")) and rows and all(map(_is_prediction, rows)):
        return _runs_of(rows, base)
    frame = values_frame(rows)
    frame.attrs["listed"] = what
    return frame


def _is_prediction(raw: Any) -> bool:
    return isinstance(raw, dict) and answers.is_prediction(raw)


def _runs_of(rows: list[dict[str, Any]], base: str) -> RunsFrame:
    from replicate_magic.runs.frame import runs_frame
    from replicate_magic.runs.record import columns_of
    from replicate_magic.runs.store import COLUMNS

    records = [fetched(raw, base) for raw in rows]
    made = [{**columns_of(one), "prompt": one.prompt, "output": one.output} for one in records]
    return runs_frame({name: [row[name] for row in made] for name in COLUMNS})
