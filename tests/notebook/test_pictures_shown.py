"""What a real kernel leaves of pictures: their cap, from the setting to the saved notebook."""

from __future__ import annotations

import base64
import os
from io import BytesIO

import pytest
from replicate_server import Model, become, openapi

pytestmark = pytest.mark.slow

FILES = {"type": "array", "items": {"type": "string", "format": "uri"}}


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


def noise():
    images = pytest.importorskip("PIL.Image")
    out = BytesIO()
    images.frombytes("RGB", (500, 500), os.urandom(750_000)).save(out, "PNG")
    return out.getvalue()


def size_of(bundle):
    [(kind, data)] = [(kind, data) for kind, data in bundle.items() if kind.startswith("image/")]
    assert kind == "image/jpeg"
    return len(base64.b64decode(data))


def test_the_setting_caps_what_the_notebook_holds_and_the_file_is_whole(execute, replicate):
    """In a cell, by `_`, and from Python."""
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(FILES))
    replicate.files = {"a.png": ("image/png", noise())}
    replicate.tells(become("succeeded", output=[f"{replicate.other_url}/files/a.png"]))
    cell = "%%replicate acme/painter\na cat"
    wide, _, narrow, again, python, whole, _, refused, none = execute(
        cell,
        "%config ReplicateMagics.most_preview_kb = 30",
        cell,
        "_",
        "import replicate_magic as rm\nrm.run('acme/painter', prompt='a cat')",
        "_.files[0].path.stat().st_size, _.image.size",
        "%config ReplicateMagics.most_preview_kb = -1",
        "%config ReplicateMagics.most_preview_kb",
        "%config ReplicateMagics.most_preview_kb = 0\nrm.run('acme/painter', prompt='a cat')",
    )

    assert 100_000 < size_of(wide.bundles[1]) <= 300_000
    for made in (narrow.bundles[1], again.bundles[0], python.bundles[0]):
        assert size_of(made) <= 30_000
    assert "smaller here" in narrow.bundles[0]["text/html"]
    assert whole.text == f"({len(replicate.files['a.png'][1])}, (500, 500))"
    assert refused.text == "30"
    assert set(none.bundles[0]) == {"text/plain", "text/html"}
