"""How long the room lasts: the trend of used bytes, and when room is called low. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.space import Limits, Outlook, Reading, Trend, days_left, in_words, outlook, why_low

NOW = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GB = 10**9
LIMITS = Limits(floor=GB, per_cent=5, days=14)


def daily(*used: float, until: datetime = NOW) -> list[Reading]:
    """Return one reading a day, the last at ``until``; in GB."""
    return [Reading(until - (len(used) - 1 - place) * DAY, int(each * GB)) for place, each in enumerate(used)]


def test_a_steady_growth_says_when_it_is_full() -> None:
    found = outlook(daily(*range(100, 110)), 45 * GB, NOW)
    assert found == Outlook(Trend.GROWING, GB, NOW + 45 * DAY)


def test_one_huge_day_and_one_clean_up_do_not_bend_the_pace() -> None:
    used = [100.0 + each for each in range(20)]
    used[7], used[13] = 400.0, 2.0
    found = outlook(daily(*used), 60 * GB, NOW)
    assert found.pace == GB


def test_the_order_of_readings_does_not_matter() -> None:
    readings = daily(*range(100, 110))
    assert outlook(readings[::-1], GB, NOW) == outlook(readings, GB, NOW)


@pytest.mark.parametrize("used", [[50.0] * 10, [float(60 - each) for each in range(10)]], ids=["flat", "falling"])
def test_what_does_not_grow_has_no_end(used: list[float]) -> None:
    assert outlook(daily(*used), GB, NOW) == Outlook(Trend.STEADY)


def test_what_lasts_longer_than_anybody_looks_does_not_grow() -> None:
    used = [100 + each / 1_000_000 for each in range(10)]
    assert outlook(daily(*used), 4000 * GB, NOW).trend == Trend.STEADY


@pytest.mark.parametrize(
    "readings",
    [
        [],
        daily(1, 2, 3),
        [Reading(NOW - number * timedelta(hours=1), number) for number in range(24)],
        daily(1, 2, 3, 4, until=NOW - 40 * DAY),
        daily(1, 2, 3, 4, until=NOW + 40 * DAY),
    ],
    ids=["none", "too few", "too short a time", "too old", "ahead of the clock"],
)
def test_too_little_is_known(readings: list[Reading]) -> None:
    assert outlook(readings, GB, NOW) == Outlook(Trend.UNKNOWN)


def test_a_full_place_that_grows_is_full_now() -> None:
    assert outlook(daily(*range(100, 110)), 0, NOW).full_at == NOW


@pytest.mark.parametrize(
    ("free", "days", "why"),
    [
        (0.9, None, "floor"),
        (4.9, None, "per cent"),
        (5.0, None, ""),
        (50.0, 13.9, "days"),
        (50.0, 14.0, ""),
        (50.0, None, ""),
    ],
)
def test_when_room_is_low(free: float, days: float | None, why: str) -> None:
    full_at = None if days is None else NOW + days * DAY
    assert why_low(int(free * GB), 100 * GB, full_at, LIMITS, NOW) == why


@pytest.mark.parametrize(
    ("free", "days", "why"),
    [(1.05, None, "floor"), (5.4, None, "per cent"), (5.6, None, ""), (50.0, 15.0, "days"), (50.0, 15.5, "")],
)
def test_room_that_was_low_needs_a_tenth_more(free: float, days: float | None, why: str) -> None:
    full_at = None if days is None else NOW + days * DAY
    assert why_low(int(free * GB), 100 * GB, full_at, LIMITS, NOW, before=True) == why


def test_a_limit_of_nothing_is_none() -> None:
    assert why_low(0, 100 * GB, NOW, Limits(0, 0, 0), NOW) == ""


@pytest.mark.parametrize(
    ("hours", "days", "words"),
    [(-5, 0, "less than a day"), (23, 0, "less than a day"), (25, 1, "1 day"), (49, 2, "2 days")],
)
def test_days_left(hours: int, days: int, words: str) -> None:
    assert days_left(NOW + timedelta(hours=hours), NOW) == days
    assert in_words(days) == words
