"""Every fault of the table against every promise.

The scenarios of a suite run side by side, each at a server of its own, in one process with one
history: together they take as long as the longest.
"""

from __future__ import annotations

import pytest
from promises import Watched, check
from scenarios import SCENARIOS

SLOW = {name for name, scenario in SCENARIOS.items() if scenario.slow}


@pytest.fixture(scope="module")
def begun(request, serve):
    """The scenarios that are asked for, begun: the server and the run of each, by name."""
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    return {name: begin(SCENARIOS[name], serve(), name) for name in sorted(asked)}


def begin(scenario, server, name):
    server.tells(*scenario.story)
    for route in {*scenario.faults, *scenario.always}:
        faults = scenario.faults.get(route, ())
        server.fails(route, *faults, always=scenario.always.get(route))
    server.ahead = scenario.ahead
    server.page_size = scenario.page_size
    if scenario.page_size < 5:
        later = (server.time() + scenario.ahead.__class__(hours=1)).isoformat()
        for number in range(scenario.page_size + 1):
            server.remember(earlier=True, input={"prompt": f"{number}"}, created_at=later)
    if scenario.astray:
        server.next_base = server.other_url
    return server, Watched(name, **scenario.arguments)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in SCENARIOS],
)
def test_under_this_fault_all_promises_hold(begun, module_home, name):
    scenario, (server, watched) = SCENARIOS[name], begun[name]
    outcome = watched.outcome()
    check(
        server, module_home, outcome, posts=scenario.posts, within_s=scenario.within_s,
        stopped=scenario.stopped,
    )  # fmt: skip
    if isinstance(scenario.ends, str):
        assert outcome.prediction, outcome.message
        assert outcome.prediction.status == scenario.ends
    else:
        assert isinstance(outcome.error, scenario.ends), repr(outcome)
        assert scenario.says in outcome.message
