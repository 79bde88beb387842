"""The embedded engine: who reaches it, and that nothing in a request reaches the disk."""

from __future__ import annotations

import ast
import http.client
import inspect
import re
import socket
import textwrap
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from replicate_magic.local import api_files, api_models, api_predictions
from replicate_magic.local.files import Files
from replicate_magic.local.guard import Guard

ROUTES = [*api_predictions.ROUTES, *api_models.ROUTES, *api_files.ROUTES]
ASKED = [(method, f"/v1{one.path}") for one in ROUTES for method in sorted(one.methods)]
FOREIGN = [
    {"host": "evil.example"},
    {"host": "localhost.evil.example"},
    {"host": "127.0.0.1.evil.example:80"},
    {"host": "127.0.0.1@evil.example"},
    {"host": "0.0.0.0"},
    {"host": "[::ffff:127.0.0.1]"},
    {"host": "2130706433"},
    {"origin": "https://evil.example"},
    {"origin": "http://localhost.evil.example"},
    {"origin": "http://127.0.0.1@evil.example"},
    {"origin": "null"},
]
PATHS = [
    "..", "../../../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fx",
    "..%252f..%252fetc%252fpasswd", "..%5c..%5cetc%5cpasswd", "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd", "%c0%ae%c0%ae%c0%afetc", "passwd%00.png", "%00",
    "%0d%0aset-cookie:%20x", "%ff%fe", "a" * 20_000, "{id}", "*", "~", ".git%2fconfig", "models",
    "history.db",
]  # fmt: skip


@pytest.fixture
def ask(engine):
    """Sends a request as it is written: no client makes its path or headers better."""
    address = urlsplit(engine.base_url)

    def send(method, path, body=None, *, token=True, **headers):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        connection._validate_path = lambda _: None
        connection.putrequest(method, path, skip_host="host" in headers)
        if token:
            headers["authorization"] = f"Bearer {engine.token}"
        if body is not None:
            headers["content-length"] = str(len(body))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    return send


def filled(path, value):
    return re.sub(r"\{\w+\}", lambda _: value, path)


def test_it_listens_on_this_machine_alone(engine):
    process = psutil.Process(engine._process.pid)
    heard = [one.laddr for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    assert {one.ip for one in heard} == {"127.0.0.1"}
    others = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    for other in others:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((other, heard[0].port), timeout=1)


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda it: " ".join(*it.items()))
def test_no_route_answers_a_page_of_another_origin(ask, headers):
    statuses = {ask(method, filled(path, "x"), **headers)[0] for method, path in ASKED}
    assert statuses == {403}


def test_a_host_that_is_told_twice_is_not_trusted(engine):
    address = urlsplit(engine.base_url)
    head = (
        f"GET /v1/account HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\n"
        f"authorization: Bearer {engine.token}\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=5) as talk:
        talk.sendall(head.encode())
        assert talk.recv(12) in {b"HTTP/1.1 400", b"HTTP/1.1 403"}


def test_each_route_wants_the_token_but_those_whose_address_is_one(ask):
    wrong = {"authorization": "Bearer wrong"}
    answers = {
        (method, path): {
            ask(method, filled(path, "x"), token=False)[0],
            ask(method, filled(path, "x"), token=False, **wrong)[0],
        }
        for method, path in ASKED
    }
    known = {key: statuses for key, statuses in answers.items() if statuses != {401}}
    assert known == {
        ("GET", "/v1/streams/{token}"): {404},
        ("HEAD", "/v1/streams/{token}"): {404},
    }
    signed = "/v1/files/x/download?owner=local&expiry=99999999999&signature=x"
    assert ask("GET", signed, token=False)[0] == 404


@pytest.mark.parametrize("function", [Guard._knows_token, Files.is_signed])
def test_secrets_are_compared_in_constant_time(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    named = [ast.unparse(one) for one in ast.walk(tree) if isinstance(one, ast.Compare)]
    calls = [ast.unparse(one.func) for one in ast.walk(tree) if isinstance(one, ast.Call)]
    assert "hmac.compare_digest" in calls
    assert not [one for one in named if re.search(r"given|signature|_token|_sign", one)]


@pytest.mark.parametrize("value", PATHS, ids=lambda it: it[:24])
def test_no_path_of_a_request_is_one_on_the_disk(ask, value):
    for method, path in ASKED:
        if "{" not in path:
            continue
        status, headers, body = ask(
            method, filled(path, value), b"{}" if method == "POST" else None
        )
        assert status in {400, 404, 405, 414, 422, 431}, (method, path, status)
        assert b"root:" not in body
        assert "set-cookie" not in {name.lower() for name in headers}


@pytest.mark.parametrize(
    "query",
    ["cursor=../../etc/passwd", "cursor=%00", "cursor=" + "A" * 5_000, "limit=" + "9" * 5_000,
     "created_after=" + "9" * 5_000, "created_before=%ff", "query=%00&limit=-1",
     "sort_by=__class__"],
    ids=lambda it: it[:24],
)  # fmt: skip
def test_a_hostile_query_is_refused_or_ignored(ask, query):
    for path in {path for method, path in ASKED if method == "GET" and "{" not in path}:
        assert ask("GET", f"{path}?{query}")[0] in {200, 400, 404, 422}, path


@pytest.mark.parametrize(
    "name", ["../../x.png", "..\\..\\x.png", "/etc/x", "a\r\nset-cookie: x", "\0"]
)
def test_an_uploaded_name_is_a_name_and_no_place(engine, tmp_path, name):
    form = {"content": ("a.png", b"abc", "text/html\r\nset-cookie: x")}
    with httpx.Client(
        base_url=f"{engine.base_url}/v1", headers={"authorization": f"Bearer {engine.token}"}
    ) as api:
        made = api.post("/files", files=form, data={"filename": name, "type": "text/html"}).json()
        assert not {"/", "\\"} & set(made["name"])
        got = api.get(f"{urlsplit(made['urls']['get']).path.removeprefix('/v1')}/download")
    assert got.content == b"abc"
    assert "set-cookie" not in got.headers
    assert got.headers["content-disposition"].startswith("attachment;")
    assert got.headers["x-content-type-options"] == "nosniff"
    kept = psutil.Process(engine._process.pid).open_files()
    assert not [one.path for one in kept if one.path.endswith(("x.png", "a.png", "/etc/x"))]


@pytest.mark.parametrize(
    "headers",
    [{"prefer": "wait=" + "9" * 5_000}, {"cancel-after": "9" * 5_000 + "s"}, {"x": "y" * 200_000},
     {"last-event-id": "9" * 5_000}, {"content-length": "9" * 30}, {"transfer-encoding": "x"}],
    ids=lambda it: next(iter(it)),
)  # fmt: skip
def test_a_header_out_of_all_proportion_is_refused_or_ignored(ask, headers):
    status = 431
    with suppress(ConnectionError):  # it hears no more of what is too long
        status, _, _ = ask("GET", "/v1/account", **headers)
    assert status in {200, 400, 413, 431, 501}
    assert ask("GET", "/v1/account")[0] == 200
