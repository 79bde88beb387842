"""A secret input reaches the API, and no file, table, message or display of ours."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from contextlib import suppress
from dataclasses import replace

import pytest
from replicate_server import (
    CONCATENATED,
    Model,
    answer,
    become,
    done_but,
    hold,
    log,
    openapi,
    reply,
    reset,
    say,
    torn,
)

import replicate_magic as rm
from replicate_magic import errors, session
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.notebook.dry_run import dry_run_text
from replicate_magic.order import Conditions
from replicate_magic.runs.history import the_history
from replicate_magic.runs.query import Query
from replicate_magic.runs.record import Record
from replicate_magic.views.html import answer_bundle

pytestmark = pytest.mark.usefixtures("home")

KEY = "hunter2-" + "and-more"
OTHER = "swordfish-" + "9"
PASSWORD = {"type": "string", "format": "password", "x-cog-secret": True}
INPUTS = {
    "prompt": {"type": "string"},
    "key": {**PASSWORD, "minLength": 5},
    "spare": {"anyOf": [PASSWORD, {"type": "null"}]},
    "keys": {"anyOf": [{"type": "array", "items": PASSWORD}, {"type": "null"}]},
}


@pytest.fixture(autouse=True)
def vault(replicate):
    replicate.models["acme/vault"] = Model(official=True, schema=openapi(CONCATENATED, **INPUTS))


def files_with_a_secret(*folders):
    files = [one for folder in folders for one in folder.rglob("*") if one.is_file()]
    assert any(one.name.startswith("history.db") for one in files)
    found = []
    for one in files:
        with suppress(FileNotFoundError):  # a file that was being written has its last name now
            found += [one for word in (KEY, OTHER) if word.encode() in one.read_bytes()]
    return found


def told(error):
    """All that a reader can see of an error."""
    whole = "".join(traceback.format_exception(error))
    return f"{whole}\n{''.join(error._render_traceback_())}\n{vars(error)!r}"


def only():
    [document] = (json.loads(text) for text in rm.runs().jq.documents())
    return document


def run(**inputs):
    return rm.run("acme/vault", **{"prompt": "x", "key": KEY, **inputs})


def test_a_run_sends_its_secrets_and_leaves_them_nowhere(replicate, home, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    replicate.tells(log(f"with {KEY}\n"), say("Hello"), become("succeeded"))
    prediction = run(spare=OTHER, keys=[OTHER, KEY])
    frame = rm.runs()
    shown = [repr(prediction), str(prediction), repr(frame), str(answer_bundle(prediction))]
    shown += [str(frame.jq.all(".")), str(frame.to_dict()), str(frame._repr_mimebundle_())]
    shown += [repr(prediction.raw), str(prediction.jq(".")), caplog.text]
    rm.export_runs(tmp_path / "export.jsonl")
    sent = replicate.seen("create")[0].json["input"]

    assert sent == {"prompt": "x", "key": KEY, "spare": OTHER, "keys": [OTHER, KEY]}
    assert prediction.text == "Hello"
    assert prediction.logs == "with (secret)\n"
    assert only()["input"] == {
        "prompt": "x",
        "key": "(secret)",
        "spare": "(secret)",
        "keys": ["(secret)", "(secret)"],
    }
    assert not [text for text in shown if KEY in text or OTHER in text]
    assert (home / "history.db-wal").exists()
    assert files_with_a_secret(tmp_path) == []
    session.close()
    assert files_with_a_secret(tmp_path) == []
    assert [one.name for one in (home / "schemas").iterdir()]


def test_where_the_api_hides_them_itself_its_words_are_not_kept_for_them(replicate):
    async def redacted(exchange):
        honest = await exchange.honest()
        raw = json.loads(honest.body)
        body = json.dumps({**raw, "input": {**raw["input"], "key": "[REDACTED]"}})
        await exchange.send(replace(honest, body=body.encode()))

    replicate.fails("get", always=redacted)

    assert run().input == {"prompt": "x", "key": "(secret)"}
    assert only()["input"] == {"prompt": "x", "key": "(secret)"}


def test_a_refusal_that_quotes_the_input_is_told_without_it(replicate, home):
    problems = [{"type": "x", "field": "input.key", "description": f"{KEY} is no key"}]
    detail = f"- input.key: '{KEY}' is no key\n- input.keys: {json.dumps([OTHER])}\n"
    body = {"title": "Input validation failed", "detail": detail, "invalid_fields": problems}
    replicate.fails("create", answer(422, body))
    with pytest.raises(
        errors.InvalidInput, match=r"- input\.key: '\(secret\)' is no key"
    ) as caught:
        run(keys=[OTHER])
    the_history().open()

    assert not [word for word in (KEY, OTHER) if word in told(caught.value)]
    assert caught.value.invalid_fields[0]["description"] == "(secret) is no key"
    assert files_with_a_secret(home) == []


@pytest.mark.parametrize("value", [[KEY], 5, {"a": KEY}, f"{KEY}\ud83d", object()], ids=range(5))
def test_a_wrong_type_is_told_without_it(replicate, value):
    with pytest.raises(errors.InputError, match="key") as caught:
        run(key=value)

    assert KEY not in told(caught.value)
    assert not replicate.seen("create")


def test_a_dry_run_shows_that_there_is_one():
    inputs = {"prompt": "x", "key": KEY, "keys": [OTHER, KEY]}
    here, target = session.the_session(), read_target("acme/vault")
    dry_run = here.dry_run(target, Draft(inputs=inputs), Conditions())
    text = dry_run_text(dry_run)

    assert '"key": "(secret)"' in text
    assert text.count("(secret)") == 3
    assert not [word for word in (KEY, OTHER) if word in f"{text}{dry_run!r}"]


def test_a_failure_that_quotes_it_is_told_without_it(replicate, home):
    replicate.tells(log(f"login as {KEY}\n"), become("failed", error=f"The key {KEY} is wrong"))
    with pytest.raises(rm.PredictionFailed, match=r"The key \(secret\) is wrong") as caught:
        run()

    assert "login as (secret)" in str(caught.value)
    assert KEY not in told(caught.value)
    assert rm.runs()["error"].tolist() == ["The key (secret) is wrong"]
    assert files_with_a_secret(home) == []


def test_a_body_that_is_a_secret_is_in_no_column(replicate, home):
    job = session.the_session()._job(
        read_target("acme/vault"),
        Draft(inputs={}, prompt=KEY, prompt_key="key", template=f"{{{{x}}}} {KEY}"),
        Conditions(),
        session.NoView(),
    )
    job.call.start()

    assert job.wait(30).ok
    assert replicate.seen("create")[0].json["input"] == {"key": KEY}
    assert rm.runs()["prompt"].tolist() == [""]
    assert files_with_a_secret(home) == []


# -- looking it up --------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [KEY, "[REDACTED]", None])
def test_a_create_that_broke_off_is_found_by_its_other_inputs(replicate, home, answered):
    async def listed(exchange):
        page = json.loads((await exchange.honest()).body)
        for raw in page["results"]:
            raw["input"] = {**raw["input"], "key": answered}
        await exchange.send(reply(200, page))

    replicate.remember(model="acme/vault", input={"prompt": "y", "key": KEY})
    replicate.fails("create", torn())
    replicate.fails("list", always=listed)

    assert run().id == replicate.predictions[1]["id"]
    assert len(replicate.seen("create")) == 1
    assert files_with_a_secret(home) == []


@pytest.mark.parametrize("second", [torn(), reset()], ids=["created", "lost"])
def test_two_that_differ_in_a_secret_alone_are_never_taken_for_each_other(replicate, begin, second):
    def together(fault):
        async def wait_for_both(exchange):
            await asyncio.to_thread(replicate.wait_for, "create", 2)
            await fault(exchange)

        return wait_for_both

    replicate.fails("create", together(torn()), together(second))
    both = [begin("acme/vault", prompt="x", key=key) for key in (KEY, OTHER)]
    for running in both:
        with pytest.raises(errors.CreateUnclear) as caught:
            _ = running.ended
        assert not [word for word in (KEY, OTHER) if word in told(caught.value)]


def test_what_is_unclear_is_told_without_it(replicate):
    replicate.remember(model="acme/vault", input={"prompt": "x", "key": KEY})
    replicate.fails("create", done_but(502, f"<html>{KEY} " + "x" * 200))
    with pytest.raises(errors.CreateUnclear, match=r"\(secret\)") as caught:
        run()

    assert len(caught.value.candidates) == 2
    assert KEY not in told(caught.value)
    assert KEY[:12] not in told(caught.value)


# -- rows that are there already ------------------------------------------------------------------


def test_attaching_leaves_it_hidden(replicate, home):
    made = replicate.remember(
        model="acme/vault", input={"prompt": "x", "key": KEY}, logs=f"with {KEY}"
    )
    begun = {**made, "status": "starting", "input": {"prompt": "x", "key": "(secret)"}, "logs": ""}
    the_history().save(Record(raw=begun, model="acme/vault", origin=f"{replicate.url}/v1"))
    prediction = rm.attach(made["id"])

    assert prediction.ok
    assert (prediction.input["key"], prediction.logs) == ("(secret)", "with (secret)")
    assert files_with_a_secret(home) == []


def test_attaching_knows_a_secret_by_its_row_where_the_model_is_gone(replicate, home):
    made = replicate.remember(model="acme/gone", input={"key": KEY})
    begun = {**made, "status": "starting", "input": {"key": "(secret)"}}
    the_history().save(Record(raw=begun, model="acme/gone", origin=f"{replicate.url}/v1"))

    assert rm.attach(made["id"]).input == {"key": "(secret)"}
    assert files_with_a_secret(home) == []


def test_attaching_hides_what_a_row_from_elsewhere_had(replicate):
    made = replicate.remember(model="acme/vault", input={"key": KEY})
    begun = {**made, "status": "starting"}
    the_history().save(Record(raw=begun, model="acme/vault", origin=f"{replicate.url}/v1"))

    assert rm.attach(made["id"]).input == {"key": "(secret)"}
    assert only()["input"] == {"key": "(secret)"}


def test_a_list_of_the_account_brings_none_back(replicate, home):
    run(keys=[OTHER])
    assert session.the_session().fetch_runs(Query(), lambda _: None) == 1

    assert only()["input"] == {"prompt": "x", "key": "(secret)", "keys": ["(secret)"]}
    assert files_with_a_secret(home) == []


def test_one_that_goes_on_in_the_background_is_hidden_meanwhile(replicate, home):
    replicate.tells(say("a"), hold(), become("succeeded"))
    job = rm.start("acme/vault", prompt="x", key=KEY)
    replicate.until(lambda: job.prediction.text == "a")

    assert job.prediction.input == {"prompt": "x", "key": "(secret)"}
    assert KEY not in repr(job)
    assert files_with_a_secret(home) == []
    replicate.release()
    assert job.wait(30).ok
