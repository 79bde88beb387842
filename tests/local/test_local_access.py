"""Who may speak to the engine, and what errors look like."""

import httpx
import pytest


def test_no_token_is_the_documented_401(engine):
    answer = httpx.get(f"{engine.base_url}/v1/account")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "title": "Unauthenticated",
        "detail": "You did not pass a valid authentication token",
        "status": 401,
    }


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Basic {token}", "{token}", "Bearer é"]
)
def test_a_wrong_token_is_refused(engine, header):
    value = header.format(token=engine.token).encode()
    answer = httpx.get(f"{engine.base_url}/v1/account", headers={"authorization": value})
    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
def test_both_schemes_of_the_api_are_accepted(engine, scheme):
    headers = {"authorization": f"{scheme} {engine.token}"}
    assert httpx.get(f"{engine.base_url}/v1/account", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[bad"])
def test_a_foreign_host_name_is_refused(api, host):
    assert api.get("/account", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8000"])
def test_loopback_host_names_are_fine(api, host):
    assert api.get("/account", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://"])
def test_a_foreign_origin_is_refused(api, origin):
    assert api.get("/account", headers={"origin": origin}).status_code == 403


def test_every_answer_carries_the_rate_limit(api, engine):
    answers = [api.get("/account"), api.get("/nothing"), httpx.get(f"{engine.base_url}/v1/account")]
    for answer in answers:
        assert int(answer.headers["ratelimit-remaining"]) > 0
        assert answer.headers["ratelimit-reset"] == "1"


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/predictions/x", "/models/a/b", "/trainings/x", "/webhooks/default/secret"],
)
def test_what_does_not_exist_is_the_documented_404(api, path):
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.json() == {
        "detail": "The requested resource could not be found.",
        "status": 404,
    }


def test_a_wrong_method_is_a_405_with_a_problem_body(api):
    answer = api.delete("/account")
    assert (answer.status_code, answer.json()["status"]) == (405, 405)


def test_answers_are_quick(api):
    times = sorted(api.get("/account").elapsed.total_seconds() for _ in range(20))
    # Nagle's algorithm would make it 0.044.
    assert times[10] < 0.02
