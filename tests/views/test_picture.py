"""The picture of a prediction, as Pillow has it."""

from __future__ import annotations

import sys
from io import BytesIO

import pytest
from pages import prediction

from replicate_magic.errors import InputError
from replicate_magic.prediction import OutputFile

Image = pytest.importorskip("PIL.Image")


def png(width):
    out = BytesIO()
    Image.new("RGB", (width, 1)).save(out, "PNG")
    return out.getvalue()


def file(name, media_type="image/png", **fields):
    return OutputFile(url=f"https://x/{name}", media_type=media_type, size_bytes=9, **fields)


def test_it_is_the_first_that_was_saved_or_drawn(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(3))

    with prediction(files=[file(1, path=path), file(2, preview=png(4))]).image as saved:
        assert saved.size == (3, 1)
    assert prediction(files=[file(1), file(2, preview=png(4))]).image.size == (4, 1)


def test_other_files_are_passed_over(tmp_path):
    files = [file(1, "model/gltf-binary", preview=b"glTF"), file(2, preview=png(5))]

    assert prediction(files=files).image.size == (5, 1)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([], "has no file that was saved"),
        ([file(1)], "has no file that was saved"),
        ([file(1, "audio/mpeg", preview=b"ID3")], "https://x/1 is no picture"),
        ([file(1, preview=b"\x89PNG")], "https://x/1 is no picture"),
    ],
)
def test_what_is_no_picture_is_told(files, why):
    with pytest.raises(InputError, match=why):
        _ = prediction(None, files=files).image


def test_a_file_that_is_gone_is_told(tmp_path):
    with pytest.raises(InputError, match=r"gone.png cannot be opened: .*No such file"):
        _ = prediction(files=[file(1, path=tmp_path / "gone.png")]).image


def test_without_pillow_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(InputError, match="pip install pillow"):
        _ = prediction(files=[file(1, preview=b"x")]).image
