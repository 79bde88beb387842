"""An input's file on its way up: real sockets and files, and an API that lies and tears."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from replicate_server import (
    Replicate,
    answer,
    changed,
    done_but,
    last_words,
    problem,
    redirect,
    reset,
    web_page,
)

from replicate_magic import errors
from replicate_magic.api.client import Client, open_pool
from replicate_magic.api.uploads import Upload, Uploads
from replicate_magic.cell.files import MOST_FILE_BYTES

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def server():
    with Replicate() as server:
        yield server


@asynccontextmanager
async def client_of(server, token=None):
    async with open_pool() as pool:
        yield Client(pool, base=f"{server.url}/v1", token=token or server.token)


def sent(server, *uploads, told=lambda *_: None, again=lambda *_: None):
    """The addresses of some files, sent one after the other."""

    async def send():
        async with client_of(server) as client:
            to = Uploads(client)
            return [await to.url_of(upload, told, again) for upload in uploads]

    return asyncio.run(send())


def refused(server, upload, error=errors.InputError):
    """The message of the error that a file ends in."""
    with pytest.raises(error) as caught:
        sent(server, upload)
    return str(caught.value)


def picture(data=PNG, name="a.png"):
    return Upload(name=name, media_type="image/png", data=data)


def on_disk(path, data):
    path.write_bytes(data)
    return Upload(name=path.name, media_type="application/octet-stream", path=path)


# -- the way it should be -----------------------------------------------------------------------


def test_a_file_arrives_with_its_name_type_and_bytes(server, tmp_path):
    data = os.urandom(3_000_000)
    upload = on_disk(tmp_path / "song.bin", data)
    [url] = sent(server, upload)
    assert server.uploaded == [("song.bin", "application/octet-stream", data)]
    assert url.startswith(f"{server.url}/v1/files/")


def test_bytes_in_memory_arrive_too(server):
    sent(server, picture(PNG * 200_000))
    assert server.uploaded == [("a.png", "image/png", PNG * 200_000)]


def test_an_empty_file_arrives_empty(server, tmp_path):
    sent(server, on_disk(tmp_path / "empty.bin", b""))
    assert server.uploaded == [("empty.bin", "application/octet-stream", b"")]


def test_its_length_is_told_ahead(server):
    sent(server, picture())
    [request] = server.seen("upload")
    assert int(request.headers["content-length"]) == len(request.body)
    assert "transfer-encoding" not in request.headers


def test_progress_is_told_to_the_last_byte(server):
    told = []
    sent(server, picture(bytes(3_500_000)), told=lambda *counts: told.append(counts))
    assert told[0] == (0, 3_500_000)
    assert told[-1] == (3_500_000, 3_500_000)
    assert told == sorted(told)
    assert len(told) > 3


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain name.png", "plain name.png"),
        ("größe 写真.png", "größe 写真.png"),
        ('a"b.png', "a%22b.png"),
        ("a\r\nX-Evil: 1\r\n\r\nb.png", "a%0D%0AX-Evil: 1%0D%0A%0D%0Ab.png"),
        ("a\0b\x7f.png", "a%00b%7F.png"),
        ("a\\b.png", "a\\\\b.png"),
        ("half\udc80.png", "half?.png"),
        ("", "file"),
    ],
)
def test_a_name_of_any_kind_stays_within_its_header(server, name, written):
    sent(server, picture(name=name))
    assert [one[0] for one in server.uploaded] == [written]
    head = server.seen("upload")[0].body.partition(b"\r\n\r\n")[0]
    assert [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]] == [
        b"Content-Disposition",
        b"Content-Type",
    ]


def test_a_name_too_long_for_the_api_keeps_its_end(server):
    sent(server, picture(name="ü" * 300 + ".png"))
    name = server.uploaded[0][0]
    assert len(name.encode()) <= 255
    assert name.endswith(".png")


@pytest.mark.parametrize("media_type", ["", "image", "image/png\r\nX-Evil: 1", "a/b; c"])
def test_a_media_type_that_is_none_is_not_sent(server, media_type):
    sent(server, Upload(name="a", media_type=media_type, data=b"x"))
    assert server.uploaded == [("a", "application/octet-stream", b"x")]


def test_the_token_is_sent_to_the_api_and_along_no_redirect(server):
    server.fails("upload", redirect(f"{server.other_url}/v1/files"))
    message = refused(server, picture(), errors.UnexpectedAnswer)
    assert message.startswith("a.png: the API answered with a redirect")
    assert [request.place for request in server.requests] == ["api"]
    assert not server.strangers_with_token()


# -- once ---------------------------------------------------------------------------------------


def test_the_same_bytes_are_sent_once_whatever_they_are_called(server, tmp_path):
    data = os.urandom(300_000)
    urls = sent(server, picture(data), on_disk(tmp_path / "b.bin", data), picture(data))
    assert len(set(urls)) == 1
    assert len(server.uploaded) == 1


def test_other_bytes_of_the_same_length_are_sent(server):
    urls = sent(server, picture(b"one"), picture(b"two"), picture(b"one"))
    assert [data for _, _, data in server.uploaded] == [b"one", b"two"]
    assert urls[0] == urls[2] != urls[1]


def test_equal_files_at_once_are_sent_once_and_others_all(server):
    async def send():
        async with client_of(server) as client:
            to = Uploads(client)
            files = [picture(kind * 2_000_000) for kind in (b"a", b"b", b"a", b"b", b"c", b"a")]
            return await asyncio.gather(*(to.url_of(file, lambda *_: None) for file in files))

    urls = asyncio.run(send())
    assert sorted(data[:1] for _, _, data in server.uploaded) == [b"a", b"b", b"c"]
    assert urls[0] == urls[2] == urls[5]
    assert urls[1] == urls[3]


def test_where_the_first_of_equal_files_is_given_up_the_second_is_sent(server):
    async def send():
        async with client_of(server) as client:
            to, under_way = Uploads(client), asyncio.Event()

            def told(count, _):
                if count:
                    under_way.set()

            file = picture(bytes(9_000_000))
            first = asyncio.create_task(to.url_of(file, told))
            await under_way.wait()
            second = asyncio.create_task(to.url_of(file, lambda *_: None))
            await asyncio.sleep(0)
            first.cancel()
            return await second

    assert asyncio.run(send()).startswith(server.url)
    assert len(server.uploaded) == 1


@pytest.mark.parametrize(
    ("lives", "times"),
    [(timedelta(hours=24), 1), (timedelta(minutes=59), 2), (timedelta(hours=-1), 2)],
)
def test_a_file_that_is_about_to_expire_is_sent_again(server, lives, times):
    server.lives = lives
    sent(server, picture(), picture())
    assert len(server.uploaded) == times


def test_a_file_that_does_not_say_when_it_expires_is_sent_again(server):
    server.fails("upload", changed(expires_at=None), changed(expires_at="soon"))
    sent(server, picture(), picture(), picture())
    assert len(server.uploaded) == 3


def test_what_lies_there_may_be_remembered_for_another_client_of_the_account(server):
    memory = {}

    async def send(token):
        async with client_of(server, token) as client:
            return await Uploads(client, memory).url_of(picture(), lambda *_: None)

    first = asyncio.run(send(server.token))
    assert asyncio.run(send(server.token)) == first
    server.token = "r8_another"
    assert asyncio.run(send("r8_another")) != first
    assert not any(server.token in repr(key) for key in memory)


# -- files that cannot be sent ------------------------------------------------------------------


def at(path):
    return Upload(name="a", media_type="image/png", path=path)


def test_a_file_that_is_not_there_is_named_and_nothing_is_sent(server, tmp_path):
    message = refused(server, at(tmp_path / "none.png"))
    assert message == f"{tmp_path / 'none.png'}: No such file or directory. Nothing was sent."
    assert not server.requests


def test_a_folder_is_none(server, tmp_path):
    assert refused(server, at(tmp_path)) == f"{tmp_path} is a folder. Nothing was sent."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(server, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is no file that can be sent. Nothing was sent." in refused(
        server, at(tmp_path / "pipe")
    )


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of POSIX")
def test_an_unreadable_file_is_named(server, common_folder, as_nobody):
    path = common_folder / "secret.png"
    path.write_bytes(PNG)
    path.chmod(0)
    with as_nobody():
        assert refused(server, at(path)) == f"{path}: Permission denied. Nothing was sent."


@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-this-name/a.png"])
def test_a_path_that_cannot_be_one_is_an_input_error(server, path):
    assert refused(server, at(Path(path))).endswith("Nothing was sent.")


def test_more_than_100_mb_is_refused_before_anything_is_sent(server, tmp_path):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(MOST_FILE_BYTES + 1)
    message = refused(server, at(path))
    assert message.startswith(f"{path} has 104,857,601 bytes")
    assert message.endswith("Nothing was sent.")
    assert not server.requests


@pytest.mark.parametrize("change", [b"", b"x" * 10, b"x" * 4_000_000, b"x" * 5_000_000])
def test_a_file_that_changes_while_it_is_sent_is_never_there_as_a_whole(server, tmp_path, change):
    upload = on_disk(tmp_path / "a.bin", bytes(4_000_000))

    def told(count, _):
        if count:
            upload.path.write_bytes(change)

    with pytest.raises(errors.InputError, match=r"a\.bin changed while it was read\. Nothing was"):
        sent(server, upload, told=told)
    assert not server.uploaded


def test_what_arrived_otherwise_than_it_left_is_not_used(server):
    server.fails("upload", changed(checksums={"sha256": "0" * 64}))
    assert "is not the same at the API" in refused(server, picture(), errors.UnexpectedAnswer)


# -- an API that refuses, and lines that break --------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (
            answer(413, {"detail": "Files must be less than 100MB in size"}),
            errors.APIError,
            "a.png is larger than the API takes (HTTP 413). Put it at an https:// address",
        ),
        (
            web_page(413, "<html><title>413 Request Entity Too Large</title></html>"),
            errors.APIError,
            "a.png is larger than the API takes (HTTP 413). Put it at an https:// address",
        ),
        (
            answer(401, {"title": "Unauthenticated", "detail": "No valid token"}),
            errors.Unauthorized,
            (
                "a.png: Unauthenticated: No valid token (HTTP 401). Check the API token: "
                "%replicate status says where it is from."
            ),
        ),
        (web_page(), errors.UnexpectedAnswer, "a.png: the answer is a web page (HTTP 200)"),
        (answer(201, {"id": "x"}), errors.UnexpectedAnswer, "a.png: the answer is JSON, but no"),
        (
            answer(201, {"urls": {"get": "javascript:1"}}),
            errors.UnexpectedAnswer,
            "a.png: the answer is JSON, but no file with an address",
        ),
        (
            answer(429, {"detail": "Throttled", "retry_after": 3600}),
            errors.RateLimited,
            "a.png: Throttled (HTTP 429).",
        ),
    ],
)
def test_a_refusal_names_the_file_and_is_final(server, fault, error, words):
    server.fails("upload", fault)
    assert refused(server, picture(), error).startswith(words)
    assert len(server.seen("upload")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        reset(),
        done_but(502, "<html>Bad gateway</html>"),
        answer(503, {"detail": "Overloaded"}, retry_after="0.1"),
        answer(429, {"detail": "Throttled", "retry_after": 0.1}),
    ],
    ids=["reset", "502", "503", "429"],
)
def test_what_may_pass_is_tried_once_more_and_said(server, fault):
    server.fails("upload", fault)
    again = []
    [url] = sent(server, picture(), again=lambda *told: again.append(told))
    assert url.startswith(server.url)
    assert len(server.seen("upload")) == 2
    [(reason, delay_s)] = again
    assert reason
    assert 0 < delay_s < 2


@pytest.mark.slow
def test_a_line_that_breaks_in_the_middle_is_tried_once_more_from_the_start(server):
    server.hears_bytes["upload"] = 500_000

    async def hang_up(exchange):
        server.hears_bytes.clear()
        exchange.reset()

    server.fails("upload", hang_up)
    sent(server, picture(bytes(20_000_000)))
    assert [len(data) for _, _, data in server.uploaded] == [20_000_000]


def test_a_line_that_breaks_twice_is_an_error_with_the_files_name(server):
    server.fails("upload", always=reset())
    message = refused(server, picture(), errors.ConnectionLost)
    assert message.startswith("a.png was not uploaded. The connection to ")
    assert len(server.seen("upload")) == 2


def test_an_api_that_is_gone_is_an_error_with_the_files_name(server):
    server.fails("upload", last_words())
    sent(server, picture())
    message = refused(server, picture(b"other"), errors.ConnectionFailed)
    assert message.startswith("a.png was not uploaded. No connection to ")


@pytest.mark.slow
def test_an_api_with_a_fault_twice_is_a_server_error(server):
    gone = problem(500, "Internal error", "Something broke")

    async def fault(exchange):
        await exchange.send(gone)

    server.fails("upload", always=fault)
    assert "Something broke (HTTP 500)" in refused(server, picture(), errors.ServerError)


def test_a_token_that_is_none_is_refused_before_the_file_leaves(server):
    async def send():
        async with client_of(server, "two words") as client:
            await Uploads(client).url_of(picture(), lambda *_: None)

    with pytest.raises(errors.Unauthorized, match="Nothing was sent"):
        asyncio.run(send())
    assert not server.requests


def test_neither_the_file_nor_the_token_is_in_a_repr(server):
    async def shown():
        async with client_of(server) as client:
            return f"{client!r} {Uploads(client)!r} {picture(b'private bytes')!r}"

    text = asyncio.run(shown())
    assert server.token not in text
    assert "private" not in text
