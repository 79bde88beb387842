"""How far files are on their way: what is told of it, how often, and what is not told at all."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack

from replicate_magic.prediction import Moving, Prediction, Retry, fold
from replicate_magic.progress import FRAME_S, PATIENCE_S, Progress


def told(work, direction="down"):
    """The events that `work(progress)` leads to, each with the seconds since it began."""
    events = []

    async def run():
        began_s = time.monotonic()
        progress = Progress(direction, events.append, lambda: time.monotonic() - began_s)
        await work(progress)

    asyncio.run(run())
    return events


async def sleep_past(seconds):
    await asyncio.sleep(seconds + 0.05)


def test_what_is_over_before_it_would_be_seen_is_not_told():
    async def work(progress):
        for name in ("a.png", "b.png"):
            with progress.begin(name) as way:
                way.told(5, 10)
                way.told(10, 10)
        await sleep_past(PATIENCE_S)

    assert told(work) == []


def test_a_hundred_thousand_pieces_are_told_ten_times_a_second_and_once_at_the_end():
    async def work(progress):
        with progress.begin("large.bin") as way:
            for number in range(100):
                for piece in range(1_000):
                    way.told(1_000 * number + piece, 100_000)
                await asyncio.sleep(0.005)

    events = told(work)
    assert 3 <= len(events) <= (events[-1].at_s - PATIENCE_S) / FRAME_S + 2
    assert events[0].at_s >= PATIENCE_S
    assert events == sorted(events, key=lambda event: event.done_bytes)
    assert (events[-1].done_files, events[-1].done_bytes) == (1, 99_999)


def test_a_file_that_waits_for_its_first_byte_is_told_too():
    async def work(progress):
        with progress.begin("slow.bin"):
            await sleep_past(PATIENCE_S)

    waiting, over = told(work)
    assert (waiting.name, waiting.files, waiting.done_files) == ("slow.bin", 1, 0)
    assert (waiting.done_bytes, waiting.total_bytes, waiting.fraction) == (0, None, None)
    assert over.done_files == 1


def test_the_last_piece_is_told_although_none_follows_it():
    async def work(progress):
        with progress.begin("a.bin") as way:
            await sleep_past(PATIENCE_S)
            way.told(7, 10)
            await sleep_past(FRAME_S)

    assert [event.done_bytes for event in told(work)] == [0, 7, 7]


def test_files_at_once_are_told_together():
    async def work(progress):
        with ExitStack() as stack:
            ways = [stack.enter_context(progress.begin(f"{n}.png")) for n in range(3)]
            ways[0].told(30, 30)
            with ways[0]:
                pass
            ways[1].told(3, 40)
            ways[2].told(1, 30)
            await sleep_past(PATIENCE_S)

    event = told(work)[0]
    assert (event.name, event.files, event.done_files) == ("", 3, 1)
    assert (event.done_bytes, event.total_bytes, event.fraction) == (34, 100, 0.34)


def test_files_that_wait_for_their_turn_are_taken_to_be_like_the_others():
    async def work(progress):
        with ExitStack() as stack:
            ways = [stack.enter_context(progress.begin(f"{n}.png")) for n in range(4)]
            ways[0].told(50, 100)
            await sleep_past(PATIENCE_S)

    event = told(work)[0]
    assert (event.total_bytes, event.fraction) == (None, 0.125)


def test_how_far_it_is_is_not_told_where_a_file_does_not_say_how_long_it_is():
    async def work(progress):
        with progress.begin("a.bin") as known, progress.begin("b.bin") as unknown:
            known.told(50, 100)
            unknown.told(10, None)
            await sleep_past(PATIENCE_S)

    event = told(work)[0]
    assert (event.done_bytes, event.total_bytes, event.fraction) == (60, None, None)


def test_a_host_that_sends_more_than_it_said_is_at_its_end():
    async def work(progress):
        with progress.begin("a.bin") as way, progress.begin("empty.bin") as empty:
            way.told(15, 10)
            empty.told(0, 0)
            await sleep_past(PATIENCE_S)

    assert told(work)[0].fraction == 1.0


def test_only_empty_files_have_no_length_to_go():
    async def work(progress):
        with progress.begin("empty.bin") as way:
            way.told(0, 0)
            await sleep_past(PATIENCE_S)

    assert told(work)[0].fraction is None


def test_files_that_set_out_later_are_counted_anew():
    async def work(progress):
        for name in ("a.png", "b.png"):
            with progress.begin(name) as way:
                way.told(1, 2)
                await sleep_past(PATIENCE_S)

    assert [(event.name, event.files, event.done_files) for event in told(work)] == [
        ("a.png", 1, 0),
        ("a.png", 1, 1),
        ("b.png", 1, 0),
        ("b.png", 1, 1),
    ]


def test_another_try_is_told_at_once_by_its_number_and_ends_with_the_next_byte():
    async def work(progress):
        with progress.begin("a.bin") as way:
            way.told(5, 10)
            way.again("the connection broke", 0.5)
            await sleep_past(PATIENCE_S)
            way.told(6, 10)
            await sleep_past(FRAME_S)
            way.again("it broke again", 0.5)

    first, waits, goes_on, second, over = told(work)
    assert first == Retry(
        reason="the connection broke", delay_s=0.5, at_s=first.at_s, attempt=2, file="a.bin"
    )
    assert first.at_s < PATIENCE_S
    assert (waits.waits, waits.done_bytes) == (True, 5)
    assert (goes_on.waits, goes_on.done_bytes) == (False, 6)
    assert (second.attempt, over.waits) == (3, False)


def test_a_wait_that_was_told_ends_however_soon_the_file_does():
    async def work(progress):
        with progress.begin("a.bin") as way:
            way.again("broke", 0.0)

    latest = Prediction(model="a/b")
    for event in told(work):
        latest = fold(latest, event)
    assert (latest.retry, latest.moving, latest.retries) == (None, None, 1)


def test_a_file_that_is_given_up_leaves_nothing_moving():
    async def work(progress):
        async def move():
            with progress.begin("a.bin") as way:
                way.told(1, 10)
                await asyncio.sleep(60)

        moving = asyncio.create_task(move())
        await sleep_past(PATIENCE_S)
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)

    begun, over = told(work, "up")
    assert isinstance(begun, Moving)
    assert (begun.direction, over.done_files) == ("up", over.files)


def test_a_name_from_outside_is_safe_to_print():
    async def work(progress):
        with progress.begin("\x1b[2J" + "x" * 100):
            await sleep_past(PATIENCE_S)

    name = told(work)[-1].name
    assert name.startswith("␛[2Jxx")
    assert len(name) == 40
