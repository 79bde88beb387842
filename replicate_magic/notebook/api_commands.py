"""Owns `%replicate api` and `%replicate search`: from their words to what is kept and told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic import calling, finding
from replicate_magic.api.operations import METHODS
from replicate_magic.asking import Call
from replicate_magic.cell.plan import expanded
from replicate_magic.cell.template import expand, value_of, whole_expression
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line, printable, wrapped
from replicate_magic.views.status import size

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.asking import Called
    from replicate_magic.cell.template import Evaluate
    from replicate_magic.notebook.command_line import CommandLine

_QUIET_S = 2.0  # what takes no longer is not told
_EACH_S = 5.0


def api(
    line: CommandLine,
    evaluate: Evaluate,
    *,
    push: Callable[[dict[str, Any]], object],
    keep: Callable[[Any], object],
    default_model: str,
    timeout_s: float,
) -> Any:
    """Call an operation of the API.

    Args:
        line: what was written.
        evaluate: gives an expression's value in the user's namespace.
        push: puts variables there.
        keep: has `_` hold a value.
        default_model: what fills `{owner}/{name}` in the path, where nothing else does.
        timeout_s: how long it may take, where nothing else is said.

    Raises:
        CellError: it makes no sense, or wants `--yes`. Nothing was sent.
        ReplicateMagicError: there is no answer.
    """
    asked = _asked(line, evaluate, default_model=default_model, timeout_s=timeout_s)
    if line.options.get("dry_run"):
        print(dry_run_text(asked))  # noqa: T201  (it is what was asked for)
        return None
    path = _free_path(line)
    called = calling.call(asked, _Progress())
    _tell(called)
    name = line.options.get("output")
    put = keep if name is None else lambda value: push({name: value})
    value = called.value
    if path is not None:
        try:
            value = _saved(value, path, name or "_")
        except CellError:
            put(value)
            raise
    if name:
        put(value)
    return value


def search(line: CommandLine, evaluate: Evaluate) -> Any:
    """Look for models, collections or docs.

    Raises:
        ReplicateMagicError: the API cannot be asked, and nothing of this machine matches.
    """
    options = line.options
    wanted: list[finding.Kind] = [kind for kind in ("collections", "docs") if options.get(kind)]
    if len(wanted) > 1:
        raise CellError("--collections and --docs: give one of them.")
    called = finding.find(
        " ".join(expand(word, evaluate) for word in line.words),
        kind=wanted[0] if wanted else "models",
        limit=options.get("limit", finding.LIMIT),
        tell=_Progress(),
    )
    _tell(called)
    return called.value


def _asked(line: CommandLine, evaluate: Evaluate, *, default_model: str, timeout_s: float) -> Call:
    options = line.options
    method, path = _method_and_path(line.words)
    given = options.get("arg", {})
    return Call(
        method=method,
        path=expand(path, evaluate),
        fields={name: expanded(one, evaluate) for name, one in line.fields.items()},
        default_model=expand(default_model, evaluate),
        jq=options.get("jq"),
        args={name: _value(text, evaluate) for name, text in given.items()},
        paginate=bool(options.get("paginate")),
        limit=options.get("limit"),
        raw="save" in options,
        local=bool(options.get("local")),
        yes=bool(options.get("yes")),
        force=bool(options.get("force")),
        timeout_s=options.get("timeout") or timeout_s,
    )


def _method_and_path(words: tuple[str, ...]) -> tuple[str, str]:
    if len(words) == 2 and words[1].upper() in METHODS:
        raise CellError(f"The method comes first: %replicate api {words[1].upper()} {words[0]}")
    if len(words) == 1 and words[0].upper() in METHODS:
        method = words[0].upper()
        raise CellError(f"A path goes behind {method}, for example %replicate api {method} /models")
    return (words[0], words[1]) if len(words) == 2 else ("", words[0])


def _value(text: str, evaluate: Evaluate) -> Any:
    """A value that is one expression is its object, any other is text, as for jq itself."""
    whole = whole_expression(text)
    return value_of(whole.source, evaluate) if whole else text


# -- a file -------------------------------------------------------------------------------------


def _free_path(line: CommandLine) -> Path | None:
    """Where the answer is to be written; looked at before anything is sent.

    Raises:
        CellError: it cannot be written there, or is more than one answer.
    """
    options = line.options
    if "save" not in options:
        return None
    if beside := [name for name in ("jq", "paginate", "limit") if name in options]:
        raise CellError(
            f"--save writes an answer as it came, and --{beside[0]} makes something else of it: "
            "give one of them. Nothing was sent."
        )
    path = Path(str(options["save"]))
    try:
        path = path.expanduser()
        if path.exists() and not path.is_dir() and not options.get("yes"):
            raise CellError(f"--save {path}: it exists; --yes replaces it. Nothing was sent.")
        if not path.is_dir() and path.absolute().parent.is_dir():
            return path
    except (OSError, ValueError, RuntimeError):  # too long, a null in it, nobody's home
        pass
    told = one_line(str(path), limit=80)
    raise CellError(f"--save {told}: that is no name of a file in a folder. Nothing was sent.")


def _saved(value: Any, path: Path, name: str) -> Path:
    """The path, once the answer is there.

    Raises:
        CellError: it cannot be written; the variable of the name is to hold the answer.
    """
    data = value if isinstance(value, bytes) else json.dumps(value, indent=2).encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CellError(f"--save {path}: {error.strerror}. {name} holds the answer.") from error
    print(f"{size(len(data))} in {path}")  # noqa: T201  (what the person at the line is told)
    return path


# -- what is told -------------------------------------------------------------------------------


def dry_run_text(asked: Call) -> str:
    """The request that would be sent, without token and secrets, and what it would do.

    Raises:
        CellError: it makes no sense.
    """
    rehearsal = calling.rehearse(asked)
    request = rehearsal.request
    lines = [f"{request.method} {rehearsal.base}{request.path}"]
    lines += ["authorization: Bearer (the token)"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.json is not None:
        body = json.dumps(request.json, indent=2, ensure_ascii=False)
        lines += ["content-type: application/json", "", body]
    elif request.content is not None:
        lines += ["", request.content.decode("utf-8", "replace")]
    told = " ".join(filter(None, [rehearsal.does, rehearsal.doubt]))
    return "\n".join([*lines, "", f"{told} Nothing was sent.".lstrip()])


class _Progress:
    """Tells how far something is that takes its time."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + _QUIET_S

    def __call__(self, news: str) -> None:
        """Print the news, unless it is soon after the last."""
        if time.monotonic() >= self._next_s:
            print(one_line(news, limit=200))  # noqa: T201  (what the person at the line is told)
            self._next_s = time.monotonic() + _EACH_S


def _tell(called: Called) -> None:
    if called.notes:
        print(wrapped(printable("\n".join(called.notes))))  # noqa: T201  (told at the line)
