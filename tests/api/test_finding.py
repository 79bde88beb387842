"""The search on real sockets: what is found, what is on this machine, and the older search."""

from __future__ import annotations

import pytest
from replicate_server import answer, reply, web_page

from replicate_magic import errors
from replicate_magic.finding import find, search

LOCAL = "local/smollm2-135m-instruct"
FLUX = {
    "owner": "black-forest-labs", "name": "flux-schnell", "description": "Fast <b>images</b>",
    "run_count": 423_871_003, "is_official": True,
    "url": "https://replicate.com/black-forest-labs/flux-schnell",
}  # fmt: skip
OTHER = {"owner": "a", "name": "b", "description": None, "run_count": 5, "url": None}
FOUND = {
    "query": "flux",
    "models": [
        {"model": FLUX, "metadata": {"tags": ["text-to-image", "fast"], "score": 1.5}},
        {"model": OTHER, "metadata": {"generated_description": "Made up"}},
        {"model": {"name": "without an owner"}}, "odd", {"model": None},
    ],
    "collections": [
        {"slug": "flux", "name": "FLUX", "description": "All of it", "models": ["a/b", "c/d"]}
    ],
    "pages": [{"name": "Guide", "href": "/docs/guides/flux"}, {"name": "Out", "href": None}],
}  # fmt: skip


@pytest.fixture
def replicate(replicate, home):
    replicate.answers["GET", "/search"] = reply(200, FOUND)
    return replicate


def test_models_are_a_frame(replicate):
    frame = search("flux  dev")
    first, second = frame.to_dict("records")

    assert first == {
        "model": "black-forest-labs/flux-schnell", "description": "Fast <b>images</b>",
        "runs": 423_871_003, "official": True, "tags": "text-to-image, fast", "url": FLUX["url"],
    }  # fmt: skip
    assert second["description"] == "Made up"
    assert [str(frame.dtypes[name]) for name in ("runs", "official")] == ["Int64", "boolean"]
    assert replicate.requests[0].query == {"query": "flux dev", "limit": "20"}
    assert frame.jq.filter(".runs > 10")["model"].tolist() == ["black-forest-labs/flux-schnell"]


def test_collections_and_docs_are_frames_too(replicate):
    [collection] = search("flux", kind="collections").to_dict("records")
    pages = search("flux", kind="docs")

    assert collection == {
        "collection": "flux", "name": "FLUX", "description": "All of it", "models": "a/b, c/d",
        "url": "https://replicate.com/collections/flux",
    }  # fmt: skip
    assert pages["url"][0] == "https://replicate.com/docs/guides/flux"


def test_models_of_this_machine_come_first_where_all_words_fit(replicate):
    assert search("demo model")["model"].tolist()[:2] == [LOCAL, "black-forest-labs/flux-schnell"]
    assert LOCAL not in search("demo flux")["model"].tolist()


def test_what_is_found_there_is_not_told_twice(replicate):
    there = {"owner": "local", "name": LOCAL.partition("/")[2], "run_count": 7}
    replicate.answers["GET", "/search"] = reply(200, {"models": [{"model": there}]})
    frame = search("smollm2")

    assert frame["model"].tolist() == [LOCAL]
    assert frame["runs"].tolist() == [7]


def test_nothing_found_is_an_empty_frame_with_its_columns(replicate):
    replicate.answers["GET", "/search"] = reply(200, {"models": []})
    frame = search("flux")

    assert len(frame) == 0
    assert frame.columns.tolist() == ["model", "description", "runs", "official", "tags", "url"]


@pytest.mark.parametrize("status", [404, pytest.param(500, marks=pytest.mark.slow)])
def test_the_older_search_answers_where_the_newer_fails(replicate, status):
    replicate.answers["GET", "/search"] = reply(status, {"detail": "Search service error"})
    replicate.answers["QUERY", "/models"] = reply(200, {"next": None, "results": [FLUX, OTHER]})
    made = find("flux", limit=1)

    assert made.value["model"].tolist() == ["black-forest-labs/flux-schnell"]
    assert "the older one" in made.notes[0]
    assert replicate.requests[-1].body == b"flux"
    with pytest.raises(errors.NotFound, match="no search of docs here, only of models"):
        search("flux", kind="docs")


def test_what_the_first_search_said_is_told_where_both_fail(replicate):
    replicate.answers["GET", "/search"] = reply(404, {"detail": "Not here"})

    with pytest.raises(errors.NotFound, match="Not here"):
        search("flux")


@pytest.mark.parametrize("fault", [answer(401, {"detail": "No"}), web_page()])
def test_what_is_on_this_machine_is_there_whatever_the_api_says(replicate, fault):
    replicate.fails("search", always=fault)
    made = find("demo")

    assert made.value["model"].tolist() == [LOCAL]
    assert "What follows is on this machine." in made.notes[0]
    with pytest.raises(errors.ReplicateMagicError):
        search("flux")


def test_a_token_is_wanted_only_where_the_api_wants_one(replicate, monkeypatch):
    replicate.fails("search", None)
    monkeypatch.delenv("REPLICATE_API_TOKEN")

    with pytest.raises(errors.Unauthorized, match="%replicate login asks for one"):
        search("flux")
    assert "authorization" not in replicate.requests[0].headers


def test_nothing_is_asked_where_history_alone_answers(replicate, monkeypatch):
    monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "only")

    with pytest.raises(errors.NotInHistory):
        search("flux")
    assert search("demo")["model"].tolist() == [LOCAL]
    assert replicate.requests == []


@pytest.mark.parametrize(
    ("words", "more", "told"),
    [
        ("  ", {}, "There is nothing to search for"),
        ("x", {"kind": "model"}, "Did you mean models?"),
        ("x", {"limit": 51}, "from 1 to 50"),
        ("x", {"limit": 0}, "from 1 to 50"),
    ],
)
def test_what_makes_no_sense_is_told(replicate, words, more, told):
    with pytest.raises(errors.CellError, match=told):
        search(words, **more)
    assert replicate.requests == []
