"""What can go wrong with a run, as a table: faults, and how the run is to come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from replicate_server import (
    answer,
    at_another_time,
    become,
    changed,
    cut,
    done_but,
    late,
    led_away,
    on_stream,
    reset,
    say,
    silent,
    sse,
    stream,
    stream_cut,
    stream_misnumbered,
    stream_of,
    torn,
    web_page,
)

from replicate_magic import errors

TOLD = (say("Grüße, "), say("wor"), say("ld \u2028 and"), say(" moon"), become("succeeded"))
LONG = (say("Once", after_s=0.1), *(say(f" {n}", after_s=0.05) for n in range(12)))
SLOW = (*LONG, become("succeeded"))
ENDLESS = (say("Once"), *[say(".", after_s=0.2)] * 1_000)
PAGE = "<html>Bad gateway</html>"
HOURS = timedelta(hours=3)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Faults, and what is to come of a run under them.

    Attributes:
        faults: by route, those of its first requests.
        always: by route, that of all that follow.
        story: what the prediction does.
        arguments: of the run.
        ends: the status, or the kind of the error.
        says: words of the error.
        posts: how many requests to create may be sent.
        within_s: how long it may take.
        stopped: whether it is to be canceled by its deadline.
        ahead: how far the server's clock is ahead at first.
        page_size: of the account's list, which holds as many predictions of others' before.
        astray: whether the list's cursors lead to another origin.
        slow: whether it takes too long for the fast suite.
    """

    faults: dict = field(default_factory=dict)
    always: dict = field(default_factory=dict)
    story: tuple = TOLD
    arguments: dict = field(default_factory=dict)
    ends: str | type[Exception] = "succeeded"
    says: str = ""
    posts: int = 1
    within_s: float = 8.0
    stopped: bool = False
    ahead: timedelta = timedelta(0)
    page_size: int = 100
    astray: bool = False
    slow: bool = False


def at(route, *faults, always=None, **more):
    """A scenario of one route."""
    return Scenario(faults={route: faults}, always={route: always}, **more)


def unclear(*faults, says="not clear whether", **more):
    """A create that nothing is found of."""
    return at("create", *faults, ends=errors.CreateUnclear, says=says, slow=True, **more)


WAITED = {"wait": 10}
POLLED = {"stream": False}
OVER = {"timeout": 1.0}

CREATE = {
    "429-header": at("create", answer(429, {"detail": "Slow."}, retry_after="1"), posts=2),
    "429-body": at("create", answer(429, {"detail": "Slow.", "retry_after": 0.3}), posts=2),
    "429-text": at("create", answer(429, {"detail": "Resets in ~0.3s."}), posts=2),
    "429-page": at("create", answer(429, PAGE), posts=2),
    "429-then-torn": at("create", answer(429, {"retry_after": 0.3}), torn(), posts=2),
    "429-for-ever": at(
        "create", always=answer(429, {"retry_after": 50}), arguments={"timeout": 5},
        ends=errors.RateLimited, says="--timeout",
    ),
    "accepted-reset": at("create", torn()),
    "accepted-cut-body": at("create", torn(after_bytes=30)),
    "accepted-cut-json": at("create", cut(50)),
    "accepted-500": at("create", done_but(500, {"detail": "Oops."})),
    "accepted-502-page": at("create", done_but(502, PAGE)),
    "accepted-page": at("create", done_but(200, PAGE)),
    "accepted-empty": at("create", done_but(201, b"")),
    "accepted-other-id": at("create", changed(id=None)),
    "accepted-reset-and-list-flaky": Scenario(
        faults={"create": [torn()], "list": [reset(), answer(502, PAGE)]}, slow=True
    ),
    "accepted-reset-and-list-down": Scenario(
        faults={"create": [torn()]}, always={"list": answer(500, PAGE)},
        ends=errors.CreateUnclear, says="Looking for it failed", slow=True,
    ),
    "accepted-reset-clock-behind": at("create", torn(), ahead=-HOURS),
    "accepted-reset-clock-ahead": at("create", torn(), ahead=HOURS),
    "accepted-reset-clock-jumps-on": at("create", at_another_time(HOURS, torn())),
    "accepted-reset-clock-jumps-back": at("create", at_another_time(-HOURS, torn())),
    "accepted-reset-further-pages": at("create", torn(), page_size=2),
    "accepted-reset-cursor-astray": at(
        "create", torn(), page_size=2, astray=True, ends=errors.CreateUnclear, slow=True
    ),
    "accepted-late": at("create", late(1.0)),
    "accepted-late-over": at(
        "create", late(2.0), story=ENDLESS, arguments=OVER, ends=errors.PredictionTimeout,
        stopped=True,
    ),
    "accepted-silent": at("create", late(600), slow=True, within_s=75),
    "accepted-silent-over": at(
        "create", late(600), arguments=OVER, ends=errors.PredictionTimeout, says="had an id",
        stopped=True, within_s=6, slow=True,
    ),
    "refused-reset": unclear(reset()),
    "refused-503": unclear(answer(503, PAGE)),
    "refused-page": unclear(web_page()),
    "silent": unclear(silent(), within_s=75),
    "led-away": at(
        "create", led_away(), ends=errors.UnexpectedAnswer, says="redirect", within_s=3
    ),
    "401": at("create", answer(401, {"detail": "No."}), ends=errors.Unauthorized),
    "402": at("create", answer(402, {"detail": "Pay."}), ends=errors.InsufficientCredit),
    "422": at("create", answer(422, {"detail": "- a: no"}), ends=errors.InvalidInput),
}  # fmt: skip

GET = {
    "502": at("get", answer(502, PAGE), arguments=POLLED),
    "reset-twice": at("get", reset(), reset(), arguments=POLLED),
    "404-after-create": at("get", answer(404, {"detail": "Not found."}), arguments=POLLED),
    "404-for-ever": at(
        "get", always=answer(404, {"detail": "Not found."}), arguments=POLLED,
        ends=errors.NotFound, slow=True, within_s=25, story=ENDLESS, stopped=True,
    ),
    "page": at("get", web_page(), arguments=POLLED),
    "page-for-ever": at(
        "get", always=web_page(), arguments=POLLED, ends=errors.UnexpectedAnswer, slow=True,
        within_s=25, stopped=True,
    ),
    "cut-json": at("get", cut(40), arguments=POLLED),
    "torn-body": at("get", torn(after_bytes=40), arguments=POLLED),
    "list-for-object": at("get", answer(200, [1]), arguments=POLLED),
    "429": at("get", answer(429, {"retry_after": 0.3}), arguments=POLLED),
    "led-away": at("get", led_away(), arguments=POLLED),
    "late": at("get", late(0.8), arguments=POLLED),
    "silent-half-a-minute": at("get", silent(), arguments=POLLED, slow=True, within_s=45),
    "clock-jumps": at("get", at_another_time(HOURS), at_another_time(-HOURS), arguments=POLLED),
    "down-over": at(
        "get", always=reset(), story=ENDLESS, arguments={**OVER, **POLLED},
        ends=errors.PredictionTimeout, stopped=True, within_s=7,
    ),
    "revoked": at(
        "get", always=answer(401, {"detail": "Revoked."}), story=ENDLESS, arguments=POLLED,
        ends=errors.Unauthorized, stopped=True, within_s=7,
    ),
}  # fmt: skip

ONE = sse("output", "Once", id="1:0")
STREAM = {
    **{f"cut-at-{n}": at("stream", stream_cut(n), story=SLOW) for n in (1, 8, 30, 63, 64, 65, 90)},
    **{f"torn-at-{n}": at("stream", stream_cut(n, torn_off=True), story=SLOW) for n in (9, 70)},
    "cut-within-a-letter": at("stream", stream_cut(46)),
    "cut-every-time": at("stream", always=stream_cut(40), story=SLOW),
    "silent": at("stream", silent(), story=SLOW),
    "silent-after-one": at("stream", stream_of(ONE, then=silent()), story=SLOW, slow=True),
    "refused": at("stream", always=answer(403, {"detail": "No."}), story=SLOW),
    "reset": at("stream", always=reset(), story=SLOW),
    "page": at("stream", always=web_page(), story=SLOW),
    "late": at("stream", late(0.5), story=SLOW),
    "replayed": at("stream", stream(ends_after=3), always=stream(resumes=False), story=SLOW),
    "without-ids": at("stream", always=stream(ends_after=3, ids=False), story=SLOW),
    "misnumbered": at("stream", always=stream_misnumbered(), story=SLOW),
    "408": at("stream", stream(ends_after=2, last=b": 408 Request Timeout\n\n"), story=SLOW),
    "done-too-early": at("stream", story=(say("a"), on_stream("done", "{}"), *SLOW)),
    "an-error-first": at("stream", stream_of(sse("error", "E1")), story=SLOW),
    "other-text": at("stream", stream_of(sse("output", "nonsense", id="1:0")), story=SLOW),
    "led-away": at("stream", led_away(), story=SLOW),
}

WAIT = {
    "half-done": at("create", changed(status="processing", completed_at=None), arguments=WAITED),
    "reset": at("create", torn(), arguments=WAITED),
    "500": at("create", done_but(500, PAGE), arguments=WAITED),
    "cut-json": at("create", cut(80), arguments=WAITED),
    "late": at("create", late(0.6), arguments=WAITED),
}

STATUS = {
    "failed": Scenario(story=(say("a"), become("failed", error="Oh.")), ends="failed"),
    "aborted": Scenario(story=(become("aborted"),), ends="aborted"),
    "canceled-elsewhere": Scenario(story=(say("a"), become("canceled")), ends="canceled"),
    "unknown-then-known": Scenario(story=(become("pondering"), say("a"), become("succeeded"))),
    "unknown-with-an-end": Scenario(
        story=(become("finished", completed_at="2026-01-01T00:00:00Z"),), ends="finished"
    ),
    "unknown-over": Scenario(
        story=(become("pondering"),), arguments=OVER, ends=errors.PredictionTimeout, stopped=True
    ),
}

CANCEL = {
    name: at(
        "cancel", *faults, always=always, story=ENDLESS, arguments=OVER, stopped=True, within_s=7,
        ends=errors.PredictionTimeout, slow=name in {"silent", "refused", "down"},
    )
    for name, faults, always in (
        ("honest", (), None),
        ("502", (answer(502, PAGE),), None),
        ("reset", (reset(),), None),
        ("accepted-reset", (torn(),), None),
        ("page", (web_page(),), None),
        ("429", (answer(429, {"retry_after": 0.2}),), None),
        ("silent", (silent(),), None),
        ("refused", (), answer(403, {"detail": "No."})),
        ("down", (), reset()),
    )
}  # fmt: skip

SCENARIOS = {
    f"{room}-{name}": scenario
    for room, table in (
        ("create", CREATE),
        ("get", GET),
        ("stream", STREAM),
        ("wait", WAIT),
        ("status", STATUS),
        ("cancel", CANCEL),
    )
    for name, scenario in table.items()
}
