"""The README's picture: a cell of the embedded engine while its answer streams in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CELL = """\
%%replicate local/smollm2-135m-instruct temperature=0.7 seed=2 max_tokens=160
Tell a short story about an otter who opens a bakery."""
MOST_BYTES = 100_000


@pytest.mark.model
def test_a_live_cell_is_small_enough_for_a_readme(open_notebook, engine, expect, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    models = Path(os.environ["REPLICATE_MAGIC_HOME"], "models").resolve()
    home.joinpath("models").symlink_to(models, target_is_directory=True)
    variables = {"REPLICATE_BASE_URL": engine.base_url, "REPLICATE_API_TOKEN": engine.token}
    nb = open_notebook([f"__import__('os').environ.update({variables!r})", CELL], width=900)
    nb.run(0)
    nb.wait_idle()
    nb.run(1)
    card = nb.output(1).locator(".replicate-card")
    expect(card.locator(".phase")).to_have_text("streaming")
    nb.page.wait_for_function(
        "() => document.querySelector('.replicate-card .answer')?.textContent.length > 250"
    )
    picture = nb.shot_of(1, "live-cell")
    expect(card.locator(".phase")).to_have_text("streaming")
    assert picture.stat().st_size < MOST_BYTES
    nb.wait_idle()
