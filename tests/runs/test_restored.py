"""A prediction that is made of its row again: its files, its text, what it took."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from replicate_magic.chunks import Chunks
from replicate_magic.prediction import OutputFile, Prediction
from replicate_magic.recording import Notes, prediction_of, record_of
from replicate_magic.runs.record import Record
from replicate_magic.runs.store import Store

HOST = "https://replicate.delivery/x"
HERE = "http://127.0.0.1:9/v1/files"


def in_base64(letter):
    return f"data:image/png;base64,{base64.b64encode(letter.encode() * 3000).decode()}"


def saved(folder, url, name):
    """A file as it is once it was saved."""
    data = name.encode() * 3000
    path = folder / f"{name}.png"
    path.write_bytes(data)
    return OutputFile(
        url=url, path=path, media_type="image/png", size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


def ran(output, *, files=(), shape=None, status="succeeded", **values):
    raw = {"id": "p1", "status": status, "output": output, "created_at": "2026-01-01T00:00:00Z"}
    return Prediction(model="a/b", raw=raw, fetched=tuple(files), shape=shape, **values)


def again(prediction):
    """What becomes of a prediction on its way into history and out again."""
    store = Store.in_memory()
    store.save(record_of(prediction, Notes(origin="https://x/v1")))
    [record] = store.find("p1")
    return prediction_of(record)


@pytest.mark.parametrize("shape", [None, "files"])
@pytest.mark.parametrize("host", [HOST, HERE])
def test_saved_files_have_their_paths_again(tmp_path, shape, host):
    urls = [f"{host}/{name}.png" for name in "abc"]
    files = [saved(tmp_path, url, name) for url, name in zip(urls, "abc", strict=True)]
    before = ran(
        urls, files=[files[2], files[0]], shape=shape or ("files" if host == HERE else None)
    )

    after = again(before)
    assert after.files == before.files == (files[0], OutputFile(url=urls[1]), files[2])
    assert after.files[0].path.read_bytes() == b"a" * 3000


@pytest.mark.parametrize("url", [f"{HOST}/a.png", f"{HERE}/a.png", in_base64("a")])
def test_a_single_file_is_one(tmp_path, url):
    file = saved(tmp_path, url, "a")

    assert again(ran(url, files=[file], shape="file")).files == (file,)


def test_a_single_file_that_was_not_saved_is_one_all_the_same():
    after = again(ran(f"{HOST}/a.png", shape="file"))

    assert after.files == (OutputFile(url=f"{HOST}/a.png"),)
    assert after.text == f"{HOST}/a.png"


def test_files_within_the_answer_itself_are_found_by_their_order(tmp_path):
    urls = [in_base64("a"), f"{HOST}/b.png", in_base64("c"), in_base64("a")]
    files = [saved(tmp_path, url, name) for url, name in zip(urls, "abca", strict=True)]
    record = record_of(ran(urls, files=files, shape="files"), Notes(origin="here"))

    assert [entry["url"] for entry in record.local["files"]] == [None, urls[1], None, None]
    assert again(ran(urls, files=files, shape="files")).files == tuple(files)


def test_where_some_were_not_saved_their_bytes_tell_which(tmp_path):
    urls = [in_base64(name) for name in "abcd"]
    files = [saved(tmp_path, urls[place], "abcd"[place]) for place in (3, 1)]
    after = again(ran(urls, files=files, shape="files"))

    assert [file.path and file.path.name for file in after.files] == [None, "b.png", None, "d.png"]


@pytest.mark.parametrize("what", ["gone", "longer", "a folder"])
def test_a_file_that_is_not_what_it_was_has_no_path(tmp_path, what):
    file = saved(tmp_path, f"{HOST}/a.png", "a")
    before = ran([file.url], files=[file], shape="files")
    file.path.unlink()
    if what == "longer":
        file.path.write_bytes(b"a" * 3001)
    if what == "a folder":
        file.path.mkdir()

    assert again(before).files == (replace(file, path=None),)


@pytest.mark.parametrize(
    "files",
    [
        "x",
        {"url": "u"},
        [None, 1, "x", {}],
        [{"url": "u", "path": None}],
        [{"url": "u", "path": "\0"}],
        [{"url": None, "path": "/x", "sha256": 5}],
        [{"url": {"a": 1}, "path": "/x", "size_bytes": "many", "media_type": []}],
        [{"url": f"{HOST}/b.png", "path": "/dev/null", "size_bytes": 0}],
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "output", [None, "x", [f"{HOST}/a.png"], {"a": 1}, in_base64("a")], ids=str
)
def test_what_somebody_else_wrote_of_files_raises_nothing(files, output):
    raw = {"id": "p1", "status": "succeeded", "output": output}
    after = prediction_of(Record(raw=raw, model="", origin="", local={"files": files}))

    assert [file.path for file in after.files if file.path] == []
    json.dumps(after.text)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (["Hello", " world"], "Hello world"),
        ("Hello", "Hello"),
        ("data: none", "data: none"),
        (["red", "green"], '["red", "green"]'),
        ({"a": "ä"}, '{"a": "ä"}'),
    ],
)
def test_the_text_is_what_it_was(output, text):
    chunks = Chunks().extended(tuple(output)) if text == "Hello world" else Chunks()
    before = ran(output, streamed=chunks)

    assert before.text == again(before).text == text
    assert again(before).files == ()
    assert again(before).is_text is before.is_text


TOOK = {
    "created_after_s": 0.5,
    "started_after_s": 1.0,
    "first_output_after_s": 1.25,
    "finished_after_s": 4.5,
}


def test_what_a_run_took_is_told_again():
    after = again(ran("x", **TOOK, retries=2, seen_after_s=4.75))

    assert {name: getattr(after, name) for name in TOOK} == TOOK
    assert (after.retries, after.seen_after_s) == (2, 4.5)


def test_what_goes_on_is_timed_anew():
    after = again(ran(None, status="processing", **{**TOOK, "finished_after_s": None}))

    assert {getattr(after, name) for name in TOOK} == {None}
    assert (after.retries, after.seen_after_s) == (0, 0.0)


def test_times_that_are_none_are_passed_over():
    raw = {"id": "p1", "status": "succeeded", "output": "x"}
    local = {"created_after_s": "soon", "retries": "many", "finished_after_s": None}

    assert prediction_of(Record(raw=raw, model="", origin="", local=local)).retries == 0
