"""Files in and out of a cell: what is saved, where, and what is told; large inputs go ahead."""

from __future__ import annotations

import json

import pytest
from replicate_server import Model, answer, become, openapi

pytestmark = pytest.mark.slow

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc"
    b"\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
FILES = {"type": "array", "items": {"type": "string", "format": "uri"}}
IMAGE = {"image": {"type": "string", "format": "uri"}, "prompt": {"type": "string"}}


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


@pytest.fixture
def painter(replicate):
    """A model that takes an image and gives two."""
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(FILES, **IMAGE))
    replicate.files = {"a.png": ("image/png", PNG), "b.png": ("image/png", PNG + b"more")}
    urls = [f"{replicate.other_url}/files/{name}" for name in replicate.files]
    replicate.tells(become("succeeded", output=urls))
    return replicate


def test_output_files_are_saved_and_named_by_the_history(execute, painter, tmp_path):
    made, told, image, row = execute(
        "%%replicate acme/painter\na cat",
        "for file in _.files: print(file.path, file.size_bytes, file.media_type)",
        "p = _\nprint(p.image.size)",
        "x = %replicate runs --map '.local.files[] | {path, sha256, size_bytes}'\n"
        "print(x.path.tolist()); print(x.size_bytes.tolist())",
    )
    outputs = tmp_path / "home" / "outputs"
    paths = sorted(outputs.rglob("*.png"))

    assert "2 files saved" in made.text
    assert image.text == "(1, 1)"
    assert sorted(path.read_bytes() for path in paths) == sorted([PNG, PNG + b"more"])
    assert all(str(path) in told.text for path in paths)
    assert all(str(path) in row.text for path in paths)
    assert made.bundles[0]["text/html"].count("<img") == 2
    assert not painter.strangers_with_token()
    assert len(painter.seen("file")) == 2


def test_they_are_saved_where_they_are_asked_for_or_not_at_all(execute, painter, tmp_path):
    named, nowhere, unlogged = execute(
        f"%%replicate acme/painter --save {tmp_path / 'mine'}\na cat",
        "%%replicate acme/painter --no-save\na cat",
        "%%replicate acme/painter --no-log\na cat",
    )

    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["a.png", "b.png"]
    assert not (tmp_path / "home" / "outputs").exists()
    assert "2 files saved" in named.text
    assert "saved" not in nowhere.text + unlogged.text


def test_what_cannot_be_saved_is_told_and_the_run_has_succeeded(execute, painter):
    painter.fails("file", None, answer(403))
    made, status = execute("%%replicate acme/painter\na cat", "print(_.status)")

    assert "1 file saved" in made.text
    assert "1 file not saved" in made.text
    assert "HTTP 403" in made.text
    assert status.text == "succeeded"


def test_a_large_file_goes_ahead_and_its_address_is_the_input(execute, painter, tmp_path):
    (tmp_path / "big.png").write_bytes(PNG + bytes(400_000))
    cell = f"%%replicate acme/painter image=@{tmp_path / 'big.png'}\na cat"
    _, _, dry = execute(cell, cell, cell.replace("painter ", "painter --dry-run "))
    first, second = painter.seen("create")

    assert len(painter.seen("upload")) == 1
    assert b'filename="big.png"' in painter.seen("upload")[0].body
    assert first.json["input"]["image"].startswith(painter.url)
    assert first.json == second.json
    assert "sent-ahead" in dry.text


def test_a_picture_of_the_notebook_goes_in(execute, painter):
    pytest.importorskip("PIL")
    execute(
        "from PIL import Image\ncat = Image.new('RGB', (4, 3), 'red')",
        "%%replicate acme/painter image={{cat}}\na cat",
    )
    [create] = painter.seen("create")

    assert json.dumps(create.json["input"]["image"]).startswith('"data:image/png;base64,')


def test_a_sound_is_played_and_status_says_how_much_is_saved(execute, replicate, tmp_path):
    replicate.models["acme/singer"] = Model(
        official=True, schema=openapi({"type": "string", "format": "uri"})
    )
    replicate.files = {"song.mp3": ("audio/mpeg", b"ID3" + bytes(50_000))}
    replicate.tells(become("succeeded", output=f"{replicate.other_url}/files/song.mp3"))
    made, status = execute("%%replicate acme/singer\na song", "%replicate status")

    assert '<audio controls src="data:audio/mpeg;base64,SUQz' in made.bundles[0]["text/html"]
    saved = f"outputs {tmp_path / 'home' / 'outputs'} (50 kB of at most 10.0 GB)"
    assert saved in " ".join(status.text.split())


def test_saved_files_go_when_their_run_is_deleted(execute, painter, tmp_path):
    _, done = execute("%%replicate acme/painter\na cat", "x = %replicate runs --delete --yes")

    assert done.text == "1 run deleted, and 2 saved files."
    assert not list((tmp_path / "home" / "outputs").rglob("*.png"))
