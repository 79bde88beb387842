"""What axe-core finds of all that we draw: names, roles, contrast, in light and dark."""

from __future__ import annotations

import pytest
from replicate_server import become, hold, log, say

pytestmark = pytest.mark.browser

OURS = ".jp-Cell-outputArea"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
CELLS = {
    "card": "%%replicate acme/poet\nWrite.",
    "many": "%%replicate acme/poet acme/sketch --repeat 2 --keep-going -o df\nWrite.",
    "json": "%%replicate acme/poet --jq .\nWrite.",
    "runs": "%replicate runs",
    "stats": "%replicate stats",
    "info": "%replicate info acme/poet",
    "status": "%replicate status",
    "show": "%replicate show {{df['id'].iloc[0]}}",
    "diff": "%replicate diff {{df['id'].iloc[0]}} {{df['id'].iloc[1]}}",
    "code": "%replicate code {{df['id'].iloc[0]}}",
    "help": "%replicate help",
    "explore": "%replicate explore",
}
NUMBERS = {name: number for number, name in enumerate(CELLS)}


def faults(nb):
    """What axe finds wrong in the outputs: the rule, and the elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(nb.page, context=OURS, options=RULES).response["violations"]
    return [(one["id"], node["html"][:200], node["any"]) for one in found for node in one["nodes"]]


@pytest.mark.parametrize("application", ["lab", "notebook"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_that_is_drawn_can_be_read_and_reached_by_all(
    open_notebook, replicate, expect, application, theme
):
    nb = open_notebook(list(CELLS.values()), application, theme=theme)
    words = "# A title\n\nSome **words**, `code` and [a link](https://example.com).\n\n"
    replicate.tells(log("loading"), say(words), hold(), say("The end."), become("succeeded"))
    nb.run(NUMBERS["card"])
    card = nb.output(NUMBERS["card"])
    expect(card.locator(".answer")).to_contain_text("A title")
    live = faults(nb)
    replicate.release()
    nb.wait_idle()
    replicate.tells_in_turn(
        (say("A haiku."), become("succeeded")),
        (become("failed", error="out of memory"),),
        (say("A limerick."), hold(), become("succeeded")),
        (say("A haiku, too."), hold(), become("succeeded")),
    )
    nb.run(NUMBERS["many"])
    table = nb.output(NUMBERS["many"])
    expect(table.locator("tbody tr")).to_have_count(4)
    growing = faults(nb)
    replicate.release()
    nb.wait_idle()
    replicate.tells(say("Words."), become("succeeded"))
    for name in list(CELLS)[2:]:
        nb.run(NUMBERS[name])
        nb.wait_idle()

    assert live == []
    assert growing == []
    assert faults(nb) == []
