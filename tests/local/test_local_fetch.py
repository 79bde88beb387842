"""File inputs: what is fetched from where, from a real server."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from replicate_magic.local.model import ModelError
from replicate_magic.local.waifu2x.fetch import MAX_BYTES, fetch

CHUNK = b"x" * 1024 * 1024


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, target = self.path.partition("?")
        match path:
            case "/moved":
                self.head(302, location=target)
            case "/endless":
                self.head(200)
                for _ in range(MAX_BYTES // len(CHUNK) + 1):
                    self.wfile.write(CHUNK)
            case "/short":
                self.head(200, **{"content-length": "10"})
                self.wfile.write(b"half")
            case "/missing":
                self.head(404)
            case _:
                self.head(200)
                self.wfile.write(f"{self.path} {self.headers['user-agent']}".encode())

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_at_a_url_is_fetched_and_the_client_is_named(url):
    assert fetch(f"{url}/a.png") == b"/a.png replicate-magic (embedded engine)"


def test_a_redirect_is_followed(url):
    assert fetch(f"{url}/moved?{url}/b").startswith(b"/b ")


def test_blanks_and_letters_beyond_ascii_are_sent_as_the_web_has_it(url):
    assert fetch(f"{url}/ä b%20c").startswith(b"/%C3%A4%20b%20c ")


def test_a_data_url_is_its_own_content():
    assert fetch("data:image/png;base64,YWJj") == b"abc"
    assert fetch("data:,a%20b") == b"a b"


@pytest.mark.parametrize("target", ["file:///etc/hosts", "ftp://127.0.0.1/a", "data:,a"])
def test_a_redirect_leads_to_nothing_but_the_web(url, target):
    with pytest.raises(ModelError, match="could not be fetched"):
        fetch(f"{url}/moved?{target}")


@pytest.mark.parametrize(
    "other", ["file:///etc/hosts", "ftp://127.0.0.1/a", "/etc/hosts", "javascript:1", ""]
)
def test_other_urls_are_refused(other):
    with pytest.raises(ModelError, match="it must be an http, https or data URL"):
        fetch(other)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "the server answered 404 Not Found"),
        ("/endless", "it has more than 100 MB"),
        ("/short", "it broke off"),
    ],
)
def test_a_failure_says_why(url, path, reason):
    with pytest.raises(ModelError, match=reason):
        fetch(url + path)


@pytest.mark.parametrize(
    "broken", ["http://127.0.0.1:1/a", "http://", "http://[::1", "data:image/png", "https://a..b/"]
)
def test_a_broken_url_is_a_failed_prediction(broken):
    with pytest.raises(ModelError, match="could not be fetched"):
        fetch(broken)


def test_a_message_tells_no_secret():
    with pytest.raises(ModelError) as failure:
        fetch("http://user:password@127.0.0.1:1/a?signature=secret")
    assert "http://127.0.0.1:1/a " in str(failure.value)
    assert "password" not in str(failure.value)
    assert "secret" not in str(failure.value)


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(url, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert fetch(f"{url}/a").startswith(b"/a ")
