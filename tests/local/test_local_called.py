"""Calls of the API against the embedded engine, which was written from the API's description."""

from __future__ import annotations

import pytest

from replicate_magic import errors, session
from replicate_magic.api import operations
from replicate_magic.calling import call_api

MODEL = "/models/local/smollm2-135m-instruct"


@pytest.fixture(scope="module", autouse=True)
def _engine(engine):
    """One engine for all, as if it had been started by hand; nothing of ours is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLICATE_BASE_URL", engine.base_url)
        patch.setenv("REPLICATE_API_TOKEN", engine.token)
        yield
        session.close()


@pytest.fixture(autouse=True)
def _home(home):
    """No history of another test's."""


FILLED = {
    "model_owner": "local", "model_name": "smollm2-135m-instruct", "deployment_owner": "local",
    "deployment_name": "smollm2-135m-instruct", "collection_slug": "local", "query": "demo",
}  # fmt: skip
READ = [
    one
    for one in operations.operations()
    if one.method == "GET" and {field.name for field in one.fields if field.required} <= {*FILLED}
]


@pytest.mark.parametrize("one", READ, ids=str)
def test_what_only_reads_answers_as_the_description_says(one):
    fields = {field.name: FILLED[field.name] for field in one.fields if field.required}
    if one.path.endswith("/secret"):
        with pytest.raises(errors.NotFound):  # the engine calls no webhooks
            call_api("GET", one.path)
        return
    kinds = {"object": "JSONObject", "list": "RunsFrame", "text": "Text"}

    assert type(call_api("GET", one.path, fields)).__name__ == kinds[one.gives]


def test_the_older_search_finds_models():
    assert call_api("QUERY", "/models", {"query": "smollm2"}, jq=".results[].name") == (
        "smollm2-135m-instruct"
    )


def test_a_file_goes_up_and_comes_down_and_is_deleted():
    metadata = {"of": ["a", 1]}
    made = call_api(
        "POST", "/files", {"content": b"\0\1", "filename": "ä.bin", "metadata": metadata}
    )
    path = f"/files/{made['id']}"

    assert made["name"].endswith(".bin")
    assert made["metadata"] == metadata
    assert call_api("GET", made["urls"]["get"], jq=".size") == 2
    assert call_api("GET", f"{path}/download", force=True) == b"\0\1"
    assert made["id"] in call_api("GET", "/files")["id"].tolist()
    with pytest.raises(errors.CellError, match="--yes"):
        call_api("DELETE", path)
    assert call_api("DELETE", path, yes=True) is None
    with pytest.raises(errors.NotFound, match="File not found"):
        call_api("GET", path)


def test_predictions_are_listed_over_pages(long_input):
    """They cost nothing here, so that nothing is asked; those that wait are canceled."""
    names = [
        call_api("POST", f"{MODEL}/predictions", {"input": long_input})["id"] for _ in range(3)
    ]
    for name in names:
        call_api("POST", "/predictions/{prediction_id}/cancel", {"prediction_id": name})
    listed = call_api("GET", "/predictions", {"created_after": "2026-01-01T00:00:00Z"}, limit=150)

    assert set(names) <= set(listed["id"])
    assert call_api("GET", f"/predictions/{names[0]}", jq=".status") == "canceled"


def test_what_it_refuses_is_told_in_its_own_words():
    with pytest.raises(errors.InvalidInput, match="Input validation failed"):
        call_api("POST", f"{MODEL}/predictions", {"input": {"temperature": "hot"}})
    with pytest.raises(errors.APIError, match=r"HTTP 405.*description has GET /account"):
        call_api("DELETE", "/account", yes=True)
