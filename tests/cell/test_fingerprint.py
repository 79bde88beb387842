"""When two requests are the same."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicate_magic.cell.fingerprint import bytes_of, request_sha256
from replicate_magic.cell.objects import LargeFile
from replicate_magic.cell.plan import Draft, Given, plan, read_target
from replicate_magic.cell.schema import InputField, Schema

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def in_base64(data, head="image/png"):
    return f"data:{head};base64,{base64.b64encode(data).decode()}"


def digest_of(file):
    return sha256(file.path.read_bytes() if file.path else file.data)


def digest(target="acme/poet", secrets=(), **inputs):
    return request_sha256(read_target(target), inputs, digest_of, secrets=secrets)


def test_it_is_the_digest_of_canonical_json():
    told = f'["acme/poet",{{"a":1,"b":["ä",null,true],"file":"data:,{sha256(b"x")}"}}]'

    assert digest(file="data:,x", b=["ä", None, True], a=1.0) == sha256(told.encode())


@pytest.mark.parametrize(
    "file",
    [
        in_base64(PICTURE),
        in_base64(PICTURE, "application/octet-stream"),
        in_base64(PICTURE, "image/png;name=cat.png"),
        in_base64(PICTURE, 'image/png;name="a, b.png";charset=x'),
        in_base64(PICTURE, ""),
        in_base64(PICTURE).replace("data:image/png;base64", "DATA:image/PNG;Base64"),
        in_base64(PICTURE).rstrip("="),
        re.sub("(.{50})", r"\1\r\n", in_base64(PICTURE)),
        in_base64(PICTURE).replace("+", "%2B").replace("=", "%3D"),
        f"data:,{quote(PICTURE)}",
        f"data:image/png,{quote(PICTURE)}",
        LargeFile(name="cat.png", media_type="image/png", data=PICTURE),
        LargeFile(name="other", media_type="text/plain", data=PICTURE),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_file_is_its_bytes_however_it_travels(file):
    assert digest(image=file) == digest(image=in_base64(PICTURE))
    assert digest(images=[{"of": file}]) == digest(images=[{"of": in_base64(PICTURE)}])


@pytest.mark.parametrize(("size_bytes", "kind"), [(10, str), (300_000, LargeFile)])
def test_a_file_is_the_same_below_and_above_what_a_request_takes(tmp_path, size_bytes, kind):
    path = tmp_path / "cat.png"
    path.write_bytes(bytes(size_bytes))
    schema = Schema(fields={"image": InputField(name="image", types=("string",), is_file=True)})
    draft = Draft(inputs={"image": Given(text=str(path), kind="file")})
    target = read_target("acme/poet")
    request = plan(target, draft, schema, lambda path, most: path.read_bytes()[:most])

    assert type(request.input["image"]) is kind
    assert digest(**request.input) == digest(image=in_base64(bytes(size_bytes)))


@pytest.mark.parametrize(
    "text",
    [
        "data: 1, 2",
        "data, more data",
        "data:image,no head of a file",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,A",
        "data:image/png;base64",
        "The data:,x",
        "dät:,x",
        "",
        "https://example.com/data:,x",
        "data:;sent-ahead,",
    ],
)
def test_a_text_that_is_no_file_is_itself(text):
    assert bytes_of(text) is None
    assert digest(prompt=text) != digest(prompt=f"{text} ")


def test_two_texts_that_only_look_like_files_are_two():
    assert digest(prompt="data: 1, 2") != digest(prompt="data: 3, 2")
    assert digest(prompt="data:image/png;base64,!!!!") != digest(prompt="data:image/x;base64,!!!!")


def test_a_text_that_looks_like_what_stands_for_a_file_is_not_taken_for_it():
    assert digest(prompt=f"data:,{sha256(PICTURE)}") != digest(prompt=in_base64(PICTURE))
    assert digest(prompt=sha256(PICTURE)) != digest(prompt=in_base64(PICTURE))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": {"x": 1, "y": [2]}}, {"a": {"y": [2.0], "x": 1.0}}),
        ({"a": 1e22}, {"a": 10**22}),
        ({"a": -0.0}, {"a": 0}),
        ({"a": (1, 2)}, {"a": [1, 2]}),
    ],
)
def test_what_a_user_means_as_the_same_is_the_same(one, other):
    assert digest(**one) == digest(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 0.1}, {"a": 0.10000000000000002}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": None}, {}),
        ({"a": "x"}, {"a": "X"}),
        ({"a": "x"}, {"b": "x"}),
        ({"a": ["b", "c"]}, {"a": ["b,c"]}),
        ({"a": "https://x/1.png"}, {"a": "https://x/2.png"}),
    ],
)
def test_what_differs_is_not_the_same(one, other):
    assert digest(**one) != digest(**other)


def test_the_target_counts_as_it_was_asked_for():
    targets = [
        "acme/poet",
        f"acme/poet:{'a' * 64}",
        f"acme/poet:{'b' * 64}",
        "deployment:acme/poet",
        "local/poet",
    ]

    assert len({digest(target, prompt="x") for target in targets}) == len(targets)


def test_a_secret_leaves_no_trace():
    with_key = digest(prompt="x", api_key="hunter2", secrets={"api_key"})

    assert with_key == digest(prompt="x", api_key="other", secrets={"api_key"})
    assert with_key == digest(prompt="x")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_it_can_be_told_of_whatever_may_be_sent_in_any_order(inputs):
    told = request_sha256(read_target("a/b"), inputs, digest_of)
    backwards = dict(reversed(inputs.items()))

    assert re.fullmatch("[0-9a-f]{64}", told)
    assert request_sha256(read_target("a/b"), backwards, digest_of) == told


@given(st.binary(max_size=50), st.sampled_from(["", "text/plain", "image/png;a=b"]))
def test_a_data_url_gives_its_bytes(data, head):
    assert bytes_of(in_base64(data, head)) == bytes_of(f"data:{head},{quote(data)}") == data
