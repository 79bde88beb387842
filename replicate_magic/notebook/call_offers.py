"""Owns what the API's description offers on a line of `%replicate api`; must not ask anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from replicate_magic.api import operations
from replicate_magic.api.operations import METHODS
from replicate_magic.notebook import notes
from replicate_magic.notebook.notes import Offer, fitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replicate_magic.api.operations import Field, Operation

_EFFECTS = {
    "GET": "reads", "HEAD": "reads, without an answer", "QUERY": "searches",
    "POST": "creates", "PUT": "replaces", "PATCH": "changes", "DELETE": "deletes for good",
}  # fmt: skip
_WHOLE = {
    "model": "owner/name of the model in the path",
    "deployment": "owner/name of the deployment in the path",
}
_UNTOLD = {"", "GET", "POST"}  # what a method that is left out may be


class Call(NamedTuple):
    """What is written of a call.

    Attributes:
        method: in capitals; empty where it is left out.
        path: with `/` before it, without its query; empty where there is none yet.
    """

    method: str
    path: str

    @property
    def operations(self) -> list[Operation]:
        """Those that it may mean."""
        known = operations.at(self.path) if self.path else ()
        return [one for one in known if _suits(one, self.method)]

    @property
    def creates(self) -> bool:
        """Whether it creates a prediction."""
        return any(one.effect == "pays" and one.field("input") for one in self.operations)

    def sends(self, field: Field) -> bool:
        """Whether a field is a file that is sent as it is."""
        is_form = any(one.takes == "form" for one in self.operations)
        return is_form and field.name == "content"

    @property
    def runs(self) -> str:
        """The model or deployment in the path, as a cell names it; empty where there is none."""
        room, *names = [*self.path.split("/")[1:], "", ""][:3]
        if not all(names) or "{" in self.path or room not in {"models", "deployments"}:
            return ""
        return f"{'deployment:' if room == 'deployments' else ''}{'/'.join(names)}"

    def field(self, name: str) -> Field | None:
        """The field of a name, also by the name that a hole of the path has."""
        called = operations.holes(self.path).get(name, name)
        return next(filter(None, (one.field(called) for one in self.operations)), None)


def read_words(words: Sequence[str]) -> Call:
    """What the words of a line mean."""
    method = words[0].upper() if words and words[0].upper() in METHODS else ""
    path = next(iter(words[1 if method else 0 :]), "").partition("?")[0].strip("/")
    return Call(method, f"/{path}" if path else "")


def methods(text: str) -> list[Offer]:
    """The methods that there are operations for."""
    known = {one.method for one in operations.operations()}
    return fitting([Offer(name, _EFFECTS[name]) for name in METHODS if name in known], text)


def paths(method: str, text: str) -> list[Offer]:
    """The paths that go on as they begin, with what each does."""
    found: dict[str, str] = {}
    slash = "" if text and not text.startswith("/") else "/"
    for one in operations.operations():
        path = _gone_on(f"/{text.removeprefix('/')}", one.path) if _suits(one, method) else ""
        if path:
            found.setdefault(f"{slash}{path[1:]}", one.summary)
    return [Offer(*pair) for pair in found.items()]


def fields(written: Call, text: str, taken: Iterable[str]) -> list[Offer]:
    """The fields that are not yet there, with types; those that must be come first."""
    left: dict[str, Offer] = {}
    for sign, one in _fields(written):
        if one.name not in taken:
            left.setdefault(
                one.name, Offer(f"{one.name}{sign}", notes.of_taken(one.takes, one.about))
            )
    holes = operations.holes(written.path)
    for kind, about in _WHOLE.items():
        if {f"{kind}_owner", f"{kind}_name"} & {*holes.values()} and kind not in taken:
            left = {name: offer for name, offer in left.items() if not name.startswith(f"{kind}_")}
            left = {kind: Offer(f"{kind}=", about), **left}
    return fitting(left.values(), text)


def _fields(written: Call) -> Iterator[tuple[str, Field]]:
    """What may be written, and how: an object as JSON."""
    holes = {*operations.holes(written.path).values()}
    known = [one for operation in written.operations for one in operation.fields]
    for one in sorted(known, key=lambda field: not field.required):
        if one.place != "path" or one.name in holes:
            yield ":=" if "object" in one.takes.types else "=", one


def _suits(operation: Operation, method: str) -> bool:
    return operation.method == method or (not method and operation.method in _UNTOLD)


def _gone_on(text: str, template: str) -> str:
    """A path of the table that begins as a text does; empty where it does not."""
    steps, known = text.split("/"), template.split("/")
    *whole, last = steps
    if len(steps) > len(known) or not operations.fits(whole, known[: len(whole)]):
        return ""
    step = known[len(whole)]
    if not step.startswith(last):
        if not operations.fits([last], [step]):
            return ""
        step = last
    return "/".join([*whole, step, *known[len(steps) :]])
