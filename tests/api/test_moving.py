"""Files on their way up and down, as the snapshots of a run tell of them."""

from __future__ import annotations

import pytest
from replicate_server import Model, answer, become, openapi, slowly, torn

from replicate_magic.order import Saving

FILE = {"type": "string", "format": "uri"}
FILES = {"type": "array", "items": FILE}
LARGE = bytes(range(256)) * 80_000  # more than a socket takes at once


@pytest.fixture
def painter(replicate):
    """A model that takes images and gives none."""
    replicate.models["acme/painter"] = Model(
        official=True, schema=openapi(FILES, image=FILE, images=FILES)
    )
    replicate.tells(become("succeeded", output=[]))
    return replicate


def gives(replicate, **files):
    """Have the model give some files."""
    replicate.files = {name: ("application/octet-stream", data) for name, data in files.items()}
    urls = [f"{replicate.other_url}/files/{name}" for name in files]
    replicate.tells(become("succeeded", output=urls))


def of(name, fault):
    """A fault of one file, and of no other."""

    async def either(exchange):
        if exchange.request.path.endswith(name):
            await fault(exchange)
        else:
            await exchange.send(await exchange.honest())

    return either


def ways_of(run):
    """How far the files were, in each snapshot that told of it."""
    return [snapshot.moving for snapshot in run.snapshots if snapshot.moving]


@pytest.mark.slow
def test_an_upload_is_told_while_it_goes_on_and_not_after_it(painter, begin, tmp_path):
    painter.hears_in_s["upload"] = 0.8
    (tmp_path / "cat.mp4").write_bytes(LARGE)
    run = begin("acme/painter", image=tmp_path / "cat.mp4")

    assert run.prediction.ok
    told = ways_of(run)
    assert {(way.direction, way.name, way.files) for way in told} == {("up", "cat.mp4", 1)}
    assert len({way.done_bytes for way in told}) > 2
    assert told == sorted(told, key=lambda way: way.done_bytes)
    assert {way.total_bytes for way in told} == {len(LARGE)}
    assert not any(snapshot.moving for snapshot in run.snapshots if snapshot.id)
    assert (run.prediction.moving, run.prediction.retries) == (None, 0)
    assert 0.5 < run.prediction.sent_after_s < run.prediction.created_after_s


@pytest.mark.slow
def test_an_upload_that_is_tried_again_says_which_try_it_is(painter, begin, tmp_path):
    painter.fails("upload", answer(503, {"detail": "Overloaded"}, retry_after="0.3"))
    (tmp_path / "cat.mp4").write_bytes(LARGE)
    run = begin("acme/painter", image=tmp_path / "cat.mp4")

    assert run.prediction.ok
    [retry] = {snapshot.retry for snapshot in run.snapshots if snapshot.retry}
    assert (retry.attempt, retry.file, run.prediction.retries) == (2, "cat.mp4", 1)
    assert retry.reason.startswith("Overloaded (HTTP 503)")


@pytest.mark.slow
def test_several_files_go_up_one_after_the_other_and_count_together(painter, begin):
    painter.hears_in_s["upload"] = 0.4
    run = begin("acme/painter", images=[LARGE, LARGE[:-1], b"small"])

    assert run.prediction.ok
    told = ways_of(run)
    assert {(way.name, way.files) for way in told} == {("", 2)}
    assert {way.done_files for way in told} == {0, 1}
    assert len(painter.seen("upload")) == 2


def test_an_upload_that_is_canceled_leaves_nothing_moving_and_creates_nothing(
    painter, begin, tmp_path
):
    painter.hears_in_s["upload"] = 30
    (tmp_path / "cat.mp4").write_bytes(LARGE)
    run = begin("acme/painter", image=tmp_path / "cat.mp4")
    painter.until(lambda: ways_of(run))
    run.cancel()

    assert (run.ended.prediction.moving, run.ended.cut) == (None, "cancel")
    assert not painter.seen("create")


@pytest.mark.slow
def test_downloads_are_told_together_and_not_after_them(painter, begin, tmp_path):
    gives(painter, **{"a.bin": LARGE, "b.bin": b"small"})
    painter.fails("file", always=of("a.bin", slowly(0.8)))  # whichever is asked for first
    run = begin("acme/painter", {"saving": Saving(folder=tmp_path)})

    assert run.prediction.ok
    told = ways_of(run)
    assert {(way.direction, way.name, way.files) for way in told} == {("down", "", 2)}
    assert {way.done_files for way in told} == {1}
    assert len({way.done_bytes for way in told}) > 2
    assert all(snapshot.saving for snapshot in run.snapshots if snapshot.moving)
    assert (run.prediction.moving, run.prediction.saving) == (None, False)
    assert [file.path.name for file in run.prediction.files] == ["a.bin", "b.bin"]


@pytest.mark.slow
def test_a_download_that_breaks_says_which_try_it_is_and_goes_on(painter, begin, tmp_path):
    gives(painter, **{"a.bin": LARGE})
    painter.fails("file", torn(15_000_000), slowly(0.5))
    run = begin("acme/painter", {"saving": Saving(folder=tmp_path)})

    assert run.prediction.ok
    [retry] = {snapshot.retry for snapshot in run.snapshots if snapshot.retry}
    assert (retry.attempt, retry.file, run.prediction.retries) == (2, "a.bin", 1)
    told = ways_of(run)
    assert {way.done_bytes for way in told if way.waits} == {15_000_000}
    assert min(way.done_bytes for way in told if not way.waits) > 15_000_000
    assert run.prediction.files[0].path.read_bytes() == LARGE


def test_a_file_that_is_within_the_answer_is_not_on_its_way(painter, begin, tmp_path):
    url = "data:application/octet-stream;base64," + "A" * 4_000_000
    painter.tells(become("succeeded", output=[url]))
    run = begin("acme/painter", {"saving": Saving(folder=tmp_path)})

    assert run.prediction.files[0].path.read_bytes() == bytes(3_000_000)
    assert ways_of(run) == []


def test_a_download_that_is_canceled_leaves_nothing_moving(painter, begin, tmp_path):
    gives(painter, **{"a.bin": LARGE})
    painter.fails("file", slowly(30))
    run = begin("acme/painter", {"saving": Saving(folder=tmp_path)})
    painter.until(lambda: ways_of(run))
    run.cancel()

    assert (run.prediction.status, run.prediction.moving) == ("succeeded", None)
    assert list(tmp_path.iterdir()) == []
