"""The console's own clock: set back, and against the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from tasks import alarms
from tasks.engine import dispatch
from tasks.engine.watches import clocks
from tasks.models import Pulse
from tasks.states import Severity

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def raised() -> list[str]:
    return list(alarms.uncleared().filter(code="clock-drift").values_list("subject", flat=True))


def test_a_clock_that_was_set_back_is_told_of_until_it_gets_where_it_was(settings: Any) -> None:
    settings.HOST_NAME = "mgmt-1"
    dispatch.tick(NOW)
    dispatch.tick(NOW - 2 * HOUR)
    alarm = alarms.uncleared().get(code="clock-drift")
    assert (alarm.subject, alarm.severity, alarm.place, alarm.cluster) == ("console", Severity.MINOR, "mgmt-1", None)
    assert alarm.cause.startswith("At 2026-06-01 01:00 +02:00 the clock of mgmt-1 was 2 h behind a moment")
    for minutes in (-119, -1):
        dispatch.tick(NOW + minutes * MINUTE)
        assert raised() == ["console"]
    dispatch.tick(NOW)
    assert raised() == []
    assert not Pulse.objects.filter(name="clock set back").exists()


def test_after_a_year_it_is_told_of_for_a_day() -> None:
    dispatch.tick(NOW + 365 * DAY)
    dispatch.tick(NOW)
    dispatch.tick(NOW + DAY - MINUTE)
    assert raised() == ["console"]
    dispatch.tick(NOW + DAY)
    assert raised() == []


@pytest.mark.parametrize("before", [NOW - DAY, NOW, NOW + timedelta(seconds=30)])
def test_ticks_in_order_or_nearly_so_are_no_news(before: datetime) -> None:
    Pulse.beat("tick", before)
    dispatch.tick(NOW)
    assert raised() == []


def test_the_database_is_asked_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead: list[timedelta | None] = [None]
    monkeypatch.setattr(clocks, "_database_ahead", lambda: ahead[0])
    assert clocks.watch(NOW) == "own"
    ahead[0] = timedelta(seconds=31)
    assert clocks.watch(NOW) == "compared"
    alarm = alarms.uncleared().get()
    assert alarm.subject == "database" and alarm.cause.startswith("The clock of the database server")
    ahead[0] = timedelta(seconds=32)
    clocks.watch(NOW + MINUTE)
    alarm.refresh_from_db()
    assert alarm.renewed_at == NOW, "it is not renewed each minute"
    ahead[0] = timedelta(seconds=-30)
    clocks.watch(NOW + MINUTE)
    assert raised() == []


def test_the_time_of_a_database_server_is_read() -> None:
    found = clocks._database_ahead()
    if connection.vendor == "sqlite":
        assert found is None
    else:
        assert found is not None and abs(found) < 5 * MINUTE
