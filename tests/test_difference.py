"""What differs between two predictions, and that finding it ends soon."""

from __future__ import annotations

import random
import time

import pytest

from replicate_magic.difference import Difference, Part, changes, text_parts
from replicate_magic.prediction import OutputFile, Prediction


def prediction(name="a", *, cost=None, files=(), **raw):
    raw = {"id": name, "status": "succeeded", **raw}
    return Prediction(model="acme/poet", raw=raw, cost_usd=cost, fetched=files)


def test_words_that_differ_stand_between_those_that_are_the_same():
    assert text_parts("the cat sat", "the dog sat") == [
        Part("same", "the"),
        Part("removed", " cat"),
        Part("added", " dog"),
        Part("same", " sat"),
    ]
    assert text_parts("same", "same") == [Part("same", "same")]
    assert text_parts("", "new") == [Part("added", "new")]
    assert text_parts("", "") == []


@pytest.mark.parametrize("vocabulary", [2, 150, 100_000])
def test_texts_of_any_size_are_compared_soon_and_read_back(vocabulary):
    made = random.Random(1)
    texts = [
        "\n".join(" ".join(str(made.randrange(vocabulary)) for _ in range(8)) for _ in range(rows))
        for rows in (10_000, 9_000)
    ]
    began_s = time.monotonic()
    parts = text_parts(*texts)

    assert time.monotonic() - began_s < 3
    assert "".join(part.text for part in parts if part.kind != "added") == texts[0]
    assert "".join(part.text for part in parts if part.kind != "removed") == texts[1]


def test_inputs_are_added_removed_or_changed():
    found = changes({"a": 1, "b": True, "c": "x", "d": 2}, {"a": 1.0, "b": 1, "c": "y", "e": None})

    assert [(one.kind, one.name) for one in found] == [
        ("changed", "b"), ("changed", "c"), ("removed", "d"), ("added", "e"),
    ]  # fmt: skip


def test_hostile_text_is_escaped_in_all_places():
    evil = "<script>alert(1)</script>\x1b[31m"
    before = prediction(
        f"a{evil}", input={evil: evil, "p": f"{evil} one"}, output=evil, error=evil,
        metrics={evil: 1}, version=evil,
    )  # fmt: skip
    after = prediction(
        "b", input={"p": f"{evil} two", "q": [evil]}, output=f"{evil} {evil}", metrics={evil: 2}
    )
    shown = Difference(before=before, after=after)._repr_mimebundle_()

    assert "<script" not in shown["text/html"]
    assert "\x1b" not in shown["text/html"] + shown["text/plain"]
    assert shown["text/html"].count("&lt;script&gt;") >= 5


def test_the_name_of_a_model_is_no_formula_also_where_a_run_is_compared_with_itself():
    run = Prediction(model="acme/$x$", raw={"id": "a", "status": "succeeded"})
    shown = Difference(before=run, after=run)._repr_mimebundle_()

    assert "$x$" in shown["text/html"]
    assert shown["text/html"].startswith('<div class="tex2jax_ignore mathjax_ignore"')


def test_pictures_stand_side_by_side_and_costs_are_compared(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    files = [
        (OutputFile(url=f"https://replicate.delivery/{name}.png", path=path,
                    media_type="image/png", size_bytes=28),)
        for name in "ab"
    ]  # fmt: skip
    one, other = (
        prediction(name, output=file[0].url, files=file, cost=cost, metrics={"predict_time": 1.0})
        for name, file, cost in zip("ab", files, (0.01, 0.03), strict=True)
    )
    shown = Difference(before=one, after=other)._repr_mimebundle_()

    assert shown["text/html"].count("<img src=") == 2
    assert "cost_usd" in shown["text/plain"]
    assert "+$0.0200 (+200 %)" in shown["text/plain"]
    assert "predict_time  1.0 s in both" in shown["text/plain"]
