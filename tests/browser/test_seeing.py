"""Pictures and JSON as a person sees them, and where a click on a picture leads."""

from __future__ import annotations

import json
import os
from io import BytesIO

import nbformat
import pytest
from jupyter_app import poll
from replicate_server import Model, become, openapi

FILES = {"type": "array", "items": {"type": "string", "format": "uri"}}
SIZES = ((700, 700), (900, 400), (400, 900), (700, 700))
CELL = "%%replicate acme/painter --save 'out puts'\nfour dots"
VALUE = {"found": [{"label": f"cat {n}", "box": [n] * 9} for n in range(200)], "ok": True}


def noise(width, height):
    images = pytest.importorskip("PIL.Image")
    out = BytesIO()
    images.frombytes("RGB", (width, height), os.urandom(3 * width * height)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def painter(replicate):
    """A model that gives pictures of several shapes, each too large for a notebook."""
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(FILES))
    replicate.files = {
        f"{n} #.png": ("image/png", noise(width, height)) for n, (width, height) in enumerate(SIZES)
    }
    names = [name.replace(" #", "%20%23") for name in replicate.files]
    replicate.files = dict(zip(names, replicate.files.values(), strict=True))
    replicate.tells(become("succeeded", output=[f"{replicate.other_url}/files/{n}" for n in names]))
    return replicate


def columns(images):
    """How many pictures stand side by side, once all are drawn."""
    drawn = "all => all.every(one => one.complete && one.naturalWidth > 100)"
    poll(lambda: images.evaluate_all(drawn), "pictures that are drawn")
    return len(set(images.evaluate_all("all => all.map(i => i.closest('a').offsetLeft)")))


def overflow(nb):
    """By how many pixels the output is wider than its place."""
    return nb.output(0).evaluate("area => area.scrollWidth - area.clientWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_several_pictures_are_a_grid_and_a_click_opens_the_whole_file(
    open_notebook, painter, expect, theme
):
    nb = open_notebook([CELL], theme=theme)
    nb.run(0)
    nb.wait_idle()
    images = nb.output(0).locator("img")
    expect(images).to_have_count(4)
    assert columns(images) == 2
    nb.shot(f"pictures-{theme}")
    nb.page.set_viewport_size({"width": 560, "height": 900})
    assert columns(images) == 2
    assert overflow(nb) <= 0
    nb.shot(f"pictures-{theme}-narrow")
    nb.save()
    assert nb.file.stat().st_size < 2_000_000
    images.nth(1).click()
    viewer = nb.page.locator(".jp-ImageViewer img")
    expect(viewer).to_be_visible()
    assert viewer.evaluate("image => image.naturalWidth") == SIZES[1][0]
    assert nb.outside == []


def test_a_page_that_does_not_trust_the_notebook_shows_the_same_grid(
    open_notebook, painter, expect
):
    nb = open_notebook([CELL])
    nb.run(0)
    nb.wait_idle()
    nb.save()
    saved = nb.saved()
    saved.cells[0].source += " by somebody else"
    nbformat.write(saved, nb.file)
    nb.reload()
    images = nb.output(0).locator("img")
    expect(images).to_have_count(4)
    assert not nb.page.evaluate("rig.panel().content.widgets[0].model.trusted")
    assert columns(images) == 2
    nb.shot("pictures-untrusted")
    assert nb.outside == []


def test_in_notebook_a_click_opens_the_file_in_a_tab(open_notebook, painter, expect):
    nb = open_notebook([CELL], "notebook")
    nb.run(0)
    nb.wait_idle()
    images = nb.output(0).locator("img")
    expect(images).to_have_count(4)
    with nb.page.context.expect_page() as opened:
        images.nth(2).click()
    width = "document.images[0]?.complete && document.images[0].naturalWidth"
    assert poll(lambda: opened.value.evaluate(width), "the file") == SIZES[2][0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_json_is_a_tree_that_opens_and_closes(open_notebook, replicate, expect, theme):
    replicate.models["acme/finder"] = Model(official=True, schema=openapi({"type": "object"}))
    replicate.tells(become("succeeded", output={**VALUE, "<img src=x onerror=alert(1)>": "<b>"}))
    nb = open_notebook(["%%replicate acme/finder\ncats"], theme=theme)
    nb.run(0)
    nb.wait_idle()
    output = nb.output(0)
    hidden = output.get_by_text('"cat 30"')
    expect(output.get_by_text("[200 items]")).to_be_visible()
    expect(output.get_by_text('"cat 0"')).to_be_visible()
    expect(hidden).to_be_hidden()
    nb.shot(f"tree-{theme}")
    output.get_by_text("… 190 more").click()
    output.get_by_text("30:", exact=True).first.click()
    expect(hidden).to_be_visible()
    expect(output.get_by_text("<img src=x onerror=alert(1)>:")).to_be_visible()
    nb.shot(f"tree-{theme}-open")
    nb.save()
    [bundle] = [one.data for one in nb.saved().cells[0].outputs]
    assert json.loads(bundle["text/plain"].rpartition("\n\n")[0])["ok"]
    assert nb.page_errors == []
