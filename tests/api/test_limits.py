"""The account's rate limit, kept by all that runs here: real sockets, and real token buckets."""

from __future__ import annotations

import asyncio
import time

import pytest
from rate_limits import Bucket, Limits
from replicate_server import Replicate, answer, become, hold, last_words, say

from replicate_magic import arun, errors, run
from replicate_magic.api.answers import Allowance
from replicate_magic.api.client import Client, open_pool
from replicate_magic.api.limiter import Limiter
from replicate_magic.api.protocol import PUBLIC_API, list_request
from replicate_magic.api.uploads import Upload, Uploads
from replicate_magic.session import the_session

pytestmark = pytest.mark.slow

# How many times as long as by the limit it may take on a machine that is busy with other things.
# `test_limit_bucket.py`, whose clock is its own, has how closely a limit is kept to, and
# `tests/bench/rate_limit.py` how fast that is.
BUSY = 4


def all_at_once(count, **inputs):
    """So many runs at the same time, to their ends."""

    async def go():
        runs = [arun("acme/poet", prompt=str(number), **inputs) for number in range(count)]
        return await asyncio.gather(*runs)

    return asyncio.run(go())


def spread_s(requests):
    times = [request.at_s for request in requests]
    return max(times) - min(times)


def learnt():
    """The limit of creates as the answers have told it."""
    return the_session().limits().known("create")


# -- creates -------------------------------------------------------------------------------------


def test_cells_at_once_share_the_limit_and_none_is_refused(replicate):
    replicate.limits = Limits(create=Bucket(20, 5))
    predictions = all_at_once(20)

    assert [one.status for one in predictions] == ["succeeded"] * 20
    assert replicate.limits.refused == {}
    assert learnt().burst == 5
    assert learnt().rate_s == pytest.approx(20, rel=0.3)
    assert spread_s(replicate.seen("create")) < BUSY * (20 - 5) / 20


@pytest.mark.parametrize("concurrency", [8, 32])
def test_a_limit_of_twenty_a_second_is_kept_to_and_used(replicate, concurrency):
    replicate.limits = Limits(create=Bucket(20, 5))
    in_turn(200, concurrency)

    assert learnt().rate_s == pytest.approx(20, rel=0.3)
    assert spread_s(replicate.seen("create")) < BUSY * (200 - 5) / 20
    assert replicate.limits.refused.get("create", 0) < 0.06 * 200
    assert replicate.connections <= concurrency + 2


def test_where_refusals_alone_tell_the_limit_is_found_all_the_same(replicate):
    replicate.limits = Limits(create=Bucket(20, 5), headers=False)
    in_turn(200, 8)

    assert learnt().rate_s == pytest.approx(20, rel=0.3)
    assert spread_s(replicate.seen("create")) < BUSY * (200 - 5) / 20
    assert replicate.limits.refused["create"] < 0.06 * 200


def test_a_limit_that_changes_in_the_middle_is_followed_by_both_cells(replicate):
    replicate.limits = Limits(create=Bucket(20, 5))

    async def go():
        cells = [asyncio.create_task(asyncio.to_thread(in_turn, 50, 4, cell)) for cell in "ab"]
        await asyncio.to_thread(replicate.wait_for, "create", 45)
        replicate.limits.create.change(rate_s=10, burst=5)
        await asyncio.gather(*cells)

    asyncio.run(go())
    creates, refused = replicate.seen("create"), replicate.limits.refused.get("create", 0)
    assert len(replicate.predictions) == 100
    assert len(creates) == 100 + refused
    assert refused <= 6
    assert learnt().rate_s == pytest.approx(10, rel=0.3)
    cells = [one.json["input"]["prompt"][0] for one in creates[50:90]]
    assert min(cells.count("a"), cells.count("b")) >= 15
    assert spread_s(creates[50:]) < BUSY * (100 - 50) / 10


def in_turn(count, concurrency, cell=""):
    """So many runs, some of them at a time."""
    numbers = iter(range(count))

    async def work():
        for number in numbers:
            assert (await arun("acme/poet", prompt=f"{cell}{number}")).ok

    async def go():
        await asyncio.gather(*(work() for _ in range(concurrency)))

    asyncio.run(go())


def test_waiting_for_the_limit_is_told_and_is_no_refusal(replicate, begin):
    replicate.limits = Limits(create=Bucket(2, 1))
    cells = [begin("acme/poet", prompt="a"), begin("acme/poet", prompt="b")]
    assert all(cell.prediction.ok for cell in cells)
    told = [one.retry for cell in cells for one in cell.snapshots if one.retry]

    assert {retry.reason for retry in told} == {"rate limit"}
    assert all(0.3 < retry.delay_s < 1.5 for retry in told)
    assert replicate.limits.refused == {}


def test_after_a_refusal_no_other_cell_is_sent_before_the_time_is_over(replicate, begin):
    replicate.fails("create", answer(429, {"detail": "Throttled.", "retry_after": 0.7}))
    first = begin("acme/poet", prompt="a")
    replicate.wait_for("create")
    replicate.until(lambda: first.retries)
    second = begin("acme/poet", prompt="b")
    assert first.prediction.ok
    assert second.prediction.ok
    refused, *others = replicate.seen("create")

    assert [one.at_s - refused.at_s >= 0.7 for one in others] == [True, True]
    assert (first.retries, second.retries) == (["rate limited"], ["rate limit"])


def test_a_cell_that_would_wait_past_its_time_says_so_and_sends_nothing(replicate):
    replicate.fails("create", answer(429, {"detail": "Throttled.", "retry_after": 30}))
    with pytest.raises(errors.RateLimited, match="Throttled"):
        run("acme/poet", prompt="x", timeout=5)
    with pytest.raises(errors.RateLimited, match=r"another 30 s.*Nothing was sent.*--timeout"):
        run("acme/poet", prompt="x", timeout=5)
    assert len(replicate.seen("create")) == 1


def test_the_time_may_be_over_while_a_cell_waits(replicate, begin):
    replicate.limits = Limits(create=Bucket(0.1, 1))
    assert begin("acme/poet", prompt="a").prediction.ok
    began_s = time.monotonic()
    with pytest.raises(errors.PredictionTimeout):
        _ = begin("acme/poet", {"timeout_s": 0.6}, prompt="b").ended

    assert time.monotonic() - began_s < 2
    assert len(replicate.seen("create")) == 1


def test_a_cell_that_is_canceled_while_it_waits_creates_nothing(replicate, begin):
    replicate.limits = Limits(create=Bucket(0.1, 1))
    assert begin("acme/poet", prompt="a").prediction.ok
    waiting = begin("acme/poet", prompt="b")
    replicate.until(lambda: "rate limit" in waiting.retries)
    waiting.cancel()

    assert not waiting.prediction.id
    assert len(replicate.seen("create")) == 1
    assert not replicate.seen("cancel")


def test_what_is_left_of_the_time_is_told_after_a_wait(replicate, begin):
    replicate.fails("create", answer(429, {"detail": "Throttled.", "retry_after": 0.9}))
    assert begin("acme/poet", {"timeout_s": 29.5}, prompt="x").prediction.ok
    told = [request.headers["cancel-after"] for request in replicate.seen("create")]

    assert told == ["30s", "29s"]


def together(count):
    """So many creates are answered once all of them have come."""
    came, complete = [], asyncio.Event()

    async def fault(exchange):
        came.append(exchange)
        if len(came) == count:
            complete.set()
        await complete.wait()
        await exchange.send(await exchange.honest())

    return fault


def test_a_server_that_tells_no_limit_is_sent_all_at_once(replicate):
    assert run("acme/poet", prompt="x").ok
    replicate.fails("create", always=together(30))
    all_at_once(30)

    assert len(replicate.seen("create")) == 31


def test_status_says_what_is_left(replicate):
    from replicate_magic.notebook.status import status

    assert status(most_outputs_bytes=1).limits == ""
    replicate.limits = Limits(create=Bucket(10, 600))
    assert run("acme/poet", prompt="x").ok
    shown = str(status(most_outputs_bytes=1))

    assert "limits   " in shown
    assert "of 600 creates left, 600 a minute; " in shown
    assert "of 3,000 reads left, 3,000 a minute" in shown


# -- other requests --------------------------------------------------------------------------------


def test_a_cancel_never_waits_for_the_limit(replicate, begin):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.shows("Once"))
    replicate.fails("model", answer(429, {"detail": "Throttled.", "retry_after": 60}))
    with pytest.raises(errors.RateLimited):
        run("acme/sketch", prompt="x")
    with pytest.raises(errors.PredictionTimeout):  # other requests of its kind do wait
        run("acme/sketch", prompt="x", timeout=0.3)
    running.cancel()

    assert len(replicate.wait_for("cancel", within_s=1)) == 1
    assert len(replicate.seen("model")) == 2


@pytest.fixture
def server():
    with Replicate() as server:
        yield server


def test_uploads_and_lists_fall_under_the_limit_of_reads(server):
    server.limits = Limits(other=Bucket(5, 3))

    async def go():
        async with open_pool() as pool:
            client = Client(pool, base=f"{server.url}/v1", token=server.token)
            assert client.limits.known("other") is None
            await client.send(list_request())
            data = [Upload(name="a", media_type="text/plain", data=b"%d" % n) for n in range(2)]
            for upload in data:
                await Uploads(client).url_of(upload, lambda *_: None)
            return client.limits.known("other")

    known = asyncio.run(go())
    assert known.burst == 3
    assert known.remaining < 1.5


# -- turns -----------------------------------------------------------------------------------------


def closed_for(seconds, limiter, kind="get"):
    """Have a refusal come."""
    place = limiter.turn(kind).result()
    limiter.learn(place, Allowance(wait_s=seconds))


def test_turns_come_in_order_and_one_that_is_given_up_is_passed_over():
    came = []

    async def one(limiter, name):
        place = await limiter.admit("get")
        came.append(name)
        limiter.learn(place, Allowance(limited=False))

    async def go():
        limiter = Limiter(documented=False)
        closed_for(0.1, limiter)
        tasks = [asyncio.create_task(one(limiter, name)) for name in "abcd"]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())
    assert came == ["b", "d"]


def test_a_turn_that_came_as_its_caller_was_canceled_is_given_back():
    async def go():
        limiter = Limiter(documented=False)
        first = limiter.turn("create").result()
        waiting = asyncio.create_task(limiter.admit("create"))
        await asyncio.sleep(0)
        limiter.learn(first, Allowance(limited=True, remaining=4, reset_s=1.0))
        left = limiter.known("create").remaining
        waiting.cancel()  # in the same step as its turn has come
        await asyncio.gather(waiting, return_exceptions=True)
        return left, limiter.known("create").remaining

    left, after = asyncio.run(go())
    assert after == pytest.approx(left + 1, abs=0.1)


def test_a_longer_wait_is_told_again_and_a_little_longer_one_is_not():
    told = []

    async def go():
        limiter = Limiter(documented=False)
        closed_for(1.0, limiter)
        turn = limiter.turn("get", told.append)
        closed_by_another = limiter.turn("cancel").result()._replace(kind="get")
        limiter.learn(closed_by_another, Allowance(wait_s=1.3))
        limiter.learn(closed_by_another, Allowance(wait_s=9.0))
        turn.cancel()

    asyncio.run(go())
    assert told == [pytest.approx(1.0, abs=0.1), pytest.approx(9.0, abs=0.1)]


def test_on_the_public_api_the_first_create_goes_alone_and_others_at_the_documented_rate():
    async def go():
        limiter = Limiter(documented=True)
        turns = [limiter.turn("create") for _ in range(3)]
        reads = [limiter.turn("get").done() for _ in range(500)]
        return [turn.done() for turn in turns], limiter.wait_s("create"), reads

    creates, wait_s, reads = asyncio.run(go())
    assert creates == [True, False, False]
    assert wait_s == pytest.approx(0.5, abs=0.05)
    assert all(reads)


def test_the_documented_limits_are_those_of_the_public_api_alone():
    async def go():
        async with open_pool() as pool:
            clients = [Client(pool, base=base, token="") for base in (PUBLIC_API, "http://h/v1")]
            for client in clients:
                client.limits.turn("create")
            await asyncio.sleep(0.15)
            return [client.limits.wait_s("create") > 0 for client in clients]

    assert asyncio.run(go()) == [True, False]


def test_what_was_not_sent_is_not_counted(server):
    server.limits = Limits(other=Bucket(0.001, 3))
    server.fails("list", last_words())

    async def go():
        async with open_pool() as pool:
            client = Client(pool, base=f"{server.url}/v1", token=server.token)
            await client.send(list_request())
            before = client.limits.known("other").remaining
            with pytest.raises(errors.ConnectionFailed):
                await client.send(list_request())
            return before, client.limits.known("other").remaining

    before, after = asyncio.run(go())
    assert after == pytest.approx(before, abs=0.01)
