"""A model's files on their way to disk: real sockets and files, and hosts that lie and tear."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import signal
import time
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate_server import (
    Replicate,
    answer,
    declaring,
    endless,
    late,
    redirect,
    reset,
    silent_after,
    torn,
    web_page,
)

from replicate_magic.api.client import Client, open_pool
from replicate_magic.api.downloads import Downloads
from replicate_magic.api.files import data_of
from replicate_magic.api.folder import plain_name
from replicate_magic.prediction import OutputFile

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20_000
JPEG = b"\xff\xd8\xff\xe0" + bytes(500)


@pytest.fixture
def server():
    with Replicate() as server:
        server.files["out.png"] = ("image/png", PNG)
        yield server


@asynccontextmanager
async def downloads_of(server, folder, **options):
    async with open_pool() as pool:
        client = Client(pool, base=f"{server.url}/v1", token=server.token)
        yield Downloads(client, folder, **options)


def saved(server, folder, *names, told=lambda *_: None, **options):
    """What becomes of some files, fetched one after the other."""

    async def fetch():
        async with downloads_of(server, folder, **options) as downloads:
            return [
                await downloads.fetch(OutputFile(url=url_of(server, name)), told) for name in names
            ]

    return asyncio.run(fetch())


def url_of(server, name):
    return name if ":" in name else f"{server.other_url}/files/{name}"


def trouble(server, folder, name="out.png", **options):
    """Why a file was not saved; it has stayed the link that it was, and left nothing on disk."""
    before = files_in(folder)
    [one] = saved(server, folder, name, **options)
    assert one.file == OutputFile(url=url_of(server, name))
    assert files_in(folder) == before
    return one.trouble


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- the way it should be -----------------------------------------------------------------------


def test_a_file_is_on_disk_under_its_digest(server, tmp_path):
    [one] = saved(server, tmp_path / "files", "out.png")
    digest = hashlib.sha256(PNG).hexdigest()
    assert one.trouble == ""
    assert one.file == OutputFile(
        url=f"{server.other_url}/files/out.png",
        path=tmp_path / "files" / digest[:2] / f"{digest}.png",
        media_type="image/png",
        size_bytes=len(PNG),
        sha256=digest,
    )
    assert one.file.path.read_bytes() == PNG


def test_the_same_bytes_are_one_file_whatever_they_are_called(server, tmp_path):
    server.files["same.bin"] = ("application/octet-stream", PNG)
    server.files["same"] = ("video/mp4", PNG)
    found = saved(server, tmp_path, "out.png", "same.bin", "same", "out.png")
    assert len({one.file.path for one in found}) == 1
    assert len(files_in(tmp_path)) == 1


@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_files_and_folders_are_for_their_owner_alone(server, tmp_path):
    for names in ("content", "plain"):
        folder = tmp_path / names / "deeper"
        saved(server, folder, "out.png", names=names)
        made = [tmp_path / names, *(tmp_path / names).rglob("*")]
        assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
        assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}


def test_progress_is_told_to_the_last_byte(server, tmp_path):
    told = []
    saved(server, tmp_path, "out.png", told=lambda *counts: told.append(counts))
    assert told[-1] == (len(PNG), len(PNG))
    assert told == sorted(told)


def test_from_this_machine_more_is_read_at_once_than_httpx_does(server, tmp_path):
    counts = [0]
    server.files["large.bin"] = ("", bytes(20_000_000))
    saved(server, tmp_path, "large.bin", told=lambda count, _: counts.append(count))
    steps = [after - before for before, after in pairwise(counts)]
    assert max(steps) > 65_536


def test_an_empty_file_is_saved_empty(server, tmp_path):
    server.files["none.txt"] = ("text/plain", b"")
    [one] = saved(server, tmp_path, "none.txt")
    assert (one.file.size_bytes, one.file.path.suffix) == (0, ".txt")
    assert one.file.path.read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        ("a.png", ("image/png", JPEG), ("image/jpeg", ".jpg")),
        ("a", ("image/webp; q=1", b"x"), ("image/webp", ".webp")),
        ("a.mp4", ("application/octet-stream", b"x"), ("video/mp4", ".mp4")),
        ("a.jpeg", ("binary/octet-stream", JPEG), ("image/jpeg", ".jpeg")),
        ("a.glb", ("model/gltf-binary", b"glTF"), ("model/gltf-binary", ".glb")),
        ("a.weights", ("", b"x"), ("application/octet-stream", ".weights")),
        ("a", ("nonsense", b"x"), ("application/octet-stream", ".bin")),
        ("a.p%2fg", ("", b"x"), ("application/octet-stream", ".bin")),
    ],
)
def test_the_first_bytes_tell_the_type_then_the_host_then_the_name(
    server, tmp_path, name, file, expected
):
    server.files[name] = file
    [one] = saved(server, tmp_path, name)
    assert (one.file.media_type, one.file.path.suffix) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), (PNG, ".png")),
        ("data:text/plain;charset=utf-8,h%C3%A9", ("hé".encode(), ".txt")),
        ("data:;base64,eA%3D%3D", (b"x", ".txt")),
        ("data:,", (b"", ".txt")),
    ],
)
def test_a_data_url_is_saved(server, tmp_path, url, expected):
    [one] = saved(server, tmp_path, url)
    assert (one.file.path.read_bytes(), one.file.path.suffix) == expected
    assert not server.requests


@pytest.mark.parametrize("url", ["data:image/png;base64,!!", "data:image/png", "data:;base64,é"])
def test_a_data_url_that_is_none_stays_a_link(server, tmp_path, url):
    assert trouble(server, tmp_path, url) in {"it is no base64", "it is no data: URL"}


def test_a_data_url_may_hold_escapes():
    assert data_of("data:a/b;base64,%2B/8%3D") == ("a/b", b"\xfb\xff")


def test_ten_come_at_once_and_no_more(server, tmp_path):
    together = []

    async def slowly(exchange):
        together.append(1)
        await asyncio.sleep(0.2)
        most.append(len(together))
        together.pop()
        await exchange.send(await exchange.honest())

    async def fetch():
        async with downloads_of(server, tmp_path) as downloads:
            files = [OutputFile(url=url_of(server, f"out.png?{number}")) for number in range(15)]
            return await asyncio.gather(*map(downloads.fetch, files))

    most = []
    server.fails("file", always=slowly)
    found = asyncio.run(fetch())
    assert not any(one.trouble for one in found)
    assert max(most) == 10
    assert len(files_in(tmp_path)) == 1


# -- whom we talk to ----------------------------------------------------------------------------


def test_no_token_is_sent_for_a_file(server, tmp_path):
    saved(server, tmp_path, "out.png", f"{server.url}/v1/files/x/download")
    assert len(server.requests) == 2
    assert not server.strangers_with_token()
    assert not any(server.token in repr(request) for request in server.requests)


def test_redirects_are_followed_on_hosts_that_may_be_asked(server, tmp_path):
    server.fails("file", redirect(f"{server.other_url}/files/out.png", 302), redirect("out.png"))
    [one] = saved(server, tmp_path, "moved.png")
    assert one.file.path.read_bytes() == PNG
    assert len(server.seen("file")) == 3


def test_a_sixth_redirect_is_not_followed(server, tmp_path):
    server.fails("file", always=redirect("out.png"))
    assert trouble(server, tmp_path).endswith("too many redirects")
    assert len(server.seen("file")) == 6


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/files/out.png",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://[",
    ],
)
def test_nothing_is_fetched_from_elsewhere_nor_after_a_redirect(server, tmp_path, url):
    url = url.format(port=server.other_url.rpartition(":")[2])
    assert "is no place that files are fetched from" in trouble(server, tmp_path, url)
    assert not server.requests
    server.fails("file", redirect(url), redirect(url))
    assert trouble(server, tmp_path)


# -- hosts that refuse, lie and tear ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (answer(403, "no"), "the address answers HTTP 403"),
        (answer(404, "no"), "the address answers HTTP 404"),
        (answer(302), "the address answers HTTP 302"),
        (web_page(), "a web page came in its place, perhaps to sign in"),
        (answer(206, b"x"), "a part of the file came that does not say which"),
    ],
)
def test_a_refusal_is_told_and_final(server, tmp_path, fault, words):
    server.fails("file", fault)
    assert trouble(server, tmp_path) == words
    assert len(server.seen("file")) == 1


def test_a_web_page_that_a_model_made_is_saved(server, tmp_path):
    server.files |= {"report.html": ("text/html", b"<p>"), "report": ("text/html", b"<p>")}
    first, second = saved(server, tmp_path, "report.html", "report")
    assert first.file.path == second.file.path
    assert first.file.path.suffix == ".html"


@pytest.mark.slow
@pytest.mark.parametrize("fault", [reset(), answer(503), answer(429)], ids=["reset", "503", "429"])
def test_what_may_pass_is_tried_once_more(server, tmp_path, fault):
    server.fails("file", fault)
    [one] = saved(server, tmp_path, "out.png")
    assert one.file.path.read_bytes() == PNG
    server.fails("file", fault, fault)
    assert trouble(server, tmp_path)


def test_a_broken_file_is_resumed_where_it_broke(server, tmp_path):
    told = []
    server.fails("file", torn(3_000_000))
    [one] = saved(server, tmp_path, "out.png", told=lambda *counts: told.append(counts))
    assert one.file.path.read_bytes() == PNG
    assert one.file.sha256 == hashlib.sha256(PNG).hexdigest()
    first, second = server.seen("file")
    assert "range" not in first.headers
    assert second.headers["range"] == "bytes=3000000-"
    assert second.headers["if-range"].startswith('"')
    assert told == sorted(told)


def test_a_file_that_breaks_twice_stays_a_link(server, tmp_path):
    server.fails("file", torn(3_000_000), torn(1_000_000))
    assert trouble(server, tmp_path)
    assert len(server.seen("file")) == 2


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(server, tmp_path):
    async def tear_and_change(exchange):
        await torn(3_000_000)(exchange)
        server.files["out.png"] = ("image/jpeg", JPEG)

    server.fails("file", tear_and_change)
    [one] = saved(server, tmp_path, "out.png")
    assert one.file.path.read_bytes() == JPEG
    assert one.file.media_type == "image/jpeg"
    assert (one.file.size_bytes, one.file.sha256) == (len(JPEG), hashlib.sha256(JPEG).hexdigest())


def without_tags(total):
    """Tears a file, then resumes it without a validator, as one of some length."""

    async def tear(exchange):
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(PNG)}\r\n\r\n"
        await exchange.raw(head.encode() + PNG[:3_000_000])
        await asyncio.sleep(0.05)  # a reset at once would overtake the bytes
        exchange.reset()

    async def resume(exchange):
        assert exchange.request.headers["range"] == "bytes=3000000-"
        assert "if-range" not in exchange.request.headers
        span = f"bytes 3000000-{len(PNG) - 1}/{total}"
        await answer(206, PNG[3_000_000:], content_range=span, content_type="image/png")(exchange)

    return tear, resume


@pytest.mark.parametrize(("total", "requests"), [(len(PNG), 2), (len(PNG) + 1, 3)])
def test_without_a_tag_the_length_tells_whether_it_is_the_same_file(
    server, tmp_path, total, requests
):
    server.fails("file", *without_tags(total))
    [one] = saved(server, tmp_path, "out.png")
    assert one.file.path.read_bytes() == PNG
    assert len(server.seen("file")) == requests


def test_without_a_length_the_tag_tells_whether_it_is_the_same_file(server, tmp_path):
    async def tear(exchange):
        tag = (await exchange.honest()).headers["etag"]
        head = f"HTTP/1.1 200 OK\r\netag: {tag}\r\ntransfer-encoding: chunked\r\n\r\n"
        await exchange.raw(f"{head}{3_000_000:x}\r\n".encode() + PNG[:3_000_000] + b"\r\n")
        await asyncio.sleep(0.05)  # a reset at once would overtake the bytes
        exchange.reset()

    server.fails("file", tear)
    [one] = saved(server, tmp_path, "out.png")
    assert one.file.path.read_bytes() == PNG
    assert [request.headers.get("range") for request in server.seen("file")] == [
        None,
        "bytes=3000000-",
    ]


def test_a_host_that_resumes_elsewhere_is_asked_for_all(server, tmp_path):
    span = f"bytes 5-{len(PNG) - 1}/{len(PNG)}"
    server.fails("file", torn(3_000_000), answer(206, PNG[5:], content_range=span))
    [one] = saved(server, tmp_path, "out.png")
    assert one.file.path.read_bytes() == PNG
    assert len(server.seen("file")) == 3


def test_more_was_declared_than_there_is(server, tmp_path):
    server.fails("file", always=declaring(len(PNG) + 1000))
    assert trouble(server, tmp_path)


def test_a_part_that_ends_before_its_total_is_not_the_file(server, tmp_path):
    span = f"bytes 3000000-3000004/{len(PNG)}"
    server.fails("file", torn(3_000_000), answer(206, b"12345", content_range=span))
    assert trouble(server, tmp_path) == f"It ended after 3,000,005 of {len(PNG):,} bytes"


def test_a_declared_length_above_the_most_is_refused_at_once(server, tmp_path):
    assert trouble(server, tmp_path, most_bytes=1000) == "it has more than 1,000 bytes"


def test_an_endless_file_ends_at_the_most(server, tmp_path):
    server.fails("file", endless())
    words = trouble(server, tmp_path, most_bytes=3_000_000)
    assert words == "it has more than 3,000,000 bytes"


def test_a_compressed_file_is_unpacked_only_up_to_the_most(server, tmp_path):
    import gzip

    packed = gzip.compress(bytes(5_000_000))
    server.fails("file", answer(200, packed, content_encoding="gzip"))
    assert trouble(server, tmp_path, most_bytes=4_000_000).startswith("it has more than")
    server.fails("file", answer(200, gzip.compress(PNG), content_encoding="gzip"))
    [one] = saved(server, tmp_path, "out.png")
    assert one.file.path.read_bytes() == PNG


@pytest.mark.slow
def test_silence_counts_as_a_broken_connection(server, tmp_path):
    server.fails("file", silent_after(3_000_000))
    [one] = saved(server, tmp_path, "out.png", silence_s=0.3)
    assert one.file.path.read_bytes() == PNG
    server.fails("file", late(30), late(30))
    began_s = time.monotonic()
    assert trouble(server, tmp_path, silence_s=0.3)
    assert time.monotonic() - began_s < 5


def test_a_fetch_that_is_given_up_leaves_nothing(server, tmp_path):
    async def fetch():
        async with downloads_of(server, tmp_path) as downloads:
            begun = asyncio.Event()
            file = OutputFile(url=url_of(server, "out.png"))
            task = asyncio.create_task(downloads.fetch(file, lambda *_: begun.set()))
            await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return task.cancelled()

    server.fails("file", silent_after(3_000_000))
    assert asyncio.run(fetch())
    assert files_in(tmp_path) == []


# -- the disk -----------------------------------------------------------------------------------


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


def test_a_disk_that_takes_no_more_is_told_and_left_clean(server, tmp_path):
    with files_of_at_most(1_000_000):
        words = trouble(server, tmp_path)
    assert words == f"{tmp_path}: {os.strerror(errno.EFBIG)}"


def test_a_folder_that_cannot_be_is_told(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    words = trouble(server, tmp_path / "file" / "below")
    assert words == f"{tmp_path / 'file' / 'below'}: {os.strerror(errno.ENOTDIR)}"


def test_nothing_is_saved_beyond_the_most_in_all_and_nothing_deleted(server, tmp_path):
    (tmp_path / "old.bin").write_bytes(bytes(1000))
    words = trouble(server, tmp_path, most_in_all_bytes=len(PNG) + 999)
    assert words == f"{tmp_path} would hold more than {len(PNG) + 999:,} bytes"
    [one] = saved(server, tmp_path, "out.png", most_in_all_bytes=len(PNG) + 1000)
    assert not one.trouble


def test_once_there_is_room_again_files_are_saved_again(server, tmp_path):
    (tmp_path / "old.bin").write_bytes(bytes(1000))

    async def fetch():
        async with downloads_of(server, tmp_path, most_in_all_bytes=len(PNG)) as downloads:
            file = OutputFile(url=url_of(server, "out.png"))
            refused = await downloads.fetch(file)
            (tmp_path / "old.bin").unlink()
            return refused, await downloads.fetch(file), await downloads.fetch(file)

    refused, fetched, again = asyncio.run(fetch())
    assert refused.trouble
    assert fetched.file.path
    assert "would hold more" in again.trouble  # as far as can be known before it has come


def test_what_was_saved_twice_counts_once(server, tmp_path):
    server.files |= {"a": ("", b"1234"), "b": ("", b"5678")}
    found = saved(server, tmp_path, "a", "a", "a", "b", most_in_all_bytes=9)
    assert not any(one.trouble for one in found)


def test_a_readers_own_files_do_not_count(server, tmp_path):
    (tmp_path / "mine.bin").write_bytes(bytes(1000))
    server.files |= {"a.x": ("", b"1234"), "b.x": ("", b"5678")}
    found = saved(server, tmp_path, "a.x", "b.x", names="plain", most_in_all_bytes=7)
    assert [bool(one.trouble) for one in found] == [False, True]


def test_what_a_dead_process_left_is_removed(server, tmp_path):
    for name, age_s in ((".replicate-old.part", 90_000), (".replicate-new.part", 0)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    saved(server, tmp_path, "out.png")
    assert ".replicate-new.part" in files_in(tmp_path)
    assert ".replicate-old.part" not in files_in(tmp_path)


# -- plain names --------------------------------------------------------------------------------


def test_a_plain_name_is_the_urls_last_part(server, tmp_path):
    [one] = saved(server, tmp_path, "out.png", names="plain")
    assert one.file.path == tmp_path / "out.png"


def test_two_files_of_one_name_are_two_and_the_same_file_is_one(server, tmp_path):
    def fetch():
        [one] = saved(server, tmp_path, "out.png", names="plain")
        return one.file.path.name

    assert fetch() == "out.png"
    server.files["out.png"] = ("image/png", PNG + b"other")
    assert [fetch(), fetch()] == ["out-2.png", "out-2.png"]
    server.files["out.png"] = ("image/png", PNG)
    assert fetch() == "out.png"
    assert files_in(tmp_path) == ["out-2.png", "out.png"]


def test_equal_files_at_once_are_one_file_by_its_plain_name(server, tmp_path):
    async def fetch():
        async with downloads_of(server, tmp_path, names="plain") as downloads:
            file = OutputFile(url=url_of(server, "out.png"))
            return await asyncio.gather(*(downloads.fetch(file) for _ in range(5)))

    assert {one.file.path.name for one in asyncio.run(fetch())} == {"out.png"}
    assert files_in(tmp_path) == ["out.png"]


def test_what_lies_there_is_never_overwritten(server, tmp_path):
    (tmp_path / "out.png").write_bytes(b"mine")
    (tmp_path / "out-2.png").mkdir()
    [one] = saved(server, tmp_path, "out.png", names="plain")
    assert one.file.path.name == "out-3.png"
    assert (tmp_path / "out.png").read_bytes() == b"mine"


@pytest.mark.parametrize("target", ["elsewhere.png", "nowhere/at/all.png"])
def test_a_link_that_lies_there_is_not_followed(server, tmp_path, target):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "elsewhere.png").write_bytes(PNG)  # even where it leads to the same bytes
    (folder / "out.png").symlink_to(tmp_path / target)
    [one] = saved(server, folder, "out.png", names="plain")
    assert one.file.path == folder / "out-2.png"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("a%20b.png", "a b.png"),
        ("%E5%86%99%E7%9C%9F.png", "写真.png"),
        ("..%2F..%2Fx.png", "x.png"),
        ("..%5C..%5Cx.png", "x.png"),
        ("%2Fetc%2Fpasswd", "passwd.png"),
        ("..", "output.png"),
        ("...", "output.png"),
        ("", "output.png"),
        (".bashrc", "bashrc.png"),
        ("-rf.png", "rf.png"),
        ("a%00b%0A%1B[2J.png", "a_b__[2J.png"),
        ("a%E2%80%AEgnp.png", "a_gnp.png"),
        ("a:b*c%3Fd.png?x=1", "a_b_c_d.png"),
        ("CON", "_CON.png"),
        ("nul.txt.png", "_nul.txt.png"),
        ("com1.png", "_com1.png"),
        ("console.png", "console.png"),
        ("trailing. . .png", "trailing.png"),
        ("out.exe", "out.png"),
        ("out.v2", "out.v2.png"),
        ("out.PNG", "out.PNG"),
    ],
)
def test_a_plain_name_is_safe(last, expected):
    assert plain_name(f"https://replicate.delivery/x/{last}", "image/png") == expected


@given(st.text(), st.sampled_from(["image/png", "application/octet-stream", "a/b", ""]))
def test_whatever_the_url_the_name_is_one_part_of_a_path(text, media_type):
    name = plain_name(f"https://replicate.delivery/{text}", media_type)
    assert name.isprintable()
    assert 0 < len(name.encode()) <= 130
    assert not set(name) & set('<>:"/\\|?*')
    assert not name.startswith((".", "-", "~", " "))
    assert not name.endswith((".", " "))
    assert Path("/folder", name).resolve().parent == Path("/folder").resolve()
