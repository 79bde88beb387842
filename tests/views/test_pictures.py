"""The files of an answer in a page: a grid, players, links, and where a click leads."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import unquote

import pytest
from pages import HOSTILE, Page, assert_nothing_acts, bundles, final, prediction

from replicate_magic.prediction import OutputFile
from replicate_magic.views import Look
from replicate_magic.views.html import answer_bundle, document

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder that a kernel is in; a home beside it."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return here


def file(name="1.png", media_type="image/png", data=PNG, **fields):
    return OutputFile(
        **{
            "url": f"https://x/{name}",
            "media_type": media_type,
            "size_bytes": len(data),
            "preview": data,
            **fields,
        }
    )


def pictures(number):
    return [file(f"{n}.png", data=PNG + bytes([n])) for n in range(number)]


def page(files, **look):
    """The only bundle that stays, and its page."""
    bundle = final(prediction(files=files), **look)
    return bundle, Page(bundle["text/html"])


def links(shown):
    return [unquote(attrs["href"]) for tag, attrs in shown.elements if tag == "a"]


def link_of(one):
    """Where a click on a file leads, or `None`."""
    line = bundles(prediction(files=[one]))[0]
    return next(iter(links(Page(line["text/html"]))), None)


# -- pictures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 3, 4, 9, 20])
def test_several_pictures_are_a_grid_with_a_line_of_text_for_each(number):
    bundle, shown = page(pictures(number))
    images = [attrs for tag, attrs in shown.elements if tag == "img"]
    grid = next(attrs["style"] for _, attrs in shown.elements if "grid" in attrs.get("style", ""))

    assert_nothing_acts(bundle["text/html"], pictures=number)
    assert [attrs["alt"] for attrs in images] == [f"{n}.png" for n in range(number)]
    assert all(attrs["width"] and attrs["title"] for attrs in images)
    assert "max-width" in grid
    assert bundle["text/plain"].splitlines()[:number] == [
        f"https://x/{n}.png (image/png, 17 B)" for n in range(number)
    ]


def test_each_picture_is_drawn_from_its_own_bytes_and_leads_to_its_file():
    _, shown = page(pictures(3))
    drawn = [
        (before["href"], base64.b64decode(attrs["src"].partition(",")[2]))
        for (_, before), (tag, attrs) in zip(shown.elements, shown.elements[1:], strict=False)
        if tag == "img"
    ]
    assert drawn == [(f"https://x/{n}.png", PNG + bytes([n])) for n in range(3)]


def test_the_files_behind_a_grid_are_folded_below_it():
    _, shown = page(pictures(3))
    folds = [attrs for tag, attrs in shown.elements if tag == "details"]

    assert "3 files · 51 B" in shown.text
    assert len(folds) == 1
    assert "open" not in folds[0]
    assert "2.png (image/png, 17 B)" in shown.text


def test_pictures_and_other_files_come_together():
    files = [*pictures(2), file("mesh.glb", None, b"glTF", preview=None)]
    bundle, shown = page(files)

    assert_nothing_acts(bundle["text/html"], pictures=2)
    assert "https://x/mesh.glb (glb, 4 B)" in shown.text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_of_a_file_acts_in_the_page(text, folder):
    name = text.replace("/", "_").replace("\0", "_").encode("utf-8", "ignore").decode()[:80]
    files = [
        file(text),
        file(f"{text}2", path=folder / name),
        file(url=f"https://y/?{text}", path=folder.parent / name),
        file(url=f"data:image/png,{text}", media_type=text),
    ]
    for one in (bundles(prediction(files=files)), bundles(prediction(files=files[:1]))):
        markup = one[0]["text/html"]
        assert_nothing_acts(markup, pictures=markup.count("<img"))


# -- small ------------------------------------------------------------------------------------


def test_what_is_drawn_has_a_cap_and_the_whole_is_told_of(folder):
    images = pytest.importorskip("PIL.Image")
    path = folder / "noise.png"
    images.frombytes("RGB", (300, 300), os.urandom(270_000)).save(path)
    whole = file("noise.png", data=path.read_bytes(), preview=None, path=path)
    line, image = bundles(prediction(files=[whole]), preview_bytes=20_000)

    assert len(base64.b64decode(image["image/jpeg"])) <= 20_000
    assert "noise.png (image/png, 271 kB; smaller here)" in Page(line["text/html"]).text
    assert links(Page(line["text/html"])) == ["noise.png"]
    assert image["text/plain"].endswith(", saved as noise.png")
    several, shown = page([whole, file()], preview_bytes=20_000)
    assert "2 files · 271 kB · shown smaller" in shown.text
    assert len(several["text/html"]) < 40_000


def test_a_picture_that_cannot_be_drawn_is_a_link():
    large = file(data=PNG + bytes(400_000))
    _, shown = page([large])

    assert "https://x/1.png (image/png, 400 kB)" in shown.text
    assert "img" not in [tag for tag, _ in shown.elements]


def test_with_no_room_for_pictures_they_are_links():
    assert "image/png" not in final(prediction(files=[file()]), preview_bytes=0)


def test_a_prediction_shown_on_its_own_keeps_to_the_cap():
    found = prediction(files=[file(data=PNG + bytes(400_000))])

    assert "text/html" in answer_bundle(found)
    assert "image/png" in document(found, None, Look(preview_bytes=500_000)).bundles[1]


# -- where a click leads ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("a.png", "out/a b.png", "out/100%25 #1?.png", "out/a:b.png", "http:/a.png"),
        *("ü/日本.png", "a'\".png"),
    ],
)
def test_a_file_below_the_notebook_is_linked_by_its_path(name, folder):
    assert link_of(file(path=folder / name)) == name


@pytest.mark.parametrize("name", ["../a.png", ".home/a.png", "out/.a.png"])
def test_a_file_that_no_page_finds_is_linked_by_its_address(name, folder):
    assert link_of(file(path=Path(os.path.normpath(folder / name)))) == "https://x/1.png"


def test_paths_are_as_the_notebook_sees_them_wherever_the_kernel_has_gone(folder, monkeypatch):
    elsewhere = folder / "deep" / "er"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "notebook.ipynb"))

    assert link_of(file(path=elsewhere / "a.png")) == "deep/er/a.png"
    assert link_of(file(path=folder / "a.png")) == "a.png"


def test_a_folder_may_be_reached_by_two_names(folder, monkeypatch):
    link = folder.parent / "link"
    link.symlink_to(folder)
    monkeypatch.setenv("JPY_SESSION_NAME", str(link / "notebook.ipynb"))

    assert link_of(file(path=folder / "a.png")) == "a.png"
    assert link_of(file(path=link / "b.png")) == "b.png"


def test_what_was_never_on_the_web_and_lies_elsewhere_is_no_link_and_its_path_is_told(folder):
    lies = folder.parent / "home" / "outputs" / "ab.glb"
    one = file(
        url="data:model/gltf-binary;base64,Z2xURg==", media_type="model/gltf-binary", path=lies
    )
    bundle, shown = page([one])

    assert links(shown) == []
    assert "~/outputs/ab.glb (model/gltf-binary, 16 B)" in shown.text
    assert bundle["text/plain"].splitlines()[0].endswith("saved as ~/outputs/ab.glb")


def test_a_file_that_was_saved_elsewhere_is_told_of_with_its_name_and_its_path(folder):
    _, shown = page([file("out.glb", None, b"glTF", path=folder.parent / "home" / "ab.glb")])

    assert shown.text.endswith("out.glb (glb, 4 B) · ~/ab.glb")
    assert links(shown) == ["https://x/out.glb"]


def test_a_kernel_whose_folder_is_gone_still_shows_its_files(folder):
    path = folder / "a.png"
    folder.rmdir()

    assert link_of(file(path=path)) == "https://x/1.png"


# -- other files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type", "facts"),
    [
        ("a.glb", "application/octet-stream", "(glb, 4 B)"),
        ("a.OBJ", "application/octet-stream", "(obj, 4 B)"),
        ("a.obj", "text/plain", "(text/plain, 4 B)"),
        ("a.zip", "application/zip", "(application/zip, 4 B)"),
        ("a.safetensors", None, "(safetensors, 4 B)"),
        ("a", None, "(file, 4 B)"),
        ("a", "application/octet-stream", "(application/octet-stream, 4 B)"),
        ("a.b c<d>", None, "(file, 4 B)"),
        ("film.mp4", "video/mp4", "(video/mp4, 4 B)"),
    ],
)
def test_any_file_is_a_link_with_its_kind_and_size(name, media_type, facts):
    bundle, shown = page([file(name, media_type, b"data", preview=None)], status=False)

    assert shown.text == bundle["text/plain"] == f"https://x/{name} {facts}"
    assert links(shown) == [f"https://x/{name}"]


@pytest.mark.parametrize(("media_type", "tag"), [("audio/wav", "audio"), ("video/mp4", "video")])
def test_sounds_and_films_are_played_where_they_are_small(media_type, tag, folder):
    path = folder / "kept"
    path.write_bytes(bytes(900_000))
    for preview in (bytes(900_000), None):
        small = file("a", media_type, bytes(900_000), preview=preview, path=path)
        _, shown = page([small])
        [player] = [attrs for kind, attrs in shown.elements if kind == tag]
        assert player["src"].startswith(f"data:{media_type};base64,AAAA")
        assert "controls" in player
        assert links(shown) == ["kept"]


def test_a_large_film_is_a_link_with_its_size_and_path(folder):
    film = file(
        "film.mp4", "video/mp4", b"x", preview=None, size_bytes=2_500_000, path=folder / "f.mp4"
    )
    bundle, shown = page([film])

    assert "video" not in [tag for tag, _ in shown.elements]
    assert "f.mp4 (video/mp4, 2.5 MB)" in shown.text
    assert "saved as f.mp4" in bundle["text/plain"]


def test_many_players_have_a_cap_together():
    files = [file(f"{n}.wav", "audio/wav", bytes(900_000)) for n in range(12)]
    bundle, shown = page(files)

    assert [tag for tag, _ in shown.elements].count("audio") == 4
    assert len(bundle["text/html"]) < 6_000_000
    assert len(links(shown)) == 12


def test_of_very_many_files_the_first_are_listed():
    _, shown = page([OutputFile(url=f"https://x/{n}") for n in range(1_000)])

    assert len(links(shown)) == 100
    assert shown.text.endswith("… 900 more")
