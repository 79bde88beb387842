"""Owns looking for models, collections and docs: `search`; must not draw what it finds."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.api.asked import Question
from replicate_magic.asking import Called
from replicate_magic.cell.options import whole_number
from replicate_magic.endpoint import embedded_models, without_token
from replicate_magic.errors import CellError
from replicate_magic.failure import tell_interrupt
from replicate_magic.order import replay
from replicate_magic.plain import did_you_mean, one_line
from replicate_magic.session import now, the_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from replicate_magic.endpoint import Endpoint
    from replicate_magic.runs.frame import RunsFrame

Kind = Literal["models", "collections", "docs"]
KINDS: tuple[Kind, ...] = ("models", "collections", "docs")
MOST_MODELS = 50
"""How many models one search gives (https://replicate.com/docs/reference/http#search)."""

LIMIT = 20
"""How many it gives where nothing is said."""

_SITE = "https://replicate.com"
_WITHIN_S = 30.0
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "models": ("model", "description", "runs", "official", "tags", "url"),
    "collections": ("collection", "name", "description", "models", "url"),
    "docs": ("name", "url"),
}
_EMPTY_MODEL = dict.fromkeys(_COLUMNS["models"])
_OLDER = (
    "The search of models, collections and docs is not to be had; this is the older one, of models."
)


def search(words: str, /, *, kind: Kind = "models", limit: int = LIMIT) -> RunsFrame:
    """Look for models, collections, or pages of Replicate's docs.

    ```python
    df = replicate_magic.search("text to image")
    replicate_magic.run(df.model[0], prompt="…")
    ```

    Args:
        words: what to look for.
        kind: what is wanted: `"models"`, `"collections"` or `"docs"`.
        limit: how many models at most, 1 to 50.

    Returns:
        The best first. Models: `model`, `description`, `runs`, `official`, `tags`, `url`, those of
        this machine before all others. Collections: `collection` (its slug), `name`,
        `description`, `models`, `url`. Docs: `name`, `url`. All but `runs` (`Int64`) and `official`
        (`boolean`) are text.

    Raises:
        CellError: there is nothing to look for.
        ReplicateMagicError: the API cannot be asked, and nothing of this machine matches.
    """
    return find(words, kind=kind, limit=limit).value  # type: ignore[no-any-return]  # a `Called` may hold any


def find(
    words: str,
    *,
    kind: Kind = "models",
    limit: int = LIMIT,
    tell: Callable[[str], object] = lambda _: None,
) -> Called:
    """What `search` gives, with what a person is to know beside it.

    Args:
        words: as for `search`, and so is all else.
        kind: what is wanted.
        limit: how many models at most.
        tell: told what is being waited for.

    Raises:
        ReplicateMagicError: as `search` does.
    """
    query = " ".join(words.split()) if isinstance(words, str) else ""
    if not query:
        raise CellError("There is nothing to search for: write %replicate search WORDS.")
    if kind not in KINDS:
        near = did_you_mean(str(kind), KINDS)
        raise CellError(f"{one_line(str(kind), limit=40)}: there is {', '.join(KINDS)}.{near}")
    whole_number("limit", limit, most=MOST_MODELS)
    here = list(_of_this_machine(query)) if kind == "models" else []
    try:
        found = _asked(query, limit, tell)
    except errors.ReplicateMagicError as error:
        if not here:
            raise
        found = _Found({}, (f"{error}\nWhat follows is on this machine.",))
    if found.is_older and kind != "models":
        raise errors.NotFound(f"There is no search of {kind} here, only of models.", status=404)
    theirs = list(_rows(found.raw, kind))
    named = {row.get("model") for row in theirs}
    rows = [*(row for row in here if row["model"] not in named), *theirs[:limit]]
    return Called(value=_frame(rows, kind, query, found.raw), notes=found.notes)


class _Found(NamedTuple):
    """What the API has found.

    Attributes:
        raw: as `GET /search` has it.
        notes: what a person is to know.
        is_older: whether it is of the older search, which finds models alone.
    """

    raw: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    is_older: bool = False


def _asked(query: str, limit: int, tell: Callable[[str], object]) -> _Found:
    """What the API finds; whether it wants a token for that is its own to say.

    Raises:
        ReplicateMagicError: it cannot be asked.
    """
    if replay(cached=False) == "only":
        raise errors.NotInHistory("REPLICATE_MAGIC_REPLAY=only: nothing is searched for.")
    endpoint = the_session().endpoints.configured()
    try:
        return now(partial(_in_time, endpoint, query, limit), tell)
    except KeyboardInterrupt as interrupt:
        tell_interrupt(interrupt, "The search was interrupted.")
        raise
    except errors.Unauthorized as error:
        if endpoint.token:
            raise
        raise without_token(endpoint.base, "a search") from error


async def _in_time(
    endpoint: Endpoint, query: str, limit: int, tell: Callable[[str], None]
) -> _Found:
    client = await the_session().runner.clients.at(endpoint)
    subject = f"the search for {one_line(query, limit=60)}"
    question = Question(client, subject, tell, most_tries=2)  # there is another search
    try:
        async with asyncio.timeout(_WITHIN_S):
            return await _found(question, query, limit)
    except TimeoutError as error:
        raise errors.ConnectionLost(
            f"{endpoint.base} did not answer within {_WITHIN_S:.0f} s."
        ) from error


async def _found(question: Question, query: str, limit: int) -> _Found:
    """What the search finds, or where that fails what the older search of models does."""
    subject = question.subject
    try:
        answer = await question.answer(protocol.search_request(query, limit))
        return _Found(answers.read_object(answer, subject=subject))
    except (errors.NotFound, errors.ServerError) as error:
        older = protocol.older_search_request(query)
        try:
            page = answers.read_object(await question.answer(older), subject=subject)
        except errors.ReplicateMagicError:
            raise error from None
    models = [{"model": one} for one in answers.objects_in(page, "results")]
    return _Found({"models": models}, (_OLDER,), is_older=True)


# -- rows ---------------------------------------------------------------------------------------


def _of_this_machine(query: str) -> Iterator[dict[str, Any]]:
    """The models of the embedded engine that have all the words."""
    words = query.casefold().split()
    for model, description in embedded_models().items():
        text = f"{model} {description}".casefold()
        if all(word in text for word in words):
            yield {**_EMPTY_MODEL, "model": model, "description": description}


def _rows(raw: Mapping[str, Any], kind: Kind) -> Iterator[dict[str, Any]]:
    match kind:
        case "models":
            return filter(None, map(_model, answers.objects_in(raw, "models")))
        case "collections":
            return map(_collection, answers.objects_in(raw, "collections"))
    return map(_page, answers.objects_in(raw, "pages"))


def _model(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """A model that was found; `None` for what has no name."""
    model, metadata = answers.object_in(found, "model"), answers.object_in(found, "metadata")
    owner, name = model.get("owner"), model.get("name")
    if not (isinstance(owner, str) and isinstance(name, str)):
        return None
    runs, official = model.get("run_count"), model.get("is_official")
    tags = metadata.get("tags")
    return {
        "model": f"{owner}/{name}",
        "description": _text(model, "description") or _text(metadata, "generated_description"),
        "runs": runs if isinstance(runs, int) else None,
        "official": official if isinstance(official, bool) else None,
        "tags": ", ".join(map(str, tags)) if isinstance(tags, list) and tags else None,
        "url": _text(model, "url"),
    }


def _collection(found: Mapping[str, Any]) -> dict[str, Any]:
    slug, models = _text(found, "slug"), found.get("models")
    return {
        "collection": slug,
        "name": _text(found, "name"),
        "description": _text(found, "description"),
        "models": ", ".join(map(str, models)) if isinstance(models, list) else None,
        "url": f"{_SITE}/collections/{slug}" if slug else None,
    }


def _page(found: Mapping[str, Any]) -> dict[str, Any]:
    href = _text(found, "href")
    is_path = href is not None and href.startswith("/")
    return {"name": _text(found, "name"), "url": f"{_SITE}{href}" if is_path else href}


def _text(found: Mapping[str, Any], key: str) -> str | None:
    value = found.get(key)
    return value if isinstance(value, str) and value else None


def _frame(rows: list[dict[str, Any]], kind: Kind, query: str, raw: Mapping[str, Any]) -> RunsFrame:
    from replicate_magic.runs import accessor  # noqa: F401  (gives frames their `.jq`)
    from replicate_magic.runs.frame import made, values_frame

    frame = values_frame(rows) if rows else made({name: [] for name in _COLUMNS[kind]})
    counts = {one: sum(1 for _ in _rows(raw, one)) for one in KINDS}
    frame.attrs["found"] = {"kind": kind, "query": query, **counts}
    return frame
