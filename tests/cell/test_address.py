"""The address of a Cog server, as people write it."""

from __future__ import annotations

import pytest

from replicate_magic.cell.address import server_address
from replicate_magic.errors import CellError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://localhost:5000/", "http://localhost:5000"),
        ("HTTP://GPU-Box.Local:5000", "http://gpu-box.local:5000"),
        ("https://models.example/cat//", "https://models.example/cat"),
        ("http://10.0.0.7", "http://10.0.0.7"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_it_is_normalised(text, address):
    assert server_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["a/b", "local/x", "", "httpx://a", "https://replicate.com/a/b/c", "https://API.replicate.com"],
)
def test_what_is_none_may_be_a_model(text):
    assert server_address(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("http://", "http:///x", "http://a:b", "http://a:99999", "http://a b", "http://[::1"),
        *("http://a?x=1", "http://a#x", "http://a/%2e", "http://a/{{x}}"),
    ],
)
def test_what_is_meant_as_one_and_is_none_is_refused(text):
    with pytest.raises(
        CellError, match=r"not the address of a Cog server\. Write http://host:port"
    ):
        server_address(text)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(CellError, match="no name or password in it") as caught:
        server_address("http://me:secret@host:5000")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["localhost:5000", "gpu-box.local:5000/", "10.0.0.7:80"])
def test_a_missing_scheme_is_named(text):
    with pytest.raises(CellError, match=f"is written http://{text}"):
        server_address(text)
