"""Owns the commands about an earlier run: show, cancel, diff, code, rerun; must not find one.

An id may be written `{{expression}}`: then it is its value, or the id of the prediction it gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.template import value_of, whole_expression
from replicate_magic.errors import CellError

if TYPE_CHECKING:
    from replicate_magic.call_code import Code
    from replicate_magic.cell.template import Evaluate
    from replicate_magic.difference import Difference
    from replicate_magic.notebook.command_line import CommandLine
    from replicate_magic.notebook.magics import ReplicateMagics
    from replicate_magic.prediction import Prediction

_WITHOUT_ID = (
    "Write %replicate rerun ID [key=value …]: the id of an earlier run, or the beginning of it. "
    "%replicate runs lists them."
)


class Past:
    """The commands about an earlier run, for one line.

    Args:
        evaluate: gives an expression's value in the user's namespace.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def show(self, line: CommandLine) -> Prediction:
        """The whole prediction, which shows itself."""
        from replicate_magic.looking import looked_up

        looked = looked_up(self._id(line.words[0]), _tell)
        for note in looked.notes:
            _tell(note)
        return replace(looked.prediction, whole=True)

    def cancel(self, line: CommandLine) -> Any:
        """What became of what was to be ended: a prediction, or a list of them."""
        from replicate_magic import ending

        if line.options.get("all"):
            if line.word is not None:
                raise CellError("Give an id, or --all: not both.")
            outcomes = ending.end_all()
            if not outcomes:
                _tell("Nothing runs in this kernel.")
        else:
            outcomes = ending.end_one(None if line.word is None else self._id(line.word))
        for outcome in outcomes:
            _tell(outcome.words)
        predictions = [replace(outcome.prediction, whole=True) for outcome in outcomes]
        return predictions[0] if len(predictions) == 1 else predictions or None

    def diff(self, line: CommandLine) -> Difference:
        """Two runs beside each other."""
        from replicate_magic import past

        return past.diff(*map(self._id, line.words))

    def code(self, line: CommandLine) -> Code:
        """A run as code."""
        from replicate_magic import past

        return past.code(self._id(line.words[0]))

    def _id(self, word: str) -> str:
        return id_of(word, self._evaluate)


def rerun(magics: ReplicateMagics, text: str, scope: dict[str, Any], began_s: float) -> Any:
    """Run an earlier run once more as the cell does, with the options of one; what the line gives.

    Raises:
        CellError: no id is given, a secret is to be given again, or a file is gone.
        ReplicateMagicError: as `%replicate run` does.
    """
    from replicate_magic.again import earlier, inputs_again
    from replicate_magic.looking import looked_up
    from replicate_magic.notebook.cell_run import CellRun

    line = parse_line(text)
    if not line.words:
        raise CellError(_WITHOUT_ID)
    word, *others = line.words
    if others:
        raise CellError(
            f"{others[0]}: behind the id only changed inputs stand, key=value, and options. A "
            'changed prompt is prompt="…".'
        )
    run = CellRun(magics, line, scope, began_s)
    record = looked_up(id_of(word, run.evaluate), _tell).record
    made = earlier(record)
    given = {*line.inputs, *line.options.grid}
    if line.options.file and (key := line.options.prompt_key or made.schema.prompt_key()):
        given.add(key)
    run.line = replace(line, base=inputs_again(record, made, given))
    return run.perform((made.target,), None, is_line=True)


def id_of(word: str, evaluate: Evaluate) -> str:
    """The id that a word is, or its expression gives."""
    whole = whole_expression(word)
    if whole is None:
        return word
    value = value_of(whole.source, evaluate)
    return str(getattr(value, "id", value))


def _tell(message: str) -> None:
    print(message)  # noqa: T201  (what the person at the line is told)
