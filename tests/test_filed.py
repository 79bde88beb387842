"""Small files that are read at every call: parsed once as they change, and never in the way."""

from __future__ import annotations

import json
import os
import stat

import pytest

from replicate_magic.filed import Filed, replace_file


class Parsing:
    """A parser that notes how often it was called."""

    def __init__(self):
        self.times = 0

    def __call__(self, text):
        self.times += 1
        return json.loads(text)


def test_a_file_is_parsed_again_when_it_has_changed_and_only_then(tmp_path):
    parse, path = Parsing(), tmp_path / "a.json"
    filed = Filed(parse, {})

    assert filed.read(path) == {}
    path.write_text('{"a": 1}')
    assert [filed.read(path) for _ in range(5)] == [{"a": 1}] * 5
    assert parse.times == 1
    replace_file(path, '{"a": 2}')
    assert filed.read(path) == {"a": 2}
    path.unlink()
    assert filed.read(path) == {}
    assert parse.times == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b" " * 1_000_001, b'\x00"']
)
def test_a_file_that_is_damaged_or_too_large_says_nothing(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)

    assert Filed(json.loads, "nothing").read(path) == "nothing"


def test_what_is_no_file_says_nothing(tmp_path):
    filed = Filed(json.loads, None)

    assert filed.read(tmp_path) is None
    assert filed.read(tmp_path / "no\0name") is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert filed.read(tmp_path / "pipe") is None


def test_a_file_with_a_mark_of_its_encoding_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf1")

    assert Filed(json.loads, None).read(path) == 1


def test_what_is_written_is_for_its_owner_alone_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "new" / "a.json"
    replace_file(path, "{}")
    replace_file(path, '{"é": 1}')

    assert json.loads(path.read_text("utf-8")) == {"é": 1}
    assert list(path.parent.iterdir()) == [path]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_in_the_files_place_is_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.mkdir()

    with pytest.raises(IsADirectoryError):
        replace_file(path, "{}")
    assert list(tmp_path.iterdir()) == [path]
