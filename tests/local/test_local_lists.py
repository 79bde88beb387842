"""The list of predictions: pages, cursors, dates."""

from urllib.parse import urlsplit

import pytest

COUNT = 205


@pytest.fixture(scope="module")
def many(api, long_input):
    """More predictions than two pages hold, ended while they waited, oldest first."""
    before_them = api.create(**long_input)
    made = []
    for _ in range(COUNT):
        made.append(api.create(prompt="Hi.", max_tokens=1))
        api.cancel(made[-1])
    api.cancel(before_them)
    return made


def ids(page):
    return [prediction["id"] for prediction in page["results"]]


def pages(api, first, direction="next"):
    seen = [first]
    while link := seen[-1][direction]:
        seen.append(api.get(link).json())
    return seen


def test_the_newest_come_first_a_hundred_a_page(api, many, fits):
    page = api.get("/predictions").json()
    fits("listed_predictions", page)
    assert ids(page) == [prediction["id"] for prediction in reversed(many)][:100]
    assert page["previous"] is None


def test_following_next_shows_every_prediction_once(api, many):
    listed = [one for page in pages(api, api.get("/predictions").json()) for one in ids(page)]
    assert len(listed) == len(set(listed))
    assert {prediction["id"] for prediction in many} <= set(listed)


def test_links_are_absolute_and_lead_back_here(api, many, engine):
    link = api.get("/predictions").json()["next"]
    assert link.startswith(f"{engine.base_url}/v1/predictions?")
    assert "cursor=" in urlsplit(link).query


def test_previous_leads_back(api, many):
    first = api.get("/predictions").json()
    second = api.get(first["next"]).json()
    assert ids(api.get(second["previous"]).json()) == ids(first)


def test_a_page_does_not_shift_when_something_new_comes(api, many):
    first = api.get("/predictions").json()
    second = api.get(first["next"]).json()
    api.cancel(api.create(prompt="Hi."))
    assert ids(api.get(first["next"]).json()) == ids(second)


def test_created_after_includes_its_moment_and_created_before_does_not(api, many):
    edge = many[-3]["created_at"]
    newer = api.get("/predictions", params={"created_after": edge}).json()
    older = api.get("/predictions", params={"created_before": edge}).json()
    assert many[-3]["id"] in ids(newer)
    assert many[-3]["id"] not in ids(older)
    assert not set(ids(newer)) & set(ids(older))


def test_dates_hold_on_the_next_page_too(api, many):
    params = {"created_before": many[150]["created_at"], "created_after": many[0]["created_at"]}
    listed = [
        one
        for page in pages(api, api.get("/predictions", params=params).json())
        for one in ids(page)
    ]
    assert listed == [prediction["id"] for prediction in reversed(many[:150])]


@pytest.mark.parametrize(
    "text", ["2020-01-01", "2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00Z"]
)
def test_iso_dates_of_all_kinds_are_read(api, text):
    assert api.get("/predictions", params={"created_after": text}).status_code == 200


@pytest.mark.parametrize("params", [{"created_after": "yesterday"}, {"source": "cli"}])
def test_a_filter_that_cannot_be_read_is_a_422(api, params):
    assert api.get("/predictions", params=params).status_code == 422


def test_nothing_here_was_made_on_the_web(api, many):
    assert api.get("/predictions", params={"source": "web"}).json()["results"] == []


@pytest.mark.parametrize("cursor", ["x", "%%%", "cD0", ""])
def test_a_broken_cursor_is_a_404(api, cursor):
    assert api.get("/predictions", params={"cursor": cursor}).status_code == 404
