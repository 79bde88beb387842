"""Owns what is offered where the cursor is in a cell; must not find out what is known.

What would not be read back as the same is not offered. What the first answers do not need is
imported later: somebody waits for them. It is long for having a method for each thing that may
stand at the cursor; they share the cell as far as it was read.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic import aliases
from replicate_magic.cell import spelling
from replicate_magic.cell.options import FORMATS, OPTIONS
from replicate_magic.errors import CellError
from replicate_magic.notebook import notes, value_offers
from replicate_magic.notebook.command_line import COMMANDS, FILTERS
from replicate_magic.notebook.help import FILTER_HELP
from replicate_magic.notebook.notes import Answer, Offer, fitting
from replicate_magic.notebook.recall import EMBEDDED
from replicate_magic.plain import one_line
from replicate_magic.prediction import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replicate_magic.cell.cursor import Cursor
    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.options import Option
    from replicate_magic.cell.plan import Target
    from replicate_magic.cell.schema import InputField
    from replicate_magic.notebook.call_offers import Call
    from replicate_magic.notebook.command_line import Command
    from replicate_magic.notebook.names import Names
    from replicate_magic.notebook.recall import Recall

    Give = Callable[[Cursor], Iterable[Offer]]

_MOST = 300
_MOST_RUNS = 60
_SHORTEST_SEARCH = 3  # characters
_SEARCHED = re.compile(r"(?!local/)[\w./-]+")
_MODEL = re.compile(r"(deployment:)?[A-Za-z0-9][\w.-]*/[\w.-]+(:[\w.-]+)?|https?://[\w.:/[\]~-]+")
_PATH = re.compile(r"/?\w+/[\w.-]+(/[\w.-]+)?")
_ID = re.compile(r"[A-Za-z0-9][\w-]*")
_STATUSES = (*sorted(FINAL), "starting", "processing")
_RUN = Offer("run", "run a model, as a cell does; x = %replicate run … keeps the prediction")
_HELP = Offer("help", "all of this, or one command's")


class Offers:
    """What may be written in a cell.

    Args:
        recall: what is known.
        known: the user's namespace.
        default_model: what runs where no model is named, or an empty string.
    """

    def __init__(self, recall: Recall, known: Names, *, default_model: str) -> None:
        self._recall = recall
        self._known = known
        self._default_model = default_model

    def at(self, cursor: Cursor) -> Answer:
        """What is offered."""
        if cursor.at == "expression":
            from replicate_magic.notebook import names

            return names.go_on(cursor.typed, self._known, cursor.others.options.get("rows", ""))
        does: dict[str, Give] = {
            "command": self._commands,
            "word": self._words,
            "option": self._options,
            "option value": self._of_option,
            "key": self._inputs,
            "value": self._values,
        }
        if cursor.at not in does:
            return Answer("")
        if self._is_list(cursor):
            last = cursor.typed.rpartition(",")[2]
            cursor = replace(cursor, typed=last, text=last)
        return Answer(cursor.typed, [*does[cursor.at](cursor)][:_MOST])

    def _is_list(self, cursor: Cursor) -> bool:
        """Whether what is written are values with commas between them."""
        if cursor.at != "value" or cursor.kind != "text" or "," not in cursor.typed:
            return False
        if cursor.option:
            return cursor.option.kind == "grid"
        field = self._field(cursor)
        return field is not None and field.item is not None and bool(field.item.choices)

    # -- words ------------------------------------------------------------------------------

    def _commands(self, cursor: Cursor) -> Iterable[Offer]:
        known = [Offer(command.name, command.help) for command in COMMANDS]
        return fitting([_RUN, *known, _HELP], cursor.text)

    def _words(self, cursor: Cursor) -> Iterable[Offer]:
        command = _command(cursor.form)
        if command is not None:
            return self._words_of(command, cursor)
        if cursor.form == "help" and not cursor.place:
            return self._commands(cursor)
        if cursor.form not in {"cell", "run"} or cursor.quote:
            return ()
        if not cursor.place:
            return [*self._models(cursor), *self._inputs(cursor)]
        if not cursor.text:
            return [*self._inputs(cursor), *self._options(cursor)]
        is_prompt = cursor.form == "run"
        return [*self._inputs(cursor), *(() if is_prompt else self._models(cursor))]

    def _words_of(self, command: Command, cursor: Cursor) -> Iterable[Offer]:
        """What may stand behind a command, by the names that its usage has for it."""
        if command.fields:
            return self._of_call(cursor)
        does: dict[str, Give] = {
            "ID": self._runs, "A": self._runs, "B": self._runs, "BATCH": self._batches,
            "MODEL": self._models, "METRIC": self._metrics,
        }  # fmt: skip
        usage = re.findall(r"\b[A-Z]+\b", command.usage)
        what = usage[cursor.place] if cursor.place < len(usage) else ""
        if what == "PATH" and not cursor.place:
            return self._files(cursor)
        found = does[what](cursor) if what in does else ()
        if cursor.quote:
            return found
        filters = self._filters(cursor) if command.filters else ()
        if command.inputs and cursor.place:
            filters = self._inputs(cursor)
        return [*found, *filters, *(() if cursor.text else self._options(cursor))]

    def _filters(self, cursor: Cursor) -> Iterable[Offer]:
        left = (name for name in FILTERS if name not in cursor.others.keys)
        return fitting([Offer(f"{name}=", FILTER_HELP[name].help) for name in left], cursor.text)

    # -- a call of the API ------------------------------------------------------------------

    def _of_call(self, cursor: Cursor) -> Iterable[Offer]:
        """Method and path, and then what that operation takes."""
        from replicate_magic.notebook import call_offers

        written = call_offers.read_words(cursor.others.words[: cursor.place])
        if not written.path:
            can_be_method = not (written.method or cursor.quote)
            found = [
                *(call_offers.methods(cursor.text) if can_be_method else ()),
                *self._named_paths(written.method, cursor.text),
                *call_offers.paths(written.method, cursor.text),
            ]
        else:
            fields = call_offers.fields(written, cursor.text, cursor.others.keys)
            found = [] if cursor.quote else [*self._inputs_of(written, cursor), *fields]
        return [*found, *(() if cursor.text or cursor.quote else self._options(cursor))]

    def _named_paths(self, method: str, text: str) -> list[Offer]:
        """Paths of models and predictions that are known."""
        begin = text.removeprefix("/")
        if method not in {"", "GET"} or not begin.startswith(("models/", "predictions/")):
            return []
        names = [("models", *pair) for pair in self._known_models(begin.removeprefix("models/"))]
        runs = [("predictions", *notes.of_run(run)) for run in self._recall.runs()]
        found = {f"/{room}/{name}": note for room, name, note in [*names, *runs[:_MOST_RUNS]]}
        offers = [Offer(f"{'/' * text.startswith('/')}{path[1:]}", found[path]) for path in found]
        return fitting((one for one in offers if _PATH.fullmatch(one.text)), text)

    def _inputs_of(self, written: Call, cursor: Cursor) -> Iterable[Offer]:
        """The inputs of the model that a call runs."""
        taken = cursor.others.keys
        known = [
            Offer(
                f"input.{field.name}=", notes.of_taken(field, info.descriptions.get(field.name, ""))
            )
            for field, info in self._run_by(written)
            if not {"input", f"input.{field.name}"} & taken
        ]
        return fitting(known, cursor.text)

    def _run_by(self, written: Call) -> Iterator[tuple[InputField, ModelInfo]]:
        target = _target(written.runs) if written.creates and written.runs else None
        return self._fields_of([target] if target else [])

    def _of_call_value(self, cursor: Cursor) -> Iterable[Offer]:
        from replicate_magic.notebook import call_offers

        written = call_offers.read_words(cursor.others.words)
        known = written.field(cursor.key)
        if known is None and cursor.key in {"model", "deployment"}:
            return self._models(cursor)
        if known and known.name == "version" and written.creates:
            return self._models(cursor)
        if known and known.name == "prediction_id":
            return self._runs(cursor)
        if known and written.sends(known):
            return [] if cursor.typed or cursor.quote else [value_offers.FILE]
        if known:
            return value_offers.of_field(known.takes, cursor)
        room, _, name = cursor.key.partition(".")
        found = (field for field, _ in self._run_by(written) if field.name == name)
        field = next(found, None) if room == "input" else None
        return value_offers.of_field(field, cursor) if field else ()

    # -- options ----------------------------------------------------------------------------

    def _options(self, cursor: Cursor) -> Iterable[Offer]:
        left = [
            option
            for option in _options_of(cursor.form)
            if option.kind in {"pair", "grid"} or option.name not in cursor.others.options
        ]
        if re.fullmatch(r"-[A-Za-z]", cursor.text):
            return [notes.of_option(option) for option in left if option.short == cursor.text[1]]
        return fitting(map(notes.of_option, left), cursor.text.replace("_", "-"))

    def _of_option(self, cursor: Cursor) -> Iterable[Offer]:
        from replicate_magic.notebook import names

        by_name: dict[str, Give] = {
            "grid": self._inputs,
            "format": partial(value_offers.of, FORMATS),
            "file": self._files,
            "save": self._folders,
            "tag": self._tags,
            "prompt-key": self._prompt_keys,
            "by": partial(value_offers.of, ("model", "status", "tag", "version")),
            "output": self._variables,
            "input-from": partial(self._variables, suits=names.is_mapping),
            "rows": self._rows,
        }
        if cursor.form == "alias":
            by_name = {"delete": self._aliases}
        if cursor.form == "api":
            by_name["save"] = self._files
        give = by_name.get(cursor.option.name) if cursor.option else None
        return give(cursor) if give else ()

    def _prompt_keys(self, cursor: Cursor) -> Iterable[Offer]:
        texts = [pair for pair in self._fields(cursor) if pair[0].is_free_text]
        known = [Offer(field.name, notes.of_field(field, info)) for field, info in texts]
        return fitting(known, cursor.text)

    def _rows(self, cursor: Cursor) -> Iterable[Offer]:
        from replicate_magic.notebook import names

        owner, dot, begin = cursor.text.rpartition(".")
        if dot:
            return [
                Offer(f"{owner}.{name}", "attribute")
                for name in self._known.attributes(owner, begin)
            ]
        return self._variables(cursor, suits=names.is_rows)

    def _variables(
        self, cursor: Cursor, suits: Callable[[Any], bool] = lambda _: True
    ) -> Iterable[Offer]:
        known = self._known.variables().items()
        found = [Offer(name, notes.of_type(value)) for name, value in known if suits(value)]
        return fitting(found, cursor.text)

    # -- models -----------------------------------------------------------------------------

    def _models(self, cursor: Cursor) -> Iterable[Offer]:
        """Models; behind a first one a word is more likely an input, unless it has a slash."""
        known: dict[str, str] = {}
        is_model = not cursor.place or "/" in cursor.text
        for name, note in self._known_models(cursor.text if is_model else ""):
            if name not in cursor.others.words:
                known.setdefault(name, note)
        offers = [Offer(*pair) for pair in known.items() if _is_model(pair[0])]
        return fitting(offers, cursor.text, anywhere=is_model)

    def _known_models(self, text: str) -> Iterator[tuple[str, str]]:
        yield from notes.of_models(self._recall.runs())
        for name, model in aliases.known().items():
            yield name, f"short for {one_line(model, limit=80)}"
        for name in EMBEDDED:
            yield name, "runs on this machine, without an account"
        for name in self._recall.described():
            yield name, "looked up before"
        if len(text) >= _SHORTEST_SEARCH and _SEARCHED.fullmatch(text):
            for found in self._recall.found(text):
                yield found.name, notes.of_found(found)

    def _aliases(self, cursor: Cursor) -> Iterable[Offer]:
        known = [Offer(name, one_line(model)) for name, model in aliases.known().items()]
        return fitting(known, cursor.text)

    # -- inputs -----------------------------------------------------------------------------

    def _fields(self, cursor: Cursor) -> Iterator[tuple[InputField, ModelInfo]]:
        """The inputs of the models on the line, those that can be written there."""
        named = list(filter(None, map(_target, self._named(cursor))))
        if cursor.form == "run":
            named = named[:1]
        if not named and self._default_model:
            named = list(filter(None, [_target(self._default_model)]))
        return self._fields_of(named)

    def _fields_of(self, named: Iterable[Target]) -> Iterator[tuple[InputField, ModelInfo]]:
        for info in filter(None, map(self._recall.info, named)):
            for field in info.inputs or ():
                if spelling.is_key(field.name):
                    yield field, info

    def _named(self, cursor: Cursor) -> Sequence[str]:
        """The words that may be models; where a run is named, its own."""
        words = cursor.others.words
        command = _command(cursor.form)
        if command is None or not command.inputs or not words:
            return words
        return [run.model for run in self._recall.runs(words[0]) if run.id.startswith(words[0])][:1]

    def _field(self, cursor: Cursor) -> InputField | None:
        found = (field for field, _ in self._fields(cursor) if field.name == cursor.key)
        return next(found, None)

    def _inputs(self, cursor: Cursor) -> Iterable[Offer]:
        sign = ": " if cursor.in_header else "="
        left: dict[str, str] = {}
        for field, info in self._fields(cursor):
            if field.name not in cursor.others.keys:
                left.setdefault(f"{field.name}{sign}", notes.of_field(field, info))
        return fitting([Offer(*pair) for pair in left.items()], cursor.text)

    def _values(self, cursor: Cursor) -> Iterable[Offer]:
        command = _command(cursor.form)
        is_of_a_model = command is None or command.inputs
        if cursor.kind == "file" and (is_of_a_model or (command and command.fields)):
            return self._files(cursor)
        if command is not None and not command.inputs:
            of = self._of_call_value if command.fields else partial(self._of_filter, command)
            return of(cursor)
        field = self._field(cursor)
        return value_offers.of_field(field, cursor) if field else ()

    def _of_filter(self, command: Command, cursor: Cursor) -> Iterable[Offer]:
        by_name: dict[str, Give] = {
            "model": self._models,
            "status": partial(value_offers.of, _STATUSES),
            "tag": self._tags,
            "since": value_offers.spans,
            "until": value_offers.spans,
            "limit": partial(value_offers.of, ("10", "100", "1000")),
        }
        if command.pairs:  # alias NAME=MODEL
            return self._models(cursor)
        give = by_name.get(cursor.key) if command.filters else None
        return give(cursor) if give else ()

    # -- what was run -----------------------------------------------------------------------

    def _runs(self, cursor: Cursor) -> Iterable[Offer]:
        """Runs to choose from; where one is followed or ended, those that go on come first."""
        known = [run for run in self._recall.runs() if run.id.startswith(cursor.text)]
        if cursor.text:
            ids = {run.id for run in known}
            known += [run for run in self._recall.runs(cursor.text) if run.id not in ids]
        if cursor.form in {"attach", "cancel"}:
            known.sort(key=lambda run: run.status in FINAL)
        taken = cursor.others.words
        left = (run for run in known if run.id not in taken and _ID.fullmatch(run.id))
        return map(notes.of_run, islice(left, _MOST_RUNS))

    def _batches(self, cursor: Cursor) -> Iterable[Offer]:
        known = [one for one in self._recall.batches() if _ID.fullmatch(one.id)]
        return fitting(map(notes.of_batch, known), cursor.text)

    def _tags(self, cursor: Cursor) -> Iterable[Offer]:
        return value_offers.counted((run.tag for run in self._recall.runs() if run.tag), cursor)

    def _metrics(self, cursor: Cursor) -> Iterable[Offer]:
        return value_offers.counted(
            (key for run in self._recall.runs() for key in _keys(run.metrics)), cursor
        )

    # -- files ------------------------------------------------------------------------------

    def _folders(self, cursor: Cursor) -> Iterable[Offer]:
        return [offer for offer in self._files(cursor) if offer.note == "folder"]

    def _files(self, cursor: Cursor) -> Iterator[Offer]:
        folder, slash, begin = cursor.text.rpartition("/")
        for name, is_folder in sorted(self._recall.files(f"{folder}{slash}")):
            if not name.startswith(begin) or (name.startswith(".") and not begin):
                continue
            path = f"{folder}{slash}{name}{'/' if is_folder else ''}"
            if cursor.in_header:
                spelled = spelling.in_header(path, is_file=True)
            else:
                spelled = spelling.path(path, cursor.quote, goes_on=is_folder)
            if spelled is not None:
                yield Offer(spelled, "folder" if is_folder else "file")


# -- small ones -------------------------------------------------------------------------------


def _target(word: str) -> Target | None:
    try:
        return aliases.read_model(word)
    except CellError:
        return None


def _is_model(name: str) -> bool:
    """Whether a name may be written as it is: an alias, or what looks like a model."""
    return bool(_MODEL.fullmatch(aliases.resolved(name)))


def _command(name: str) -> Command | None:
    return next((command for command in COMMANDS if command.name == name), None)


def _options_of(form: str) -> Sequence[Option]:
    command = _command(form)
    return command.options if command else OPTIONS if form in {"cell", "run"} else ()


def _keys(text: str) -> Iterable[str]:
    """The names of a JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return found if isinstance(found, dict) else ()
