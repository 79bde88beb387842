"""The files in which descriptions of models lie: real ones, good and bad."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from replicate_magic import shelf
from replicate_magic.api.models import Described
from replicate_magic.shelf import Kept

BASE, TARGET = "https://api.example.com/v1", "acme/poet"
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SCHEMA = {"components": {"schemas": {"Input": {"properties": {"größe\ud800": {"type": "string"}}}}}}
KEPT = Kept(
    described=Described(
        openapi=SCHEMA, version="v1", latest="v1", official=False, raw={"description": "A poet."}
    ),
    fetched_at=NOW,
)

pytestmark = pytest.mark.usefixtures("home")


def write(kept=KEPT, target=TARGET):
    shelf.write(BASE, target, kept)


def read(target=TARGET):
    return shelf.read(BASE, target)


@pytest.fixture
def folder(home):
    return home / "schemas"


@pytest.fixture
def file(folder):
    write()
    [found] = folder.iterdir()
    return found


def test_what_is_written_is_read():
    write()

    assert read() == KEPT


def test_the_targets_of_an_api_are_listed_the_newest_first(folder):
    assert shelf.targets(BASE) == []
    for number, name in enumerate(("acme/old", "acme/new")):
        write(target=name)
        [file] = [one for one in folder.iterdir() if name in one.read_text()]
        os.utime(file, (number, number))
    shelf.write("https://elsewhere.example/v1", "acme/other", KEPT)
    (folder / "damaged.json").write_text('{"format": 1, "base": "https://api')
    (folder / "foreign.json").write_text("[1]")
    (folder / "folder.json").mkdir()
    assert shelf.targets(BASE) == ["acme/new", "acme/old"]


def test_nothing_is_read_where_nothing_was_written(home):
    assert read() is None
    assert not home.exists()


@pytest.mark.parametrize(
    ("base", "target"), [(BASE, "acme/other"), ("https://other.example.com/v1", TARGET)]
)
def test_each_target_of_each_api_has_its_own(file, base, target):
    assert shelf.read(base, target) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_folder_and_files_are_their_owners_alone(home, file):
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (home, file.parent, file)]

    assert modes == [0o700, 0o700, 0o600]


CHANGES = {
    "foreign": {"target": "acme/other"},
    "of another api": {"base": "https://other.example.com/v1"},
    "of another time": {"format": 2},
    "no time": {"fetched_at": "yesterday"},
    "a number for a time": {"fetched_at": 5},
    "a time of no zone": {"fetched_at": "2026-05-04T03:02:01"},
    "no schema": {"openapi": None},
    "a list for a schema": {"openapi": ["x"]},
    "a number for a version": {"version": 5},
    "a list for a version": {"latest": ["x"]},
    "a word for a boolean": {"official": "yes"},
    "a word for an object": {"raw": "x"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_file_that_is_not_what_it_should_be_is_as_none(file, change):
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))

    assert read() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"format": 1}',
        b"\x00" * 9,
    ],
    ids=range(9),
)
def test_a_damaged_file_is_as_none_and_written_anew(file, content):
    file.write_bytes(content)

    assert read() is None
    write()
    assert read() == KEPT


def test_a_file_that_is_too_large_is_as_none(file):
    whole = file.read_bytes()
    file.write_bytes(whole + b" " * (1_000_001 - len(whole)))
    assert read() is None

    file.write_bytes(whole + b" " * (1_000_000 - len(whole)))
    assert read() == KEPT


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_in_its_place_holds_nobody_up(file):
    file.unlink()
    os.mkfifo(file)

    assert read() is None


def test_a_folder_in_its_place_is_as_none_and_stays(file):
    file.unlink()
    file.mkdir()
    write()

    assert read() is None
    assert [one.name for one in file.parent.iterdir()] == [file.name]  # nor is anything left beside


DESCRIBED = {
    "no schema": Described(version="v1"),
    "too large": Described(openapi={"x": "y" * 1_000_000}),
    "no version": Described(openapi=SCHEMA, version=5),
}


@pytest.mark.parametrize("described", DESCRIBED.values(), ids=DESCRIBED.keys())
def test_what_cannot_be_kept_takes_the_place_of_what_was_there(file, described):
    write(Kept(described=described, fetched_at=NOW))

    assert read() is None
    assert not file.exists()


def test_a_home_that_cannot_be_written_raises_nothing(tmp_path, monkeypatch):
    tmp_path.joinpath("file").write_text("x")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("REPLICATE_MAGIC_HOME", str(home))
        write()
        assert read() is None
        shelf.remove(BASE, TARGET)

    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@contextmanager
def files_of_at_most(size_bytes):
    """No file of this process can grow further: a write fails in the middle, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_raises_nothing_and_leaves_what_was_there(file):
    before = file.read_bytes()
    with files_of_at_most(10_000):
        write(Kept(described=Described(openapi={"x": "y" * 100_000}), fetched_at=NOW))

    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_what_is_removed_is_gone(file):
    shelf.remove(BASE, TARGET)
    shelf.remove(BASE, TARGET)

    assert read() is None


def test_of_many_files_the_oldest_go_and_nobody_elses(file):
    folder = file.parent
    for number in range(350):
        one = folder / f"{number:032x}.{'tmp' if number % 2 else 'json'}"
        one.write_text("x")
        os.utime(one, (number, number))
    folder.joinpath("mine.txt").write_text("x")
    os.utime(folder / "mine.txt", (0, 0))
    write(target="acme/other")
    left = {one.name for one in folder.iterdir()}

    assert len(left) == 301
    assert "mine.txt" in left
    assert f"{349:032x}.tmp" in left
    assert f"{10:032x}.json" not in left
    assert read() == KEPT
    assert read("acme/other") == KEPT


def test_who_reads_while_others_write_sees_a_whole_one():
    write()

    def write_many(number):
        for _ in range(30):
            write(Kept(described=KEPT.described, fetched_at=NOW + timedelta(number)))

    with ThreadPoolExecutor() as pool:
        writing = [pool.submit(write_many, number) for number in range(4)]
        seen = 0
        while not all(one.done() for one in writing):
            assert read().described == KEPT.described
            seen += 1

    assert seen > 20


def test_reading_takes_no_time():
    large = {name: {"type": "string", "description": "x" * 500} for name in map(str, range(100))}
    write(
        Kept(described=Described(openapi=large, raw={"description": "x" * 20_000}), fetched_at=NOW)
    )
    began_s = time.perf_counter()
    for _ in range(20):
        assert read()

    assert (time.perf_counter() - began_s) / 20 < 0.005
