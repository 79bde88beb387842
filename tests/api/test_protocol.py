"""What is sent, what answers mean, and how long to wait: plain values, no sockets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.api.answers import Answer
from replicate_magic.api.protocol import Create
from replicate_magic.cell.plan import read_target

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
BASE = "https://api.replicate.com/v1"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def answer(status=200, body=None, kind="application/json", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers={"content-type": kind, **named}, body=data)


def create(model="acme/poet", **values):
    return Create(target=read_target(model), **{"input": {"prompt": "x"}, **values})


# -- addresses and tokens -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "base"),
    [
        (None, BASE),
        ("", BASE),
        ("  ", BASE),
        ("https://api.replicate.com", BASE),
        ("https://api.replicate.com/", BASE),
        ("https://api.replicate.com/v1/", BASE),
        (' "https://api.replicate.com/v1"\n', BASE),
        ("' https://api.replicate.com '", BASE),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://gateway/replicate", "http://gateway/replicate/v1"),
    ],
)
def test_the_base_url_ends_in_v1_however_it_was_written(configured, base):
    assert protocol.base_url(configured) == base


@pytest.mark.parametrize(
    "configured",
    [
        "api.replicate.com",
        "ftp://host",
        "https://",
        "http://[::1",
        "http://host:port",
        "http://a:99999",
    ],
)
def test_what_is_no_address_is_refused_with_its_name(configured):
    with pytest.raises(errors.CellError, match="REPLICATE_BASE_URL is"):
        protocol.base_url(configured)


@pytest.mark.parametrize(
    "text",
    ["r8_a", " r8_a\n", '"r8_a"', "'r8_a'\r\n", '" r8_a\n"', "\ufeffr8_a", "\u201cr8_a\u201d"],
)
def test_a_token_is_freed_of_blanks_and_quotes(text):
    assert protocol.clean_token(text) == "r8_a"


@pytest.mark.parametrize("text", [None, "", " ", '""', "'\n'"])
def test_a_token_of_nothing_is_no_token(text):
    assert protocol.clean_token(text) == ""


@pytest.mark.parametrize("token", ["r8_a\nb", "r8_a b", "r8_\u00e9", "r8_\x00"])
def test_a_token_that_fits_no_header_is_not_in_the_error(token):
    with pytest.raises(errors.Unauthorized) as caught:
        protocol.authorization(token)
    assert "r8_" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.com", "https://A.com:443/x", True),
        ("https://a.com", "http://a.com", False),
        ("https://a.com", "https://a.com:8443", False),
        ("https://a.com", "https://a.com.evil.com", False),
        ("https://a.com", "https://a.com@evil.com", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one, other, same):
    assert (protocol.origin(one) == protocol.origin(other)) is same


# -- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "version", "path", "body"),
    [
        ("acme/poet", None, "/models/acme/poet/predictions", {}),
        ("acme/poet", VERSION, "/predictions", {"version": VERSION}),
        (f"acme/poet:{VERSION}", VERSION, "/predictions", {"version": VERSION}),
        ("deployment:acme/prod", None, "/deployments/acme/prod/predictions", {}),
    ],
)
def test_each_kind_of_target_is_created_at_its_route(model, version, path, body):
    request = protocol.create_request(create(model, version=version))
    assert (request.method, request.path) == ("POST", path)
    assert request.json == {**body, "input": {"prompt": "x"}}


def test_a_plain_create_carries_no_headers_of_its_own():
    assert protocol.create_request(create()).headers == {}


def test_a_wait_is_sent_and_outlasted():
    request = protocol.create_request(create(wait_s=60))
    assert request.headers["prefer"] == "wait=60"
    assert request.timeout_s > 60


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(-3, "5s"), (0.2, "5s"), (5, "5s"), (5.1, "6s"), (3600, "3600s"), (90_000, "86400s")],
)
def test_cancel_after_is_kept_within_what_the_api_takes(seconds, header):
    request = protocol.create_request(create(cancel_after_s=seconds))
    assert request.headers["cancel-after"] == header


def test_an_id_from_outside_stays_one_part_of_the_path():
    assert protocol.get_request("../models?x#y").path == "/predictions/..%2Fmodels%3Fx%23y"


def test_recent_predictions_are_asked_for_in_utc():
    east = NOW.astimezone(tz=None)
    path = protocol.list_request(created_after=east).path
    assert path.endswith("created_after=2026-03-01T12%3A00%3A00Z")


# -- refusals -----------------------------------------------------------------------------------

THROTTLED = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per "
    "minute with a burst of 1 requests while you have less than $5.0 in credit. Your rate limit "
    "resets in ~7s."
)
SEEN = [
    (401, {"title": "Unauthenticated", "detail": "You did not pass a valid authentication token"},
     errors.Unauthorized),
    (402, {"title": "Insufficient credit", "detail": "You have insufficient credit to run this "
           "model. Go to https://replicate.com/account/billing to purchase credit."},
     errors.InsufficientCredit),
    (403, {"detail": "You do not have permission to perform this action."}, errors.Unauthorized),
    (404, {"detail": "The requested resource could not be found.", "status": 404},
     errors.NotFound),
    (413, {"detail": "Files must be less than 100MB in size"}, errors.APIError),
    (422, {"title": "Invalid version or not permitted", "detail": "The specified version does not "
           "exist (or perhaps you don't have permission to use it?)"}, errors.InvalidInput),
    (429, {"detail": "Request was throttled. Your rate limit resets in ~30s."},
     errors.RateLimited),
    (429, {"detail": THROTTLED, "status": 429, "retry_after": 7}, errors.RateLimited),
    (500, {"detail": "Internal server error"}, errors.ServerError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), SEEN)
def test_a_refusal_has_replicates_own_words_and_the_models_name(status, body, kind):
    error = answers.refusal(answer(status, body), subject="acme/poet")
    assert type(error) is kind
    assert str(error).startswith("acme/poet: ")
    assert body["detail"].rstrip(".") in str(error)
    assert body.get("title", "") in str(error)
    assert f"HTTP {status}" in str(error)
    assert error.status == status
    assert error.detail == body["detail"]


def test_a_refused_input_names_each_field():
    fields = [
        {"type": "number_lte", "field": "input.top_p", "description": "Must be at most 1"},
        {"type": "required", "field": "input", "description": "prompt is required"},
    ]
    body = {
        "title": "Input validation failed",
        "detail": "- input.top_p: Must be at most 1\n- input: prompt is required\n",
        "invalid_fields": fields,
    }
    error = answers.refusal(answer(422, body), subject="acme/poet")
    assert "- input.top_p: Must be at most 1\n- input: prompt is required\n" in str(error)
    assert error.invalid_fields == tuple(fields)


@pytest.mark.parametrize("status", [413, 502, 503, 520])
def test_a_gateways_page_is_said_to_be_one(status):
    page = b"<html><head><title>Too large</title></head></html>"
    error = answers.refusal(answer(status, page, "text/html"), subject="acme/poet")
    assert "web page" in str(error)
    assert str(error).count(f"HTTP {status}") == 1
    assert isinstance(error, errors.ServerError) is (status >= 500)


def test_json_without_words_is_shown_as_it_is():
    error = answers.refusal(answer(429, {"code": 7}), subject="acme/poet")
    assert 'JSON of an unknown shape (HTTP 429): {"code": 7}' in str(error)


def test_terminal_commands_in_a_refusal_are_not_obeyed():
    error = answers.refusal(answer(422, {"detail": "\x1b[2Jgone"}), subject="acme/poet")
    assert "\x1b" not in str(error)


def test_an_endless_refusal_is_shortened():
    error = answers.refusal(answer(422, {"detail": "x" * 100_000}), subject="acme/poet")
    assert len(str(error)) < 3_000


@given(
    st.integers(400, 599),
    json_values
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("title", "detail", "invalid_fields", "retry_after"), json_values),
    ),
)
def test_any_body_makes_a_refusal(status, body):
    refused = answer(status, body)
    assert isinstance(answers.refusal(refused, subject="acme/poet"), errors.APIError)
    assert answers.retry_after_s(refused, NOW) > 0


# -- predictions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"id": "a", "status": "star', "application/json", "cut short"),
        (b"<html>Sign in</html>", "text/html", "web page"),
        (b"", "text/plain", "empty"),
        (b"[1, 2]", "application/json", "JSON of an unknown shape"),
        (b'{"results": []}', "application/json", "no prediction"),
        (b'{"id": 7, "status": "starting"}', "application/json", "no prediction"),
        (b'{"id": "", "status": "starting"}', "application/json", "no prediction"),
        (b'{"id": "a", "status": "starting", "urls": "x"}', "application/json", "no prediction"),
        (b"\xff\xfe{", "application/json", "JSON"),
        (b"[" * 100_000, "application/json", "JSON"),
    ],
)
def test_what_is_no_prediction_is_said_so(body, kind, words):
    with pytest.raises(errors.UnexpectedAnswer, match=words) as caught:
        answers.read_prediction(answer(200, body, kind), subject="acme/poet")
    assert "acme/poet" in str(caught.value)
    assert "REPLICATE_BASE_URL" in str(caught.value)


def test_a_prediction_is_its_json():
    raw = {"id": "a", "status": "starting", "novelty": 1}
    assert answers.read_prediction(answer(201, raw), subject="acme/poet") == raw


def test_a_redirect_is_told_with_its_aim():
    with pytest.raises(errors.UnexpectedAnswer, match=r"redirect to https://evil\.com/"):
        answers.read_object(answer(302, b"", location="https://evil.com/"), subject="acme/poet")


# -- waiting ------------------------------------------------------------------------------------


def in_seconds(seconds):
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("7", {}, 7),
        ("0.5", {}, 0.5),
        (in_seconds(9), {}, 9),
        ("", {"retry_after": 4}, 4),
        ("", {"detail": "Your rate limit resets in ~30s."}, 30),
        ("2", {"retry_after": 4, "detail": "resets in ~3s"}, 4),
        ("5", {"retry_after": 4, "detail": "resets in ~3s"}, 5),
        ("2", {"retry_after": 4, "detail": "resets in ~6.5s"}, 6.5),
        ("", {}, 1),
        ("soon", {"retry_after": "later", "detail": ["~"]}, 1),
        ("-5", {"retry_after": -1}, 1),
        ("inf", {"retry_after": float("nan")}, 1),
        ("", {"retry_after": 10**400}, 1),
        ("", {"retry_after": True}, 1),
        (in_seconds(-60), {}, 1),
        ("Sun, 01 Jan 99999999999 00:00:00 GMT", {}, 1),
    ],
)
def test_the_longest_wait_that_is_asked_for_is_taken(header, body, seconds):
    throttled = answer(429, body, retry_after=header)
    assert answers.retry_after_s(throttled, NOW) == seconds


@pytest.mark.parametrize(
    "value", ["", "yesterday", "Sun, 99 Foo 2026", "Sun, 01 Jan 99999999999 0:0:0 GMT", None]
)
def test_a_date_that_is_none_is_no_time(value):
    assert answers.http_date(value) is None


def test_a_date_has_a_zone():
    assert answers.http_date("Sun, 01 Mar 2026 12:00:00 GMT") == NOW
    assert answers.http_date("Sun, 01 Mar 2026 12:00:00 -0000") == NOW


def test_tries_are_further_and_further_apart():
    delays = [protocol.backoff_s(attempt) for attempt in range(1, 9)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.5, 15)
    assert protocol.backoff_s(5_000) == 15


@pytest.mark.parametrize(("stream", "first"), [("none", 0.1), ("open", 0.5), ("flowing", 5)])
def test_polling_is_quicker_the_less_the_stream_tells(stream, first):
    delays = [protocol.poll_delay_s(polls, stream=stream) for polls in range(30)]
    assert delays == sorted(delays)
    assert delays[0] == first
    assert delays[-1] == max(first, 2)
    assert protocol.poll_delay_s(5_000, stream=stream) == delays[-1]


# -- looking up ---------------------------------------------------------------------------------

LISTED = {
    "id": "a",
    "status": "starting",
    "model": "acme/poet",
    "version": VERSION,
    "input": {"prompt": "x"},
}
SECRETIVE = create(input={"prompt": "x", "key": "hunter2"}, secret=frozenset({"key"}))


@pytest.mark.parametrize(
    ("asked", "raw", "official", "could"),
    [
        (create(), LISTED, True, True),
        (create(), {**LISTED, "input": {"prompt": "y"}}, True, False),
        (create(), {**LISTED, "input": None}, True, False),
        (create(), {**LISTED, "id": None}, True, False),
        (create(), {**LISTED, "model": "acme/other"}, True, False),
        (create(), {**LISTED, "model": "replicate-internal/poet-x"}, True, True),
        (create(), {**LISTED, "model": "replicate/lifeboat-70b"}, None, True),
        (create(), {**LISTED, "model": None}, True, True),
        (create(version=VERSION), LISTED, False, True),
        (create(version=VERSION), {**LISTED, "version": "other"}, False, False),
        (create(version=VERSION), {**LISTED, "model": "replicate/lifeboat-70b"}, False, False),
        (create("deployment:acme/prod"), {**LISTED, "deployment": "acme/prod"}, None, True),
        (create("deployment:acme/prod"), {**LISTED, "deployment": "acme/test"}, None, False),
        (create("deployment:acme/prod"), LISTED, None, True),
        (SECRETIVE, {**LISTED, "input": {"prompt": "x", "key": "[REDACTED]"}}, True, True),
        (SECRETIVE, {**LISTED, "input": {"prompt": "x", "key": "hunter2"}}, True, True),
        (SECRETIVE, {**LISTED, "input": {"prompt": "x", "key": None}}, True, True),
        (SECRETIVE, LISTED, True, True),
        (SECRETIVE, {**LISTED, "input": {"prompt": "y", "key": "hunter2"}}, True, False),
        (SECRETIVE, {**LISTED, "input": {"prompt": "x", "other": 5}}, True, False),
        (SECRETIVE, {**LISTED, "input": ["x"]}, True, False),
    ],
)
def test_a_listed_prediction_could_be_ours_by_input_and_model(asked, raw, official, could):
    assert protocol.could_be(raw, asked, official=official) is could


@given(st.dictionaries(st.sampled_from(sorted(LISTED)), json_values))
def test_any_listed_object_can_be_compared(raw):
    protocol.could_be({**LISTED, **raw}, create(version=VERSION), official=None)


@pytest.mark.parametrize(
    ("following", "url"),
    [
        (f"{BASE}/predictions?cursor=abc", f"{BASE}/predictions?cursor=abc"),
        ("/v1/predictions?cursor=abc", f"{BASE}/predictions?cursor=abc"),
        ("http://api.replicate.com/v1/predictions?cursor=abc", None),
        ("https://api.replicate.com:444/v1/predictions?cursor=abc", None),
        ("https://evil.com/v1/predictions?cursor=abc", None),
        ("//evil.com/v1/predictions", None),
        ("https://api.replicate.com@evil.com/", None),
        ("https://[broken", None),
        ("https://api.replicate.com:port/", None),
        (None, None),
        ("", None),
        (7, None),
    ],
)
def test_a_next_page_is_followed_on_the_apis_own_host_only(following, url):
    assert protocol.next_page({"next": following}, BASE) == url
