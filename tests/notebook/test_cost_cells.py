"""Cost in real cells: shown, kept, estimated beforehand, and what stops a run."""

from __future__ import annotations

import re

import pytest
from replicate_server import become, say

pytestmark = pytest.mark.slow

SET = "%config ReplicateMagics."
CELLS = {
    "unknown": "%%replicate acme/poet\nhi",
    "dry unknown": "%%replicate acme/poet --dry-run\nhi",
    "price": SET + 'prices = {"acme/poet": {"predict_time": 0.01}}',
    "shown": "%%replicate acme/poet\nhi",
    "row": "x = %replicate runs limit=1\nprint(x['local.cost_estimate_usd'].tolist())",
    "stats": "x = %replicate stats\nprint(x.cost_usd.tolist())",
    "dry": "%%replicate acme/poet --dry-run\nhi",
    "dry many": "%%replicate acme/poet --dry-run --repeat 3\nhi",
    "too much": "%%replicate acme/poet --max-cost 0.01\nhi",
    "enough": "%%replicate acme/poet --max-cost $0.02 -o p\nhi",
    "cost": "print(p.cost_usd)",
    "line": "x = %replicate run acme/poet --max-cost=0.001 hi",
    "many": "%%replicate acme/poet --repeat 3 --max-cost 0.05 -q\nhi",
    "other": "%%replicate acme/sketch --max-cost 5\nhi",
    "yes": "%%replicate acme/sketch --max-cost 5 --yes\nhi",
    "budget": SET + "budget_usd = 0.07",
    "status": "%replicate status",
    "last": "%%replicate acme/poet\nhi",
    "over": "%%replicate acme/poet --tag over\nhi",
    "background": "%%replicate acme/poet --bg\nhi",
    "function": "import replicate_magic as rm\nrm.run('acme/poet', prompt='hi')",
    "kept": "x = %replicate runs\nprint(len(x), 'over' in x.tag.tolist())",
}


@pytest.fixture
def shown(execute, replicate, tmp_path):
    replicate.tells(say("Hello"), become("succeeded", metrics={"predict_time": 2.0}))
    outputs = execute(*CELLS.values(), env={"REPLICATE_MAGIC_HOME": str(tmp_path / "home")})
    return dict(zip(CELLS, outputs, strict=True))


def test_a_cell_tells_what_it_cost_and_is_stopped_by_what_it_may(shown, replicate):
    line = re.compile(r"acme/poet · succeeded · .* · ≈ \$0\.0200 · https://")

    assert "$" not in shown["unknown"].text
    assert "Estimated cost: unknown. Nothing was sent." in shown["dry unknown"].text
    assert line.search(shown["shown"].text)
    assert "≈ $0.0200" in shown["shown"].bundles[0]["text/html"]
    assert shown["row"].text == "[0.02]"
    assert shown["stats"].text == "[0.04]"  # of the run before the price, too
    assert "Estimated cost: about $0.0200, by earlier runs. Nothing" in shown["dry"].text
    assert shown["dry many"].text.startswith("3 requests. Estimated cost: about $0.0600, by")

    assert (
        "acme/poet may cost about $0.0200, by earlier runs. --max-cost is" in shown["too much"].told
    )
    assert shown["too much"].error.startswith("OverBudget: ")
    assert line.search(shown["enough"].text)
    assert shown["cost"].text == "0.02"
    assert shown["line"].error.startswith("OverBudget: ")
    assert "3 requests may cost about $0.0600" in shown["many"].told
    assert "acme/sketch costs is not known: there is no price for it" in shown["other"].told
    assert "in a cell --yes runs it all the same" in shown["other"].told
    assert "acme/sketch" in shown["yes"].text
    assert shown["yes"].error is None

    spent = "≈ $0.0400 since this kernel began; 2 runs had a cost that is not known; the budget is"
    assert spent in " ".join(shown["status"].text.split())
    assert shown["last"].error is None
    for stopped in ("over", "background", "function"):
        assert (
            "budget_usd is $0.0700, of which $0.0600 are spent or under way" in shown[stopped].told
        )
    assert shown["kept"].text == "5 False"
    assert len(replicate.seen("create")) == 5
