"""Owns what differs between two predictions, as values; must not draw it.

Comparing two texts word by word takes time that grows with the square of what differs, so that
there is a bound: beyond it lines are compared, and beyond that the whole is another.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replicate_magic.prediction import Prediction

_MOST_PIECES = 1_200  # on either side, once what is the same at both ends is off
_WORD = re.compile(r"\s*\S+|\s+")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Part(NamedTuple):
    """A stretch of two texts.

    Attributes:
        kind: whether it stands in both, only in the first, or only in the second.
    """

    kind: Literal["same", "removed", "added"]
    text: str


class Change(NamedTuple):
    """A value that is not the same, by its name.

    Attributes:
        kind: whether it was added, removed, or is another.
        before: the first one's; `None` where it was added.
        after: the second one's; `None` where it was removed.
    """

    kind: Literal["added", "removed", "changed"]
    name: str
    before: Any
    after: Any


class Measure(NamedTuple):
    """A number that either prediction has, with what it is more in the second.

    Attributes:
        more: `after - before`, or `None` where one of them has none.
    """

    name: str
    before: float | None
    after: float | None

    @property
    def more(self) -> float | None:
        """How much greater it is in the second; `None` where one has no such number."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two predictions beside each other. It shows itself.

    Attributes:
        before: the first.
        after: the second.
    """

    before: Prediction
    after: Prediction

    @property
    def is_same_run(self) -> bool:
        """Whether both are one prediction."""
        return bool(self.before.id) and self.before.id == self.after.id

    @property
    def inputs(self) -> list[Change]:
        """The inputs that are not the same."""
        return changes(self.before.input, self.after.input)

    @property
    def metrics(self) -> list[Measure]:
        """All numbers among the metrics of either, and about what each cost as `cost_usd`."""
        one, other = _numbers(self.before), _numbers(self.after)
        return [Measure(name, one.get(name), other.get(name)) for name in {**one, **other}]

    @property
    def same_output(self) -> bool:
        """Whether both gave the same."""
        return bool(self.before.output == self.after.output)

    def output_parts(self) -> list[Part]:
        """What is the same, was removed and was added in the outputs as text, word by word."""
        return text_parts(text_of(self.before), text_of(self.after))

    def __str__(self) -> str:
        return str(self._repr_mimebundle_()["text/plain"])

    def __repr__(self) -> str:
        return f"<Difference of {self.before.id} and {self.after.id}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # The one import upwards: IPython asks the value itself how it is shown.
        from replicate_magic.views.difference import difference_bundle

        return difference_bundle(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        printer.text(str(self))


def text_of(prediction: Prediction) -> str:
    """The output as text; JSON with a line for each of its values."""
    if prediction.output is None or prediction.is_text:
        return prediction.text
    try:
        return json.dumps(prediction.output, indent=2, ensure_ascii=False)
    except RecursionError:
        return prediction.text


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The values that are not the same, in the order of the names; `1` is `1.0`, and not `true`."""
    found: list[Change] = []
    for name in {**before, **after}:
        if name not in after:
            found.append(Change("removed", name, before[name], None))
        elif name not in before:
            found.append(Change("added", name, None, after[name]))
        elif not _alike(before[name], after[name]):
            found.append(Change("changed", name, before[name], after[name]))
    return found


def _alike(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _numbers(prediction: Prediction) -> dict[str, float]:
    told = {**prediction.metrics, "cost_usd": prediction.cost_usd}
    return {
        name: value
        for name, value in told.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


# -- texts --------------------------------------------------------------------------------------


def text_parts(before: str, after: str) -> list[Part]:
    """What two texts have in common, and what only one of them has, in the order of reading."""
    one, other = _WORD.findall(before), _WORD.findall(after)
    start, end = _same_ends(one, other)
    middle = one[start : len(one) - end], other[start : len(other) - end]
    parts = [
        Part("same", "".join(one[:start])),
        *_middle_parts(*middle),
        Part("same", "".join(one[len(one) - end :])),
    ]
    return _joined(parts)


def _same_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many pieces are the same at the beginning, and how many of the others at the end."""
    most = min(len(one), len(other))
    start = next((n for n in range(most) if one[n] != other[n]), most)
    most -= start
    end = next((n for n in range(most) if one[-1 - n] != other[-1 - n]), most)
    return start, end


def _middle_parts(one: list[str], other: list[str]) -> list[Part]:
    if max(len(one), len(other)) > _MOST_PIECES:
        one, other = _LINE.findall("".join(one)), _LINE.findall("".join(other))
    if max(len(one), len(other)) > _MOST_PIECES:
        return [Part("removed", "".join(one)), Part("added", "".join(other))]
    parts: list[Part] = []
    for tag, a, b, c, d in SequenceMatcher(None, one, other).get_opcodes():
        if tag == "equal":
            parts.append(Part("same", "".join(one[a:b])))
        else:
            parts += [Part("removed", "".join(one[a:b])), Part("added", "".join(other[c:d]))]
    return parts


def _joined(parts: list[Part]) -> list[Part]:
    """Without empty ones, and those of a kind that follow each other as one."""
    joined: list[Part] = []
    for part in parts:
        if not part.text:
            continue
        if joined and joined[-1].kind == part.kind:
            part = Part(part.kind, joined.pop().text + part.text)  # noqa: PLW2901  (it is the same one)
        joined.append(part)
    return joined
