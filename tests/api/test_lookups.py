"""How long a model's description is good enough, where it lies, and when it is asked for anew."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from replicate_server import (
    CONCATENATED,
    OLDER,
    VERSION,
    Model,
    answer,
    become,
    hold,
    late,
    openapi,
    reset,
    say,
    web_page,
)  # fmt: skip

from replicate_magic import arun, bridge, errors, run, session, start
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.notebook.dry_run import dry_run_text
from replicate_magic.order import Conditions

pytestmark = pytest.mark.usefixtures("home")

NEWER = "9" * 64
REFUSED = answer(422, {"title": "Input validation failed", "detail": "- input: no.", "status": 422})
TEXT = {"type": "string"}
FILE = {"type": "string", "format": "uri"}
LOOK_UPS = ("model", "version", "deployment")


def looked_up(replicate):
    return [request.route for request in replicate.seen(*LOOK_UPS)]


def restart():
    """As a new process has it: nothing is in memory, all that was to be written is."""
    session.close()


def grow_old(home, **age):
    """Have what lies on disk be older; whoever has it in memory forgets it."""
    restart()
    for file in (home / "schemas").iterdir():
        kept = json.loads(file.read_text())
        kept["fetched_at"] = str(datetime.fromisoformat(kept["fetched_at"]) - timedelta(**age))
        file.write_text(json.dumps(kept))


def schema_becomes(replicate, model="acme/poet", **inputs):
    official = replicate.models[model].official
    replicate.models[model] = Model(official=official, schema=openapi(CONCATENATED, **inputs))


def sent(replicate):
    return [request.json["input"] for request in replicate.seen("create")]


def dry_run(model="acme/poet", **inputs):
    draft = Draft(inputs=inputs)
    return dry_run_text(session.the_session().dry_run(read_target(model), draft, Conditions()))


def info(model="acme/poet"):
    return session.the_session().info(read_target(model))


# -- how long -------------------------------------------------------------------------------------


def test_a_model_is_looked_up_once_by_all_that_follow(replicate):
    run("acme/poet", prompt="x")
    restart()
    assert run("acme/poet", prompt="y").text == "Hello world"
    restart()
    assert "acme/poet" in str(info())
    restart()
    assert "prompt" in dry_run(prompt="z")

    assert looked_up(replicate) == ["model"]


@pytest.mark.parametrize(
    ("model", "good", "too_old"),
    [
        ("acme/poet", timedelta(hours=23), timedelta(hours=25)),
        ("deployment:acme/prod", timedelta(hours=23), timedelta(hours=25)),
        ("acme/sketch", timedelta(minutes=9), timedelta(minutes=11)),
        ("acme/untold", timedelta(minutes=9), timedelta(minutes=11)),
        (f"acme/sketch:{OLDER}", timedelta(days=4_000), None),
    ],
)
def test_each_kind_of_target_has_its_time(replicate, home, model, good, too_old):
    replicate.models["acme/untold"] = Model(official=False, told=False)
    assert run(model, prompt="x").ok
    first = looked_up(replicate)

    grow_old(home, seconds=good.total_seconds())
    assert run(model, prompt="x").ok
    assert looked_up(replicate) == first

    if too_old:
        grow_old(home, seconds=(too_old - good).total_seconds())
        assert run(model, prompt="x").ok
        assert looked_up(replicate) == first * 2


def test_a_newer_push_of_a_community_model_runs_after_a_while(replicate, home):
    assert run("acme/sketch", prompt="x").version == VERSION
    replicate.models["acme/sketch"] = Model(official=False, versions=(NEWER, VERSION))
    assert run("acme/sketch", prompt="x").version == VERSION

    grow_old(home, minutes=11)
    assert run("acme/sketch", prompt="x").version == NEWER


def test_what_seems_to_be_from_the_future_is_asked_anew(replicate, home):
    run("acme/poet", prompt="x")
    grow_old(home, hours=-3)
    run("acme/poet", prompt="x")

    assert looked_up(replicate) == ["model", "model"]


def test_what_is_in_memory_grows_old_as_well(replicate, home):
    run("acme/poet", prompt="x")
    grow_old(home, hours=25)
    replicate.fails("model", web_page())
    info()  # it has what lay on disk in memory, since nothing newer is to be had
    run("acme/poet", prompt="x")

    assert looked_up(replicate) == ["model"] * 3


def test_many_that_begin_at_once_ask_once(replicate):
    replicate.fails("model", late(0.2))
    jobs = [start("acme/poet", prompt=f"{number}") for number in range(20)]

    assert all(job.wait(30).ok for job in jobs)
    assert looked_up(replicate) == ["model"]


def test_who_gives_up_waiting_takes_the_answer_from_nobody(replicate):
    replicate.fails("model", late(0.3))
    first, second = start("acme/poet", prompt="x"), start("acme/poet", prompt="y")
    replicate.wait_for("model")
    first.cancel()

    assert second.wait(30).ok
    assert first.prediction.id == ""
    assert looked_up(replicate) == ["model"]


def test_where_all_give_up_the_question_ends_and_the_next_asks_again(replicate):
    def is_asked():
        tasks = asyncio.all_tasks(bridge.the_loop().loop)
        return any("Lookups._fetched" in repr(task) for task in tasks)

    replicate.fails("model", late(5))
    job = start("acme/poet", prompt="x")
    replicate.wait_for("model")
    assert is_asked()
    job.cancel()
    replicate.until(lambda: not is_asked(), within_s=1)

    assert start("acme/poet", prompt="y").wait(30).ok
    assert looked_up(replicate) == ["model", "model"]


@pytest.mark.slow
def test_all_who_wait_are_told_that_it_is_asked_again(replicate, begin):
    replicate.fails("model", answer(503), answer(503))
    both = [begin("acme/poet", prompt=text) for text in ("x", "y")]

    assert all(one.prediction.ok for one in both)
    assert all(any("503" in words for words in one.retries) for one in both)
    assert looked_up(replicate) == ["model"] * 3


# -- on disk --------------------------------------------------------------------------------------


def test_what_lies_on_disk_says_what_it_is_and_holds_no_token(replicate, home):
    run(f"acme/sketch:{OLDER}", prompt="x")
    restart()
    [file] = (home / "schemas").iterdir()
    kept = json.loads(file.read_text())

    assert (kept["base"], kept["target"]) == (f"{replicate.url}/v1", f"acme/sketch:{OLDER}")
    assert kept["version"] == OLDER
    assert datetime.now(UTC) - datetime.fromisoformat(kept["fetched_at"]) < timedelta(minutes=1)
    assert replicate.token not in file.read_text()


def test_models_of_the_engine_are_asked_for_anew(replicate):
    """What is on disk of them is for a replay alone."""
    replicate.models["local/poet"] = Model(official=True)
    for _ in range(2):
        assert run("local/poet", prompt="x").ok
    assert looked_up(replicate) == ["model"]

    restart()
    assert run("local/poet", prompt="x").ok
    assert looked_up(replicate) == ["model", "model"]


def test_what_is_told_without_a_schema_is_not_on_disk(replicate, home):
    replicate.fails("model", answer(200, {"owner": "acme", "name": "poet", "is_official": True}))
    assert run("acme/poet", prompt="x").ok
    restart()

    assert list((home / "schemas").glob("*")) == []


@pytest.mark.parametrize("content", [b"", b"{]", b"null", b"\xff" * 99], ids=range(4))
def test_a_damaged_file_is_looked_up_anew(replicate, home, content):
    run("acme/poet", prompt="x")
    restart()
    [file] = (home / "schemas").iterdir()
    file.write_bytes(content)

    assert run("acme/poet", prompt="x").ok
    assert looked_up(replicate) == ["model", "model"]
    restart()
    assert json.loads(file.read_text())["target"] == "acme/poet"


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("inputs", "kept"),
    [
        ({"self": {"$ref": "#/components/schemas/Input"}}, True),
        ({"deep": nested(200)}, True),
        ({f"input_{n}": {**TEXT, "description": "x" * 900} for n in range(2_000)}, False),
    ],
    ids=["refers to itself", "deep", "enormous"],
)
def test_a_strange_schema_is_good_for_a_run_and_told(replicate, home, inputs, kept):
    schema_becomes(replicate, prompt=TEXT, **inputs)
    for _ in range(2):
        assert run("acme/poet", prompt="x").ok
        assert "prompt" in str(info())
        restart()

    assert looked_up(replicate) == ["model"] * (1 if kept else 2)
    assert len(list((home / "schemas").glob("*"))) == kept


def test_a_schema_too_deep_to_be_read_is_no_answer(replicate):
    body = b'{"latest_version": {"openapi_schema": ' + b'{"a":' * 200_000 + b"1" + b"}" * 200_002
    replicate.fails("model", always=answer(200, body, content_type="application/json"))
    with pytest.raises(errors.UnexpectedAnswer, match="acme/poet"):
        run("acme/poet", prompt="x")


@pytest.mark.filterwarnings("ignore::replicate_magic.runs.history.HistoryWarning")
def test_a_home_that_cannot_be_written_holds_no_run_up(replicate, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REPLICATE_MAGIC_HOME", str(tmp_path / "file"))

    assert run("acme/poet", prompt="x").ok
    assert run("acme/poet", prompt="y").ok
    assert looked_up(replicate) == ["model"]


def test_a_disk_that_does_not_answer_is_not_waited_for(replicate, begin):
    stuck = threading.Event()
    for _ in range(bridge.APART):
        bridge.the_loop().threads.submit(stuck.wait)
    try:
        prediction = begin("acme/poet", prompt="x").prediction
    finally:
        stuck.set()

    assert prediction.ok
    assert prediction.created_after_s < 1


# -- stale ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [True, False], ids=["on disk", "in memory"])
def test_a_schema_that_the_api_refuses_is_looked_up_again_and_the_run_succeeds(
    replicate, begin, restarts
):
    schema_becomes(replicate, prompt=TEXT, images=FILE)
    run("acme/poet", prompt="x")
    if restarts:
        restart()
    schema_becomes(replicate, prompt=TEXT, images={"type": "array", "items": FILE})
    replicate.fails("create", REFUSED)
    running = begin("acme/poet", prompt="x", images="https://a/b")

    assert running.prediction.ok
    assert running.prediction.retries == 1
    assert [one["images"] for one in sent(replicate)[1:]] == ["https://a/b", ["https://a/b"]]
    assert looked_up(replicate) == ["model", "model"]
    assert len(replicate.predictions) == 2


def test_a_version_that_is_gone_is_looked_up_again_and_the_newest_runs(replicate):
    run("acme/sketch", prompt="x")
    replicate.models = {"acme/sketch": Model(official=False, versions=(NEWER,))}
    prediction = run("acme/sketch", prompt="y")

    assert prediction.version == NEWER
    assert [one.json["version"] for one in replicate.seen("create")] == [VERSION, VERSION, NEWER]
    assert len(replicate.predictions) == 2


def test_a_model_that_is_official_no_more_runs_its_newest_version(replicate):
    run("acme/poet", prompt="x")
    restart()
    replicate.models["acme/poet"] = Model(official=False, versions=(NEWER,))

    assert run("acme/poet", prompt="y").version == NEWER


def test_a_refusal_by_the_same_schema_stands_and_creates_nothing(replicate):
    run("acme/poet", prompt="x")
    replicate.fails("create", always=REFUSED)
    with pytest.raises(errors.InvalidInput):
        run("acme/poet", prompt="y")

    assert looked_up(replicate) == ["model", "model"]
    assert len(replicate.seen("create")) == 2


def test_a_refusal_by_what_was_just_looked_up_stands(replicate):
    replicate.fails("create", always=REFUSED)
    with pytest.raises(errors.InvalidInput):
        run("acme/poet", prompt="x")

    assert looked_up(replicate) == ["model"]
    assert len(replicate.seen("create")) == 1


def test_a_second_refusal_stands(replicate):
    run("acme/poet", prompt="x")
    schema_becomes(replicate, prompt=TEXT, steps=TEXT)
    replicate.fails("create", always=REFUSED)
    with pytest.raises(errors.InvalidInput):
        run("acme/poet", prompt="y")

    assert looked_up(replicate) == ["model", "model"]
    assert len(replicate.seen("create")) == 3


def test_a_refusal_stands_where_nothing_newer_is_to_be_had(replicate):
    run("acme/poet", prompt="x")
    replicate.fails("create", always=REFUSED)
    replicate.fails("model", always=web_page())
    with pytest.raises(errors.InvalidInput):
        run("acme/poet", prompt="y")


def test_a_model_that_is_gone_is_forgotten(replicate, home):
    run("acme/poet", prompt="x")
    restart()
    del replicate.models["acme/poet"]
    with pytest.raises(errors.NotFound):
        run("acme/poet", prompt="y")
    restart()

    assert looked_up(replicate) == ["model", "model"]
    assert list((home / "schemas").iterdir()) == []


@pytest.mark.parametrize("status", [422, pytest.param(404, marks=pytest.mark.slow)])
def test_what_is_refused_once_there_is_an_id_creates_nothing_more(replicate, status):
    run("acme/poet", prompt="x")
    replicate.tells(say("a"), hold(), become("succeeded"))
    schema_becomes(replicate, prompt=TEXT, steps=TEXT)
    refused = answer(status, {"detail": "No."})
    replicate.fails("get", always=refused)
    with pytest.raises(errors.APIError):
        run("acme/poet", prompt="y")

    assert len(replicate.predictions) == 2
    assert looked_up(replicate) == ["model"]


def test_our_refusal_by_an_older_schema_is_looked_into(replicate, home):
    run("acme/poet", prompt="x")
    schema_becomes(replicate, prompt=TEXT, steps={"type": "integer"})
    grow_old(home, minutes=2)

    assert run("acme/poet", prompt="y", steps=4).ok
    assert sent(replicate)[1:] == [{"prompt": "y", "steps": 4}]
    assert looked_up(replicate) == ["model", "model"]


def test_our_refusal_by_a_new_schema_stands(replicate):
    run("acme/poet", prompt="x")
    schema_becomes(replicate, prompt=TEXT, steps={"type": "integer"})
    with pytest.raises(errors.InputError, match="has no input steps"):
        run("acme/poet", prompt="y", steps=4)

    assert looked_up(replicate) == ["model"]


def test_what_the_newest_schema_refuses_as_well_is_refused_by_it(replicate, home):
    run("acme/poet", prompt="x")
    schema_becomes(replicate, text=TEXT)
    grow_old(home, minutes=2)
    with pytest.raises(errors.InputError, match="Its inputs: text"):
        run("acme/poet", steps=4)
    with pytest.raises(errors.InputError, match="Its inputs: text"):
        dry_run(steps=4)

    assert looked_up(replicate) == ["model", "model"]
    assert len(replicate.seen("create")) == 1


def test_a_dry_run_looks_into_its_refusal_too(replicate, home):
    run("acme/poet", prompt="x")
    schema_becomes(replicate, prompt=TEXT, steps={"type": "integer"})
    grow_old(home, minutes=2)

    assert '"steps": 4' in dry_run(prompt="y", steps=4)
    assert looked_up(replicate) == ["model", "model"]


@pytest.mark.parametrize("refused", ["by us", "by the api", "in a dry run"])
def test_open_files_are_sent_whole_the_second_time(replicate, home, refused):
    images = {"image": FILE, "images": {"type": "array", "items": FILE}}
    schema_becomes(replicate, **images)
    run("acme/poet", image="https://example.com/x.png")
    schema_becomes(replicate, **images, steps=TEXT)
    grow_old(home, minutes=2)
    steps = {} if refused == "by the api" else {"steps": "4"}
    replicate.fails("create", None if steps else REFUSED)
    given = {"image": io.BytesIO(b"GIF8 one"), "images": [io.BytesIO(b"GIF8 two")], **steps}
    expected = {
        "image": "data:image/gif;base64,R0lGOCBvbmU=",
        "images": ["data:image/gif;base64,R0lGOCB0d28="],
        **steps,
    }

    if refused == "in a dry run":
        assert json.dumps({"input": expected}, indent=2) in dry_run(**given)
    else:
        assert run("acme/poet", **given).ok
        assert sent(replicate)[-1] == expected


# -- out of reach ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        web_page(),
        pytest.param(answer(429), marks=pytest.mark.slow),
        pytest.param(reset(), marks=pytest.mark.slow),
    ],
    ids=["page", "429", "reset"],
)
def test_out_of_reach_what_was_known_is_told_with_its_age(replicate, home, fault):
    run("acme/poet", prompt="x")
    grow_old(home, days=3, hours=5)
    replicate.fails("model", always=fault)
    text = dry_run(prompt="y")

    assert '"prompt": "y"' in text
    assert "Checked against the model's schema as it was 3 days ago: " in text
    with pytest.raises(errors.InputError, match="has no input steps"):
        dry_run(steps=4)
    assert "\nas of " in str(info()).replace("  ", " ")
    assert "UTC; the API is out of reach" in str(info())


def test_out_of_reach_a_run_fails(replicate, home):
    run("acme/poet", prompt="x")
    grow_old(home, days=3)
    replicate.fails("model", always=web_page())
    with pytest.raises(errors.UnexpectedAnswer):
        run("acme/poet", prompt="y")

    assert len(replicate.seen("create")) == 1


def test_within_reach_nothing_is_said_of_its_age(replicate, home):
    run("acme/poet", prompt="x")
    grow_old(home, hours=3)

    assert "schema" not in dry_run(prompt="y")
    assert "as of" not in str(info())


def test_a_dry_run_of_what_was_never_known_is_not_checked(replicate):
    replicate.fails("model", always=web_page())

    assert "Not checked against the model's schema: acme/poet: " in dry_run(anything=5)


def test_async_callers_share_what_is_known(replicate):
    async def both():
        return await asyncio.gather(*(arun("acme/poet", prompt=text) for text in "xy"))

    assert all(one.ok for one in asyncio.run(both()))
    assert looked_up(replicate) == ["model"]
