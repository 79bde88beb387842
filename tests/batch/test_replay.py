"""Answers from history in place of the API: `cached`, and a whole run that sends nothing."""

from __future__ import annotations

import asyncio
from io import BytesIO

import pytest
from replicate_server import CONCATENATED, Model, become, openapi, say

import replicate_magic as rm
from replicate_magic import session
from replicate_magic.api.models import Described
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.order import Conditions, Order
from replicate_magic.replaying import answered
from replicate_magic.sending import request_of
from replicate_magic.session import the_session

QUICK = (say("Hello"), become("succeeded"))


def told(text):
    return (say(text), become("succeeded"))


@pytest.fixture
def only(monkeypatch):
    """From now on nothing may be sent; nothing is in memory either."""

    def begin():
        session.close()
        monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "only")
        monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)

    return begin


def test_the_same_request_is_answered_by_history_and_not_sent(replicate):
    replicate.tells_in_turn(told("one"), told("two"))
    first = rm.run("acme/poet", prompt="a")
    again = rm.run("acme/poet", prompt="a", cached=True)
    other = rm.run("acme/poet", prompt="b", cached=True)

    assert (first.text, again.text, other.text) == ("one", "one", "two")
    assert again.id == first.id
    assert first.age_s is None
    assert 0 <= again.age_s < 30
    assert len(replicate.seen("create")) == 2
    assert len(rm.runs()) == 2


def test_only_runs_that_succeeded_answer(replicate):
    replicate.tells_in_turn((become("failed", error="No."),), told("yes"))
    with pytest.raises(rm.PredictionFailed):
        rm.run("acme/poet", prompt="a")

    assert rm.run("acme/poet", prompt="a", cached=True).text == "yes"


def test_each_repeat_takes_another_answer_the_newest_first(replicate):
    replicate.tells_in_turn(told("one"), told("two"), told("three"))
    for _ in range(2):
        rm.run("acme/poet", prompt="a")
    frame = rm.batch("acme/poet", prompt="a", repeat=3, cached=True, concurrency=1)

    assert frame["output"].tolist() == ["two", "one", "three"]
    assert len(replicate.seen("create")) == 3


def test_a_file_is_the_same_by_its_bytes(replicate, tmp_path):
    schema = openapi(CONCATENATED, image={"type": "string", "format": "uri"})
    replicate.models["acme/eye"] = Model(official=True, schema=schema)
    replicate.tells(*QUICK)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    rm.run("acme/eye", image=tmp_path / "a.png")
    rm.run("acme/eye", image=tmp_path / "b.png", cached=True)
    rm.run("acme/eye", image=BytesIO((tmp_path / "a.png").read_bytes()), cached=True)
    assert len(replicate.seen("create")) == 1

    large = tmp_path / "large.bin"
    large.write_bytes(bytes(300_000))
    rm.run("acme/eye", image=large)
    rm.run("acme/eye", image=large, cached=True)
    large.write_bytes(bytes(300_001))
    rm.run("acme/eye", image=large, cached=True)

    assert len(replicate.seen("create")) == 3
    assert len(replicate.seen("upload")) == 2


def test_nothing_at_all_is_sent_where_history_is_all_there_is(replicate, only):
    replicate.tells(*QUICK)
    rm.run("acme/poet", prompt="a")
    rm.batch("acme/poet", rows=["x", "y"], prompt="{{row}}")
    only()
    before = len(replicate.requests)
    single = rm.run("acme/poet", prompt="a")
    frame = rm.batch("acme/poet", rows=["x", "y"], prompt="{{row}}")

    assert single.text == "Hello"
    assert frame["output"].tolist() == ["Hello", "Hello"]
    assert len(replicate.requests) == before


def test_an_answer_that_is_missing_is_told(replicate, only):
    replicate.tells(*QUICK)
    rm.batch("acme/poet", rows=["x"], prompt="{{row}}")
    only()
    with pytest.raises(rm.NotInHistory, match="no answer of acme/poet"):
        rm.run("acme/poet", prompt="other")
    with pytest.raises(rm.BatchFailed, match="no answer of acme/poet") as caught:
        rm.batch("acme/poet", rows=["x", "other"], prompt="{{row}}")

    assert caught.value.frame["status"].tolist() == ["succeeded", "not sent"]


def test_a_word_that_the_variable_does_not_know_is_told(replicate, monkeypatch):
    monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "always")
    with pytest.raises(rm.CellError, match="off, prefer, only"):
        rm.run("acme/poet", prompt="a")


def test_history_answers_where_it_can_and_runs_the_rest(replicate, monkeypatch):
    replicate.tells(*QUICK)
    rm.run("acme/poet", prompt="a")
    monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "prefer")
    rm.run("acme/poet", prompt="a")
    rm.run("acme/poet", prompt="b")

    assert [one.json["input"]["prompt"] for one in replicate.seen("create")] == ["a", "b"]


def test_a_model_of_the_engine_is_replayed_without_the_engine(replicate, only):
    replicate.models["local/poet"] = Model(official=True)
    replicate.tells(*QUICK)
    rm.run("local/poet", prompt="a")
    only()
    before = len(replicate.requests)

    assert rm.run("local/poet", prompt="a").text == "Hello"
    assert len(replicate.requests) == before


@pytest.mark.timeout(20)
@pytest.mark.parametrize("cached", [False, True])
def test_a_file_that_is_far_too_large_is_refused_and_not_read(replicate, tmp_path, cached):
    schema = openapi(CONCATENATED, image={"type": "string", "format": "uri"})
    replicate.models["acme/eye"] = Model(official=True, schema=schema)
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(1 << 36)  # a hole: reading it would take half a minute
    with pytest.raises(rm.InputError, match="100 MB"):
        rm.run("acme/eye", image=huge, cached=cached)

    assert not replicate.seen("create", "upload")


def test_a_file_that_is_gone_meanwhile_is_told_and_nothing_is_looked_for(replicate, tmp_path):
    schema = openapi(CONCATENATED, image={"type": "string", "format": "uri"})
    replicate.models["acme/eye"] = Model(official=True, schema=schema)
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(300_000))
    order = Order(
        the_session().endpoints.configured(),
        read_target("acme/eye"),
        Draft(inputs={"image": large}),
        Conditions(reuse="prefer"),
    )
    request = request_of(order, Described())
    large.unlink()
    with pytest.raises(rm.InputError, match="No such file"):
        asyncio.run(answered(order, request))
