"""When a task runs: daylight saving, long absence, and the laws that hold for every zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.schedule import Schedule, late_by

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Pacific/Apia",
]


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN)


def days(started: datetime, period: int = 1, zone: ZoneInfo = BERLIN) -> Schedule:
    return Schedule(started, period, "days", zone)


def test_days_keep_the_wall_clock_over_spring_and_autumn() -> None:
    spring = days(berlin(2026, 3, 27, 5, 0)).upcoming(berlin(2026, 3, 27, 6, 0), 3)
    assert [moment.astimezone(BERLIN).strftime("%d %H:%M") for moment in spring] == ["28 05:00", "29 05:00", "30 05:00"]
    autumn = days(berlin(2026, 10, 23, 5, 0)).upcoming(berlin(2026, 10, 23, 6, 0), 3)
    assert [moment.astimezone(BERLIN).strftime("%d %H:%M") for moment in autumn] == ["24 05:00", "25 05:00", "26 05:00"]


def test_a_start_inside_the_spring_gap_is_moved_that_day_only() -> None:
    runs = days(berlin(2026, 3, 28, 2, 30)).upcoming(berlin(2026, 3, 28, 3, 0), 2)
    assert [moment.astimezone(BERLIN).strftime("%d %H:%M") for moment in runs] == ["29 03:30", "30 02:30"]


def test_a_start_that_exists_twice_in_autumn_runs_once() -> None:
    runs = days(berlin(2026, 10, 24, 2, 30)).upcoming(berlin(2026, 10, 24, 3, 0), 2)
    assert runs == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]


def test_hours_are_absolute() -> None:
    schedule = Schedule(berlin(2026, 3, 29, 0, 0), 1, "hours", BERLIN)
    runs = schedule.upcoming(berlin(2026, 3, 29, 0, 30), 3)
    assert [later - earlier for earlier, later in zip(runs, runs[1:], strict=False)] == [timedelta(hours=1)] * 2


def test_the_first_occurrence_is_started_itself() -> None:
    started = berlin(2026, 11, 24, 2, 0)
    assert days(started).first_after(berlin(2026, 11, 1, 0, 0)) == started


def test_an_occurrence_is_not_its_own_successor() -> None:
    schedule = days(berlin(2026, 11, 24, 2, 0))
    assert schedule.first_after(berlin(2026, 11, 24, 2, 0)) == berlin(2026, 11, 25, 2, 0)


def test_leap_day_and_year_end() -> None:
    runs = days(berlin(2027, 12, 31, 23, 59)).upcoming(berlin(2027, 12, 31, 12, 0), 2)
    assert [moment.astimezone(BERLIN).date().isoformat() for moment in runs] == ["2027-12-31", "2028-01-01"]
    leap = days(berlin(2028, 2, 28, 1, 0)).upcoming(berlin(2028, 2, 28, 2, 0), 2)
    assert [moment.astimezone(BERLIN).date().isoformat() for moment in leap] == ["2028-02-29", "2028-03-01"]


def test_counting_over_a_long_absence_needs_no_walk() -> None:
    schedule = Schedule(datetime(2000, 1, 1, tzinfo=UTC), 1, "hours", BERLIN)
    assert schedule.count_between(datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)) == 227_929


@pytest.mark.parametrize(("seconds", "late"), [(-5, 0), (0, 0), (119, 119), (121, 121)])
def test_lateness_is_never_negative(seconds: int, late: int) -> None:
    planned = berlin(2026, 11, 24, 2, 0)
    assert late_by(planned, planned + timedelta(seconds=seconds)) == timedelta(seconds=late)


moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))


@given(
    started=moments,
    now=moments,
    period=st.integers(1, 400),
    unit=st.sampled_from(["hours", "days"]),
    zone=st.sampled_from(ZONES),
)
def test_laws_of_every_schedule(started: datetime, now: datetime, period: int, unit: str, zone: str) -> None:
    schedule = Schedule(started, period, unit, ZoneInfo(zone))
    following = schedule.first_after(now)
    assert following > now
    assert following >= started - timedelta(hours=1)
    # Nothing lies between: the occurrence before it is not after now.
    runs = schedule.upcoming(now, 4)
    assert runs[0] == following
    assert runs == sorted(set(runs))
    if unit == "days":
        wall = {moment.astimezone(ZoneInfo(zone)).time() for moment in runs}
        usual = started.astimezone(ZoneInfo(zone)).time()
        assert sum(time != usual for time in wall) <= 1
    else:
        assert all(later - earlier == timedelta(hours=period) for earlier, later in zip(runs, runs[1:], strict=False))


@given(started=moments, first=moments, span=st.integers(0, 60), period=st.integers(1, 30))
def test_between_and_count_agree(started: datetime, first: datetime, span: int, period: int) -> None:
    schedule = Schedule(started, period, "days", BERLIN)
    until = first + timedelta(days=span)
    found = list(schedule.between(first, until))
    assert len(found) == schedule.count_between(first, until)
    assert all(first <= moment <= until for moment in found)
