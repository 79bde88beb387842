"""Which file a call of the API sends."""

from __future__ import annotations

import pytest

from replicate_magic.errors import InputError
from replicate_magic.uploading import upload_of


def test_an_open_file_of_which_the_text_is_none_is_told_as_such(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\xffb")
    with (
        path.open(encoding="utf-8", errors="surrogateescape") as opened,
        pytest.raises(InputError, match=r"content is a file that cannot be read: .*Nothing was"),
    ):
        upload_of({"content": opened}, lambda _path, _most: b"")


def test_what_reads_as_neither_text_nor_bytes_is_told():
    class NothingYet:
        def read(self, most):
            return None

    with pytest.raises(InputError, match=r"content is a file that cannot be read: .*Nothing was"):
        upload_of({"content": NothingYet()}, lambda _path, _most: b"")
