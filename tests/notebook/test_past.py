"""The commands about an earlier run, in real kernels."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from replicate_server import (
    CONCATENATED,
    Model,
    answer,
    become,
    hold,
    openapi,
    say,
)

from replicate_magic.runs.history import History
from replicate_magic.runs.record import Record

INPUTS = {
    "prompt": {"type": "string", "x-order": 0},
    "temperature": {"type": "number", "default": 1},
    "key": {"type": "string", "format": "password", "x-cog-secret": True},
    "image": {"type": "string", "format": "uri"},
}
RUN = "%%replicate acme/poet temperature=0.5 -q\nthe cat sat on the mat"
ID = "first = _.id"


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


@pytest.fixture(autouse=True)
def poet(replicate):
    replicate.models["acme/poet"] = Model(official=True, schema=openapi(CONCATENATED, **INPUTS))


def history(environment):
    return History(Path(environment["REPLICATE_MAGIC_HOME"]) / "history.db")


def keep(environment, *records, origin):
    kept = history(environment)
    for raw in records:
        kept.save(Record(raw=raw, model="acme/poet", origin=origin))
    kept.close()


def test_a_run_is_shown_whole_once_and_rerun_with_changes_and_compared(execute_again, replicate):
    replicate.tells_in_turn(
        (say("a red fox"), become("succeeded", logs="warm\n", metrics={"predict_time": 2.0})),
        (say("a red hen"), become("succeeded", metrics={"predict_time": 3.0})),
        (become("failed", error="E1001 <b>"),),
    )
    shown, assigned, again, compared, same, failed = execute_again(
        RUN,
        ID,
        "%replicate show {{first[:9]}}",
        "p = %replicate show {{first}}\nprint(p.text, p.whole)",
        "%replicate rerun {{first}} temperature=0.9 -o q --show",
        "%replicate diff {{first}} {{q.id}}",
        "%replicate diff {{q}} {{q}}",
        "x = %replicate rerun {{first}} -q",
    )[2:]
    [bundle] = shown.bundles
    first, second, third = (request.json["input"] for request in replicate.seen("create"))

    assert bundle["text/plain"].count("a red fox") == 1
    assert "acme/poet · succeeded" in bundle["text/plain"]
    assert "<summary>logs</summary>" in bundle["text/html"]
    assert assigned.text == "a red fox True"
    assert "a red hen" in again.text
    assert second == {**first, "temperature": 0.9}
    assert third == first
    told = compared.bundles[0]
    assert "temperature  0.5 → 0.9" in told["text/plain"]
    assert "a red [-fox-] {+hen+}" in told["text/plain"]
    assert "predict_time  2.0 s → 3.0 s  +1.0 s (+50 %)" in told["text/plain"]
    assert ">hen</ins>" in told["text/html"]
    assert "prompt" not in told["text/plain"]
    assert "there is no difference" in same.text
    assert failed.error.startswith("PredictionFailed")


@pytest.mark.slow
def test_the_options_of_a_cell_make_many_of_a_rerun(execute_again, replicate):
    *_, many, dry, typed = execute_again(
        RUN,
        ID,
        "df = %replicate rerun {{first}} --grid temperature=0.1,0.2 -q\nprint(len(df))",
        "%replicate rerun {{first}} temperature=0.3 --dry-run",
        "%replicate rerun {{first}} temperature=hot",
    )

    sent = [request.json["input"]["temperature"] for request in replicate.seen("create")]
    assert many.text == "2"
    assert sorted(sent) == [0.1, 0.2, 0.5]
    assert '"temperature": 0.3' in dry.printed
    assert "temperature=hot: expected number" in typed.told


def test_secrets_and_files_that_are_gone_are_to_be_given_again(execute_again, replicate):
    gone = f"{replicate.other_url}/files/gone.png"
    replicate.files["here.png"] = ("image/png", b"\x89PNG")
    outputs = execute_again(
        "%%replicate acme/poet key=hunter2 -q\nHi.",
        ID,
        "%replicate rerun {{first}} -q",
        "x = %replicate rerun {{first}} -q key=hunter3",
        f"%%replicate acme/poet image={gone} -q\nHi.",
        "x = %replicate rerun {{_.id}} -q",
        f"%%replicate acme/poet image={replicate.other_url}/files/here.png -q\nHi.",
        "x = %replicate rerun {{_.id}} -q",
        "c = %replicate code {{first}}\nc",
    )

    assert "key: secret, and in no history. Give it again, such as key={{expression}}" in (
        outputs[2].told
    )
    assert replicate.seen("create")[1].json["input"]["key"] == "hunter3"
    assert "image: the file that was sent is gone" in outputs[5].told
    assert "answers HTTP 404" in outputs[5].told
    assert outputs[7].error is None
    assert "YOUR_KEY" in outputs[8].text
    assert "key={{key}}" in outputs[8].text
    assert "hunter" not in outputs[8].text
    assert replicate.token not in outputs[8].text


@pytest.mark.slow
def test_a_file_that_replicate_has_deleted_comes_from_its_saved_copy(execute_again, replicate):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)
    made = f"{replicate.other_url}/files/made.png"
    replicate.files["made.png"] = ("image/png", picture)
    shape = {"type": "string", "format": "uri"}
    replicate.models["acme/maker"] = Model(official=True, schema=openapi(shape, **INPUTS))
    replicate.tells(become("succeeded", output=made))
    _, again = execute_again(
        "first = %replicate run acme/maker prompt=a\n"
        f"second = %replicate run acme/maker prompt=b image={made}",
        "x = %replicate rerun {{second}} -q",
    )

    sent = [request.json["input"].get("image") for request in replicate.seen("create")]
    assert again.error is None
    assert sent == [None, made, f"data:image/png;base64,{base64.b64encode(picture).decode()}"]


def test_a_run_in_the_background_is_canceled_and_what_the_api_says_is_told(console, replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    console.run("%replicate cancel")
    assert "Nothing runs in this kernel." in console.shown().told
    console.run("j = %replicate run acme/poet --bg -q x")
    replicate.wait_for("stream")
    console.run("x = %replicate cancel\nprint(x.status, j.done)")
    assert "was canceled." in console.shown().printed
    assert console.shown().printed.endswith("canceled True\n")
    console.run("a = %replicate run acme/poet --bg -q x\nb = %replicate run acme/poet --bg -q y")
    replicate.wait_for("stream", 3)
    console.run("%replicate cancel")
    assert "2 run in this kernel: name one by its id, or give --all." in console.shown().told
    console.run("x = %replicate cancel {{b.prediction}}\nprint(x.status, a.done)")
    assert console.shown().printed.endswith("canceled False\n")
    console.run("x = %replicate cancel --all\nprint(x.status)")
    assert console.shown().printed.endswith("canceled\n")
    console.run("x = %replicate cancel {{b.prediction}}")
    assert "was already canceled: there was nothing to cancel." in console.shown().printed
    assert len(replicate.seen("cancel")) == 3


def test_a_run_of_another_kernel_is_canceled_or_told_as_it_ended(
    execute_again, replicate, environment
):
    """Its row is all that there is here; the API decides."""
    base = f"{replicate.url}/v1"
    known = {"input": {"prompt": "x"}, "logs": "", "error": None, "model": "acme/poet"}
    running = replicate.remember(status="processing", **known)
    ended = replicate.remember(status="succeeded", output=["Done"], **known)
    foreign = replicate.remember(status="succeeded", output=["Elsewhere"], **known)
    rows = [{**ended, "status": "starting", "output": None}, dict(running)]
    late = replicate.remember(status="processing", **known)
    rows.append(dict(late))
    lost = {**ended, "id": "l" * 26, "status": "starting", "output": None}
    keep(environment, *rows, lost, origin=base)

    def ends(raw, status):
        async def fault(exchange):
            raw["status"] = status
            await exchange.send(await exchange.honest())

        return fault

    forbidden = answer(403, {"title": "Forbidden", "detail": "Not yours", "status": 403})
    replicate.fails("cancel", forbidden, ends(running, "canceled"), ends(late, "succeeded"))
    outputs = execute_again(
        f"x = %replicate cancel {ended['id'][:9]}",
        f"x = %replicate cancel {running['id']}",
        f"x = %replicate cancel {running['id']}\nprint(x.status)",
        f"x = %replicate show {foreign['id']}\nprint(x.text)",
        f"x = %replicate show {lost['id']}",
        f"x = %replicate cancel {lost['id']}",
        f"x = %replicate show {'q' * 26}",
        f"%replicate show {ended['id'][:8]}zzz",
        f"x = %replicate cancel {late['id']}\nprint(x.status)",
        "x = %replicate runs\nprint(sorted(x.status))",
    )

    assert "had already succeeded: there was nothing to cancel." in outputs[0].printed
    assert "The token has no right to this" in outputs[1].told
    assert f"acme/poet ({running['id']}) may still be running." in outputs[1].told
    assert "was canceled." in outputs[2].printed
    assert outputs[2].printed.endswith("canceled\n")
    assert "was not in the history; it was fetched" in outputs[3].printed
    assert '["Elsewhere"]' in outputs[3].printed
    assert "This is what the history has of it" in outputs[4].printed
    assert "is not known any more at" in outputs[5].told
    assert f"{base} has none either." in outputs[6].told
    assert f"Did you mean {ended['id']} (acme/poet)?" in outputs[7].told
    assert "%replicate runs lists them." in outputs[7].told
    assert "succeeded before it could be canceled." in outputs[8].printed
    assert outputs[9].text == "['canceled', 'starting', 'succeeded', 'succeeded', 'succeeded']"
