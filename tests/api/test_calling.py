"""Calls of the API on real sockets: what is sent, when it is sent again, what comes of it."""

from __future__ import annotations

import json
import re
import threading
import time
from _thread import interrupt_main

import pytest
from replicate_server import (
    VERSION,
    Model,
    Reply,
    answer,
    become,
    hold,
    late,
    openapi,
    redirect,
    reply,
    reset,
    say,
    torn,
    web_page,
)

from replicate_magic import errors, session
from replicate_magic.api.asked import next_page
from replicate_magic.asking import Call
from replicate_magic.calling import call, call_api
from replicate_magic.functions import run
from replicate_magic.prediction import OutputFile
from replicate_magic.runs.frame import RunsFrame
from replicate_magic.runs.history import the_history
from replicate_magic.runs.query import Query
from replicate_magic.settings import the_settings

CREATE = "/models/acme/poet/predictions"


@pytest.fixture(autouse=True)
def _home(home):
    """No history of another test's."""


def called(method, path, fields=None, **more):
    return call(Call(method=method, path=path, fields=fields or {}, **more))


# -- what comes of it ---------------------------------------------------------------------------


def test_an_object_is_a_dict_with_jq_of_its_own(replicate):
    made = call_api("GET", "/account")

    assert made == {"type": "user", "username": "ada", "name": "Ada"}
    assert json.loads(json.dumps(made)) == dict(made)
    assert made.jq(".username") == "ada"


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (".username", "ada"),
        ("empty", None),
        (".type, .name", ["user", "Ada"]),
        ("[.name]", ["Ada"]),
        ("{n: .name}", {"n": "Ada"}),
        (".username == $x", True),
    ],
)
def test_jq_gives_one_value_none_or_a_list(replicate, program, value):
    assert call_api("GET", "/account", jq=program, args={"x": "ada"}) == value


def test_no_output_of_jq_is_told(replicate):
    assert called("GET", "/account", jq="empty").notes == ("jq gave no output: None.",)


def test_large_numbers_survive_jq(replicate):
    replicate.answers["GET", "/account"] = reply(200, b'{"n": 12345678901234567890123}')

    assert call_api("GET", "/account", jq=".n") == 12345678901234567890123


@pytest.mark.parametrize("program", [".x =", "$ENV", "$x", 'import "a" as a; .'])
def test_a_program_is_checked_before_anything_is_sent(replicate, program):
    with pytest.raises(errors.JqError):
        call_api("POST", CREATE, {"input.prompt": "x"}, jq=program, yes=True)
    assert replicate.requests == []


def test_what_was_done_is_told_where_the_program_fails_on_the_answer(replicate):
    with pytest.raises(errors.JqError) as error:
        call_api("POST", CREATE, {"input.prompt": "x"}, jq=".status | tonumber", yes=True)

    name = replicate.predictions[0]["id"]
    assert f"POST {CREATE} was done all the same, and its id is {name}." in str(error.value)
    assert row().id == name


def test_text_is_a_str_and_takes_no_jq(replicate):
    path = "/models/acme/poet/readme"
    replicate.answers["GET", path] = reply(200, "# Poet\n")

    assert call_api("GET", path) == "# Poet\n"
    with pytest.raises(errors.JqError, match="answers no JSON"):
        call_api("GET", path, jq=".")


def test_a_file_is_bytes_whatever_its_kind(replicate):
    path = "/files/abc/download"
    replicate.answers["GET", path] = reply(200, {"a": 1})
    query = {"owner": "a", "expiry": 1, "signature": "x"}

    assert call_api("GET", path, query) == b'{"a": 1}'


def test_nothing_is_none_and_told(replicate):
    replicate.answers["DELETE", "/models/acme/poet"] = Reply(status=204)
    made = called("DELETE", "/models/acme/poet", yes=True)

    assert made.value is None
    assert "HTTP 204" in made.notes[0]


def test_a_list_is_a_frame_and_says_that_there_is_more(replicate):
    url = f"{replicate.url}/v1/models?cursor=2"
    replicate.answers["GET", "/models"] = reply(200, {"next": url, "results": [{"a": 1}, {"b": 2}]})
    replicate.answers["GET", "/hardware"] = reply(200, [{"name": "CPU", "sku": "cpu"}])
    made = called("GET", "/models")

    assert isinstance(made.value, RunsFrame)
    assert made.value.columns.tolist() == ["a", "b"]
    assert made.notes == ("2 rows: one page. --paginate fetches all, --limit N so many.",)
    assert call_api("GET", "/hardware")["sku"].tolist() == ["cpu"]
    assert len(replicate.requests) == 2


def test_predictions_are_runs_as_those_of_the_history(replicate):
    replicate.remember(
        model="acme/poet", version="hidden", input={"prompt": "Hi"}, output=["a", "b"],
        metrics={"predict_time": 1.5},
    )  # fmt: skip
    frame = call_api("GET", "/predictions")

    assert frame["prompt"].tolist() == ["Hi"]
    assert frame["metrics.predict_time"].tolist() == [1.5]
    assert str(frame["created_at"].dtype) == "datetime64[us, UTC]"
    assert len(the_history().frame(Query())) == 0


def test_pages_are_followed_to_the_end_or_a_limit_and_jq_sees_them_as_one(replicate):
    replicate.page_size = 2
    names = [replicate.remember(model="a/b", input={})["id"] for _ in range(5)]

    assert sorted(call_api("GET", "/predictions", paginate=True)["id"]) == sorted(names)
    assert len(replicate.seen("list")) == 3
    assert len(call_api("GET", "/predictions", limit=3)) == 3
    assert len(replicate.seen("list")) == 5
    assert call_api("GET", "/predictions", paginate=True, jq=".results | length") == 5
    assert call_api("GET", "/predictions", limit=1, jq="[.results[].id] | length") == 1


def test_a_page_elsewhere_is_not_followed_and_the_token_stays(replicate):
    replicate.page_size, replicate.next_base = 1, replicate.other_url
    for _ in range(2):
        replicate.remember(model="a/b", input={})
    made = called("GET", "/predictions", paginate=True)

    assert len(made.value) == 1
    assert "lies at 127.0.0.1, which is not asked" in made.notes[0]
    assert not replicate.strangers_with_token()


def test_pages_that_lead_back_end(replicate):
    path = f"{replicate.url}/v1/models?cursor=1"
    replicate.answers["GET", "/models"] = reply(200, {"next": path, "results": [{"a": 1}]})

    assert len(call_api("GET", "/models", paginate=True)) == 2


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("http://api.replicate.com/v1/deployments?cursor=a", True),  # as the description has one
        ("https://api.replicate.com/v1/deployments?cursor=a", True),
        ("http://evil.com/v1/deployments?cursor=a", False),
        ("http://api.replicate.com:81/v1/deployments?cursor=a", False),
        (None, False),
    ],
)
def test_a_next_page_is_asked_for_by_https_on_the_apis_own_host_only(url, followed):
    found = next_page({"next": url}, "https://api.replicate.com/v1")

    assert found == ("https://api.replicate.com/v1/deployments?cursor=a" if followed else None)


# -- what is sent -------------------------------------------------------------------------------


def test_a_query_and_a_text_are_sent_as_they_are(replicate):
    replicate.answers["QUERY", "/models"] = reply(200, {"next": None, "results": []})
    call_api("QUERY", "/models", {"query": "nano banana"})
    call_api("GET", "/predictions", {"created_after": "2026-01-01T00:00:00Z"})
    query, listing = replicate.requests

    assert query.body == b"nano banana"
    assert query.headers["content-type"].startswith("text/plain")
    assert listing.query == {"created_after": "2026-01-01T00:00:00Z"}


def test_a_body_is_json(replicate):
    path = "/deployments/acme/prod"
    replicate.answers["PATCH", path] = reply(200, {"owner": "acme"})
    call_api("PATCH", path, {"min_instances": 0, "version": VERSION})

    assert replicate.requests[0].json == {"min_instances": 0, "version": VERSION}


def test_a_file_is_sent_as_a_form(replicate, tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n")
    made = call_api("POST", "/files", {"content": tmp_path / "a.csv"})
    call_api("POST", "/files", {"content": b"\x89PNG\r\n\x1a\n", "filename": "x"})
    call_api("POST", "/files", {"content": "hello", "type": "text/markdown"})

    assert made["name"] == "a.csv"
    assert replicate.uploaded == [
        ("a.csv", "text/csv", b"a,b\n"),
        ("x", "image/png", b"\x89PNG\r\n\x1a\n"),
        ("content.txt", "text/markdown", b"hello"),
    ]


@pytest.mark.parametrize("content", [5, OutputFile, {"a": 1}])
def test_what_is_no_file_is_not_sent(replicate, content):
    with pytest.raises(errors.InputError, match=r"which is no file: write content=@PATH"):
        call_api("POST", "/files", {"content": content})
    assert replicate.requests == []


def test_large_files_of_a_body_go_ahead(replicate, tmp_path):
    (tmp_path / "data.zip").write_bytes(bytes(300_000))
    path = f"/models/acme/poet/versions/{VERSION}/trainings"
    replicate.answers["POST", path] = reply(201, {"id": "abc"})
    fields = {"destination": "acme/x", "input.images": tmp_path / "data.zip"}
    call_api("POST", path, fields, yes=True)

    assert replicate.seen("upload")
    assert replicate.requests[-1].json["input"]["images"].startswith(f"{replicate.url}/v1/files/")


def test_a_redirect_is_not_followed(replicate):
    replicate.fails("account", always=redirect(f"{replicate.other_url}/v1/account"))

    with pytest.raises(errors.UnexpectedAnswer, match="not followed"):
        call_api("GET", "/account")
    assert not replicate.strangers_with_token()


# -- again --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_reads_is_asked_again_and_that_is_told(replicate):
    replicate.fails("account", answer(503), reset(), answer(429, {"retry_after": 1}))
    told = []
    made = call(Call(method="GET", path="/account"), told.append)

    assert made.value["username"] == "ada"
    assert len(replicate.seen("account")) == 4
    assert any("Asked again in" in news for news in told)


@pytest.mark.parametrize("fault", [answer(500), reset(), torn()])
def test_what_changes_something_is_sent_once(replicate, fault):
    path = "/models/acme/poet"
    replicate.answers["PATCH", path] = reply(200, {"owner": "acme"})
    replicate.fails("", fault)

    with pytest.raises(errors.ReplicateMagicError, match="not clear whether that was done"):
        call_api("PATCH", path, {"description": "x"})
    assert len(replicate.requests) == 1


@pytest.mark.slow
def test_what_changes_something_is_sent_again_after_a_429(replicate):
    path = "/models/acme/poet"
    replicate.answers["PATCH", path] = reply(200, {"owner": "acme"})
    replicate.fails("", answer(429, {"retry_after": 1}))

    assert call_api("PATCH", path, {"description": "x"}) == {"owner": "acme"}


def test_time_is_over_when_it_is(replicate):
    replicate.fails("account", always=answer(503))

    with pytest.raises(errors.ConnectionLost, match=r"in the time given.*HTTP 503"):
        call_api("GET", "/account", timeout=0.3)


TIMEOUT = re.compile("give seconds, or a text such as|is not a duration")


@pytest.mark.parametrize("timeout", [[], {}, object(), 0, -1, "soon", float("nan")])
def test_a_timeout_that_is_none_is_told_before_anything_is_sent(replicate, timeout):
    with pytest.raises(errors.CellError, match=TIMEOUT):
        call_api("GET", "/account", timeout=timeout)
    with pytest.raises(errors.CellError, match=TIMEOUT):
        run("acme/poet", prompt="x", timeout=timeout)

    assert replicate.requests == []


@pytest.mark.parametrize(
    ("method", "told"),
    [("GET", "GET /slow was interrupted."), ("PUT", "It may have been done all the same.")],
)
def test_an_interrupt_is_short_and_says_what_may_have_come_of_it(replicate, method, told):
    replicate.fails("", always=late(20))
    threading.Thread(target=lambda: (replicate.wait_for(""), interrupt_main())).start()
    began_s = time.monotonic()

    with pytest.raises(KeyboardInterrupt) as interrupt:
        call_api(method, "/slow", yes=True)
    assert time.monotonic() - began_s < 5
    assert told in " ".join(interrupt.value.__notes__)


def test_an_interrupt_of_a_create_cancels_it(replicate):
    replicate.tells(hold(), become("succeeded"))
    replicate.fails("create", late(0.3))
    threading.Thread(target=lambda: (replicate.wait_for("create"), interrupt_main())).start()

    with pytest.raises(KeyboardInterrupt) as interrupt:
        call_api("POST", CREATE, {"input.prompt": "x"}, yes=True)
    assert "is canceled, if it was created" in " ".join(interrupt.value.__notes__)
    assert replicate.predictions[0]["status"] == "canceled"
    assert (row().id, row().final) == (replicate.predictions[0]["id"], True)


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "fields", "told"),
    [
        ("DELETE", "/models/acme/poet", {}, "Delete a model. That is for good."),
        ("POST", CREATE, {"input.prompt": "x"}, "acme/poet runs, which costs money."),
        ("POST", f"/models/a/b/versions/{VERSION}/trainings",
         {"destination": "a/c", "input": {}}, "Create a training. That costs money."),
        ("PATCH", "/deployments/acme/prod", {"min_instances": 1}, "With min_instances=1 it may"),
        ("POST", "/unknown", {"a": 1}, "has no such operation, and it may"),
        ("DELETE", "/account", {}, "has no such operation"),
    ],
)  # fmt: skip
def test_what_deletes_or_costs_wants_a_yes(replicate, method, path, fields, told):
    with pytest.raises(errors.CellError, match=re.escape(told)) as error:
        call_api(method, path, fields)

    assert "--yes (in Python yes=True) does it. Nothing was sent." in str(error.value)
    assert replicate.requests == []


def test_a_yes_is_told_what_earlier_runs_have_cost(replicate, monkeypatch):
    monkeypatch.setattr(the_settings(), "prices", {"acme/poet": {"predict_time": 0.5}})
    call_api("POST", CREATE, {"input.prompt": "x", "Prefer": "wait"}, yes=True)

    with pytest.raises(errors.CellError, match=r"costs about \$0\.2500, by earlier runs"):
        call_api("POST", CREATE, {"input.prompt": "x"})


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/modles", "has no such path. Did you mean /models?"),
        ("GET", "/models/acme/none", "The requested resource could not be found (HTTP 404)"),
        ("GET", "/trainings/x/cancel", "description has POST /trainings/{training_id}/cancel"),
    ],
)
def test_a_404_names_what_is_near(replicate, method, path, told):
    with pytest.raises(errors.NotFound, match=re.escape(told)):
        call_api(method, path)


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (answer(401, {"detail": "No"}), errors.Unauthorized, "status says where it is from"),
        (answer(403, {"detail": "No"}), errors.Unauthorized, "status says whose it is"),
        (answer(422, {"detail": "- x: bad"}), errors.InvalidInput, "- x: bad"),
        (answer(400, {"detail": "Bad"}), errors.APIError, "Bad (HTTP 400)"),
        (web_page(), errors.UnexpectedAnswer, "web page"),
        (answer(200, b"{"), errors.UnexpectedAnswer, "cut short or broken"),
    ],
)
def test_refusals_are_told_as_elsewhere(replicate, fault, kind, told):
    replicate.fails("account", always=fault)

    with pytest.raises(kind, match=re.escape(told)):
        call_api("GET", "/account")


@pytest.mark.parametrize("words", [("GET", None), (None, "/models"), (b"GET", "/models")])
def test_what_is_no_text_is_refused(words):
    with pytest.raises(errors.CellError, match="Method and path are texts"):
        call_api(*words)


def test_without_a_token_the_next_step_is_told(monkeypatch):
    monkeypatch.delenv("REPLICATE_BASE_URL", raising=False)

    with pytest.raises(errors.Unauthorized, match="There is no API token"):
        call_api("GET", "/account")


@pytest.mark.parametrize(("method", "path"), [("GET", "/account"), ("POST", CREATE)])
def test_an_api_that_wants_a_token_is_told_to_have_none(replicate, monkeypatch, method, path):
    monkeypatch.delenv("REPLICATE_API_TOKEN")

    with pytest.raises(errors.Unauthorized, match="there is none: %replicate login asks for one"):
        call_api(method, path, {"input": {}} if method == "POST" else {}, yes=True)


def test_nothing_is_sent_where_history_alone_answers(replicate, monkeypatch):
    monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "only")

    with pytest.raises(errors.NotInHistory):
        call_api("GET", "/account")
    assert replicate.requests == []


# -- predictions --------------------------------------------------------------------------------


def row():
    """The only row of the history."""
    [name] = the_history().frame(Query())["id"]
    [record] = the_history().find(name)
    return record


def test_a_prediction_is_created_once_and_has_a_row(replicate):
    replicate.tells(say("Hello"), hold(), say(" world"), become("succeeded"))
    made = called("POST", CREATE, {"input.prompt": "x", "webhook": "https://x.example"}, yes=True)
    name = made.value["id"]
    [create] = replicate.seen("create")

    assert create.json == {"webhook": "https://x.example", "input": {"prompt": "x"}}
    assert (
        f"Prediction {name} of acme/poet is in the history, and followed; %replicate attach"
        in (made.notes[0])
    )
    assert (row().id, row().origin, row().prompt) == (name, f"{replicate.url}/v1", "x")
    [job] = session.the_session().background()
    replicate.release()
    job.wait()
    assert (row().final, row().output) == (True, "Hello world")


def test_what_is_followed_goes_on_where_this_process_ends_and_ends_where_it_is_canceled(replicate):
    replicate.tells(hold(), become("succeeded"))
    left = call_api("POST", CREATE, {"input.prompt": "x"}, yes=True)["id"]
    replicate.until(lambda: replicate.seen("stream"))
    session.close()
    assert [one.id for one in session.the_session().unfinished()] == [left]
    assert not replicate.seen("cancel")

    ended = call_api("POST", CREATE, {"input.prompt": "y"}, yes=True)["id"]
    [job] = session.the_session().background()
    replicate.until(lambda: len(replicate.seen("stream")) > 1)
    job.cancel()
    replicate.until(lambda: replicate.seen("cancel"))
    assert [one.path for one in replicate.seen("cancel")] == [f"/v1/predictions/{ended}/cancel"]


def test_inputs_are_typed_by_the_models_schema_and_the_api_has_the_last_word(replicate):
    schema = openapi(None, prompt={"type": "string"}, n={"type": "integer", "maximum": 3})
    replicate.models["acme/poet"] = Model(official=True, schema=schema)
    call_api("POST", CREATE, {"input": {"prompt": "5", "n": 9.0, "odd": 1}}, yes=True)

    assert replicate.predictions[0]["input"] == {"prompt": "5", "n": 9, "odd": 1}


@pytest.mark.parametrize("version", ["acme/poet", f"acme/sketch:{VERSION}", VERSION])
def test_each_way_to_name_a_version_goes_as_it_is(replicate, version):
    made = call_api("POST", "/predictions", {"version": version, "input": {}}, yes=True)

    assert replicate.seen("create")[0].json == {"version": version, "input": {}}
    assert row().model == made["model"]


def test_headers_are_those_of_the_description(replicate):
    fields = {"input.prompt": "x", "Prefer": "wait=5", "cancel-after": "90s"}
    made = call_api("POST", CREATE, fields, yes=True)
    [create] = replicate.seen("create")

    assert create.headers["prefer"] == "wait=5"
    assert create.headers["cancel-after"] in {"89s", "90s"}
    assert made["status"] == "succeeded"
    assert (row().final, row().output) == (True, "Hello world")


def test_a_create_that_breaks_off_is_looked_up_and_not_sent_again(replicate):
    replicate.fails("create", torn())
    made = call_api("POST", CREATE, {"input.prompt": "x"}, yes=True)

    assert [made["id"]] == [raw["id"] for raw in replicate.predictions]
    assert len(replicate.seen("create")) == 1


def test_a_version_alone_is_looked_up_too(replicate):
    replicate.fails("create", torn())
    call_api("POST", "/predictions", {"version": VERSION, "input.prompt": "x"}, yes=True)

    assert len(replicate.seen("create")) == 1


def test_a_secret_is_in_no_row_and_no_answer(replicate):
    schema = openapi(None, key={"type": "string", "format": "password", "x-cog-secret": True})
    replicate.models["acme/poet"] = Model(official=True, schema=schema)
    made = call_api("POST", CREATE, {"input.key": "hunter2hunter2"}, yes=True)

    assert replicate.predictions[0]["input"] == {"key": "hunter2hunter2"}
    assert "hunter2" not in json.dumps(made)
    assert "hunter2" not in json.dumps(dict(row().raw))


def test_a_budget_holds_here_too(replicate, monkeypatch):
    monkeypatch.setattr(the_settings(), "budget_usd", 0.0)

    with pytest.raises(errors.OverBudget):
        call_api("POST", CREATE, {"input.prompt": "x"}, yes=True)
    assert not replicate.seen("create")


def test_what_is_asked_of_a_run_of_the_history_completes_its_row(replicate):
    replicate.tells(say("a", after_s=0.05), become("succeeded"))
    name = call_api("POST", CREATE, {"input.prompt": "x"}, yes=True)["id"]
    replicate.until(lambda: replicate.predictions[0]["status"] == "succeeded")

    assert call_api("GET", f"/predictions/{name}", jq=".status") == "succeeded"
    assert row().final
    assert row().prompt == "x"
    assert "remote" not in row().local


def test_a_run_is_asked_of_where_it_was_made(replicate, monkeypatch):
    name = call_api("POST", CREATE, {"input.prompt": "x"}, yes=True)["id"]
    monkeypatch.setenv("REPLICATE_BASE_URL", "https://elsewhere.invalid")

    with pytest.raises(errors.Unauthorized, match="This prediction was made at"):
        call_api("GET", f"/predictions/{name}")


def test_a_wait_for_the_rate_limit_is_told(replicate):
    replicate.fails("create", answer(429, {"retry_after": 0.4}))
    told = []
    fields = {"input.prompt": "x"}
    made = call(Call(method="POST", path=CREATE, fields=fields, yes=True), told.append)

    assert made.value["status"] == "starting"
    assert any("rate limit" in news for news in told)


# -- on this machine ----------------------------------------------------------------------------


def test_the_engine_on_this_machine_needs_no_account(monkeypatch):
    for name in ("REPLICATE_BASE_URL", "REPLICATE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    try:
        made = call_api("GET", "/models/{owner}/{name}", {"model": "local/waifu2x"})
        engine = session.the_session().endpoints.engine

        assert made["owner"] == "local"
        assert call_api("GET", "/account", local=True, jq=".username") == "local"
        assert call_api("GET", f"{engine}/v1/hardware")["sku"].tolist() == ["cpu"]
        with pytest.raises(errors.Unauthorized):
            call_api("GET", "/account")
    finally:
        session.close()
