"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from replicate_magic.errors import CellError
from replicate_magic.runs.query import moment

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T08:30", datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
        ("2026-03-01T08:30:00+02:00", datetime(2026, 3, 1, 6, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 3, 12, tzinfo=UTC)),
        (" 90m ", datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
        (date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_a_moment_is_a_date_or_how_long_ago(written, meant):
    assert moment(written, now=NOW) == meant


def test_a_moment_keeps_its_zone():
    east = datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=5)))

    assert moment(east) is east


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "7x", "-5d", "2026", "9" * 30 + "d"]
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(CellError, match="is no moment: write 2026-01-31"):
        moment(text, now=NOW)
