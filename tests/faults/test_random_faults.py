"""Sequences of faults and interrupts at random, against a small model of what must hold.

Hypothesis prints the plan that broke a promise, and the line that plays it again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from promises import Watched, check, settled
from replicate_server import (
    Replicate,
    answer,
    at_another_time,
    become,
    cut,
    done_but,
    late,
    log,
    reset,
    say,
    stream,
    stream_cut,
    stream_misnumbered,
    torn,
    web_page,
)
from scenarios import HOURS, PAGE

from replicate_magic import errors, session

pytestmark = pytest.mark.slow

AT_ONCE = 12

HELD_BACK = {  # the create was refused, and may be sent again
    "429": answer(429, {"detail": "Slow.", "retry_after": 0.2}),
    "429 page": answer(429, PAGE),
}
ACCEPTED = {
    "torn": torn(),
    "torn within": torn(40),
    "cut": cut(60),
    "500": done_but(500, PAGE),
    "late": late(0.4),
    "jump": at_another_time(HOURS, torn()),
}
NOT_ACCEPTED = {"reset": reset(), "503": answer(503, PAGE), "401": answer(401, {"detail": "No."})}
READ = {
    "502": answer(502, PAGE),
    "reset": reset(),
    "torn": torn(),
    "page": web_page(),
    "cut": cut(30),
    "404": answer(404, {"detail": "Not found."}),
    "429": answer(429, {"detail": "Slow.", "retry_after": 0.2}),
    "late": late(0.3),
}
STREAMED = {
    "refused": answer(403, {"detail": "No."}),
    "reset": reset(),
    "early": stream(ends_after=2),
    "replayed": stream(resumes=False),
    "without ids": stream(ends_after=2, ids=False),
    "misnumbered": stream_misnumbered(),
    **{f"cut at {n}": stream_cut(n) for n in range(1, 160, 3)},
    **{f"torn at {n}": stream_cut(n, torn_off=True) for n in range(2, 160, 20)},
}
ENDS = ("succeeded", "failed", "canceled", "aborted")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What happens to one run, by the names of the faults."""

    held_back: list
    create: str
    read: list
    stream: list
    listed: list
    canceling: list
    end: str
    chunks: list
    wait: int | None
    streamed: bool
    interrupt_s: float | None

    @property
    def accepted(self):
        return self.create not in NOT_ACCEPTED


def some(faults, most):
    return st.lists(st.sampled_from(["", *faults]), max_size=most)


PLANS = st.builds(
    Plan,
    held_back=some(HELD_BACK, 2).map(lambda names: [name for name in names if name]),
    create=st.sampled_from(["", *ACCEPTED, *NOT_ACCEPTED]),
    read=some(READ, 3),
    stream=some(STREAMED, 3),
    listed=some({"502": 0, "reset": 0, "page": 0}, 1),
    canceling=some({"502": 0, "reset": 0, "torn": 0, "page": 0}, 2),
    end=st.sampled_from(ENDS),
    chunks=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=6),
    wait=st.sampled_from([None, None, 5]),
    streamed=st.booleans(),
    interrupt_s=st.none() | st.floats(0, 1.5),
)


def begin(server, plan, name):
    every = {**HELD_BACK, **ACCEPTED, **NOT_ACCEPTED, "": None}
    server.tells(log("up\n"), *(say(chunk, 0.03) for chunk in plan.chunks), become(plan.end))
    server.fails("create", *(every[one] for one in [*plan.held_back, plan.create]))
    server.fails("get", *(READ.get(one) for one in plan.read))
    server.fails("list", *(READ.get(one) for one in plan.listed))
    server.fails("cancel", *(READ.get(one) for one in plan.canceling))
    server.fails("stream", *(STREAMED.get(one) for one in plan.stream))
    run = Watched(name, wait=plan.wait, stream=plan.streamed, timeout=20)
    stopper = None
    if plan.interrupt_s is not None:
        stopper = threading.Timer(plan.interrupt_s, run.job.cancel)
        stopper.start()
    return run, stopper


def holds(server, home, plan, outcome):
    """The promises, and what the model says of this plan's end."""
    stopped = plan.interrupt_s is not None
    check(
        server, home, outcome, posts=1 + len(plan.held_back), within_s=20, stopped=stopped
    )  # fmt: skip
    if stopped:
        return
    assert bool(server.predictions) == plan.accepted
    if not plan.accepted:
        refused = errors.Unauthorized if plan.create == "401" else errors.CreateUnclear
        assert isinstance(outcome.error, refused), outcome
    else:
        assert outcome.prediction.status == plan.end
        assert outcome.prediction.ok == (outcome.error is None)


@settings(  # shrinking would wait for every fault a hundred times: the plan that broke is printed
    phases=[Phase.generate], max_examples=8, deadline=None, print_blob=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(plans=st.lists(PLANS, min_size=AT_ONCE, max_size=AT_ONCE))
def test_whatever_happens_all_promises_hold(module_home, plans):
    servers = [Replicate().__enter__() for _ in plans]
    try:
        begun = []
        with pytest.MonkeyPatch.context() as patch:
            for number, (server, plan) in enumerate(zip(servers, plans, strict=True)):
                patch.setenv("REPLICATE_BASE_URL", server.url)
                begun.append(begin(server, plan, f"plan {number}"))
        for server, plan, (run, stopper) in zip(servers, plans, begun, strict=True):
            if stopper:
                stopper.join()
            note(f"{plan}")  # the last one told is the one that broke
            holds(server, module_home, plan, run.outcome())
            settled(server)
    finally:
        session.close()
        for server in servers:
            server.__exit__(None, None, None)
