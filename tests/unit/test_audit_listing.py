"""What the page of the audit offers and tells: dates that have events, choices, and what an event changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import Count, Max, Min
from django.test.utils import CaptureQueriesContext

from tasks.auditing import listing, periods
from tasks.auditing.periods import Period, with_events
from tasks.models import AuditEvent
from tests.unit.test_audit_search import EVERYBODY, make

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")


# --- Dates ------------------------------------------------------------------------------------------------------------
def at(*parts: int) -> None:
    make(1, at=datetime(*parts, tzinfo=BERLIN))  # type: ignore[misc, arg-type]


def parts_of(text: str) -> list[str]:
    chosen = Period.read(text) if text else None
    return [str(period) for period in with_events(AuditEvent.objects.all(), chosen, BERLIN)]


def test_only_dates_with_events_are_offered_in_the_zone_of_the_viewer() -> None:
    at(2024, 12, 31, 23, 59)
    at(2026, 2, 1, 0, 0)
    at(2026, 2, 28, 23, 59)
    at(2026, 12, 31, 12, 0)
    assert parts_of("") == ["2024", "2026"]
    assert parts_of("2026") == ["2026-02", "2026-12"]
    assert parts_of("2026-02") == ["2026-02-01", "2026-02-28"]
    assert parts_of("2026-02-28") == []
    assert parts_of("2025") == []


def test_an_audit_without_events_has_no_dates() -> None:
    assert parts_of("") == []
    assert parts_of("2026") == []


def test_the_day_that_a_clock_is_changed_is_a_whole_day() -> None:
    since, until = Period((2026, 10, 25)).bounds(BERLIN)
    assert until.astimezone(UTC) - since.astimezone(UTC) == timedelta(hours=25)


def test_words_and_neighbours_of_periods() -> None:
    day = Period((2024, 2, 29))
    assert (str(day), day.label, str(day.above), day.within()) == ("2024-02-29", "29", "2024-02", [])
    assert (Period((2024, 2)).label, Period((2024,)).label, Period((2024,)).above) == ("February", "2024", None)
    assert len(Period((2024, 2)).within()) == 29


@pytest.mark.parametrize("text", ["", "x", "1999", "2100", "2026-13", "2026-2-30", "2026-02-30", "2026-1-1-1", "20266"])
def test_periods_that_are_none_are_passed_over(text: str) -> None:
    assert Period.read(text) is None


def test_the_dates_in_djangos_admin_are_those_with_events() -> None:
    at(2024, 12, 31, 23, 59)
    at(2026, 2, 28, 23, 59)
    years = AuditEvent.objects.datetimes("at", "year")
    assert [moment.year for moment in years] == [2024, 2026]
    days = AuditEvent.objects.filter(at__year=2026).datetimes("at", "day")
    assert [f"{moment:%m-%d}" for moment in days] == ["02-28"]


def test_the_first_and_the_last_moment_are_found_each_on_its_own() -> None:
    at(2024, 5, 6, 7)
    at(2026, 5, 6, 7)
    with CaptureQueriesContext(connection) as captured:
        ends = AuditEvent.objects.aggregate(first=Min("at"), last=Max("at"))
    assert [ends[name].year for name in ("first", "last")] == [2024, 2026]
    assert len(captured) == 2
    assert AuditEvent.objects.aggregate(number=Count("pk"), last=Max("at"))["number"] == 2


def test_too_many_dates_are_asked_for_in_djangos_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "MOST", 2)
    at(2024, 1, 1, 12)
    at(2026, 1, 1, 12)
    assert [moment.year for moment in AuditEvent.objects.datetimes("at", "year")] == [2024, 2026]


# --- Choices ----------------------------------------------------------------------------------------------------------
def test_what_occurs_is_offered_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in ("log in", "create task", "log in"):
        make(1, verb=verb, actor="berta")
    assert listing.choices(EVERYBODY) == {"verbs": ["create task", "log in"], "kinds": ["node"], "people": ["berta"]}
    monkeypatch.setattr(listing, "CHOICES", 1)
    assert listing.choices(EVERYBODY)["verbs"] == ["create task"]


def test_nothing_to_choose_from() -> None:
    assert listing.choices(EVERYBODY) == {"verbs": [], "kinds": [], "people": []}


# --- Differences ------------------------------------------------------------------------------------------------------
def test_values_are_told_one_by_one_with_secrets_masked() -> None:
    before = {
        "copies": 7,
        "destination": {"server_ip": "10.0.0.1", "password": "x"},
        "all": True,
        "empty": "",
        "gone": 1,
    }
    after = {"copies": 14, "destination": {"server_ip": "10.0.0.1", "password": "y"}, "all": False, "names": ["a", "b"]}
    event = make(1, before=before, after=after)[0]
    row = listing.row_of(event)
    told = {line.name: (line.before, line.after) for line in row.differences}
    assert told == {
        "copies": ("7", "14"),
        "destination.server_ip": ("10.0.0.1", "10.0.0.1"),
        "destination.password": ("******", "******"),
        "all": ("yes", "no"),
        "empty": ("None", None),
        "gone": ("1", None),
        "names": (None, "a, b"),
    }
    marks = {line.name: (line.gone, line.come) for line in row.differences}
    assert marks["copies"] == (True, True) and marks["gone"] == (True, False) and marks["names"] == (False, True)
    assert row.compared


def test_lists_of_things_and_values_of_one_side() -> None:
    row = listing.row_of(make(1, after={"steps": [{"a": 1}], "none": None, "empty": {}})[0])
    assert [(line.name, line.after) for line in row.differences] == [
        ("steps", '[{"a": 1}]'), ("none", "None"), ("empty", "None"),
    ]  # fmt: skip
    assert (row.compared, row.column) == (False, "Value")
    assert listing.row_of(make(1, before={"a": 1})[0]).column == "Before"
