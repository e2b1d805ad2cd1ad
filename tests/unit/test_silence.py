"""Workers that give no sign of life: who raises the alarm, when it is believed, and that the tick clears it (F9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from backupconsole.supervisor import Supervisor
from tasks import alarms
from tasks.engine import dispatch
from tasks.engine.watches import silence
from tasks.engine.watches.silence import SURE, Lookout, workers_now
from tasks.models import Alarm, Pulse
from tasks.permissions import VIEWER
from tasks.states import Severity
from tests.conftest import Login

pytestmark = pytest.mark.django_db

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Clock:
    """Seconds that the test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that nobody sets."""
    return Clock()


def look(lookout: Lookout, now: Any = None) -> bool:
    now = now or timezone.now()
    return lookout.saw(workers_now(now), now)


def raised() -> list[Alarm]:
    return list(alarms.uncleared().filter(code="workers-silent"))


def test_a_silence_that_lasts_is_told_of_once_and_the_tick_ends_it(clock: Clock, settings: Any) -> None:
    settings.HOST_NAME = "mgmt-1"
    lookout, now = Lookout(clock), timezone.now()
    Pulse.beat("tick", now - timedelta(seconds=91))
    assert not look(lookout, now)
    clock.now += SURE - 1
    assert not look(lookout, now)
    clock.now += 1
    assert look(lookout, now)
    [alarm] = raised()
    assert (alarm.severity, alarm.place, alarm.cluster) == (Severity.CRITICAL, "mgmt-1", None)
    assert alarm.cause.startswith("The last tick of the workers was at ") and "Start them on mgmt-1" in alarm.cure
    clock.now += 600
    assert not look(lookout, now)
    assert not look(Lookout(clock), now)
    dispatch.tick(now)
    assert raised() == []
    assert Alarm.objects.count() == 1


def test_a_second_silence_is_told_of_as_well(clock: Clock) -> None:
    lookout, now = Lookout(clock), timezone.now()
    for _ in range(2):
        Pulse.beat("tick", now)
        now += 2 * MINUTE
        look(lookout, now)
        clock.now += SURE
        assert look(lookout, now)
        dispatch.tick(now)


def test_workers_that_tick_or_have_just_begun_are_no_silence(clock: Clock) -> None:
    lookout, now = Lookout(clock), timezone.now()
    Pulse.beat("tick", now - timedelta(seconds=89))
    assert not look(lookout, now)
    clock.now += 600
    assert not look(lookout, now)
    # The machine slept for a night: the clock of the wall went on, that of the process did not.
    assert not look(lookout, now + timedelta(hours=8))
    dispatch.tick(now + timedelta(hours=8))
    clock.now += 600
    assert not look(lookout, now + timedelta(hours=8))
    assert raised() == []


def test_workers_that_never_ticked_are_told_of(clock: Clock) -> None:
    lookout = Lookout(clock)
    look(lookout)
    clock.now += SURE
    assert look(lookout)
    assert raised()[0].cause.startswith("They never ticked.")


def test_what_the_database_does_not_take_is_tried_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stands still may hold the database; no page fails for it, and none waits for it after another."""
    lookout, tries = Lookout(clock), []

    def locked(*_: Any, **__: Any) -> None:
        tries.append(clock.now)
        raise OperationalError("database is locked")

    look(lookout)
    clock.now += SURE
    with monkeypatch.context() as patched:
        patched.setattr(alarms, "raise_alarm", locked)
        for _ in range(3):
            assert not look(lookout)
            clock.now += SURE / 2
    assert tries == [1000 + SURE, 1000 + 2 * SURE]
    assert raised() == []
    clock.now += SURE / 2
    assert look(lookout)
    assert len(raised()) == 1
    clock.now += 600
    assert not look(lookout)


def test_of_several_that_look_one_raises_it(clock: Clock) -> None:
    lookouts = [Lookout(clock) for _ in range(4)]
    for lookout in lookouts:
        look(lookout)
    clock.now += SURE
    for lookout in lookouts:
        look(lookout)
    assert len(raised()) == 1
    assert raised()[0].renewed_at == raised()[0].raised_at


def test_a_page_tells_within_two_minutes_and_raises_the_alarm(
    login: Login, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "WEB", Lookout(clock))
    Pulse.beat("tick", timezone.now() - timedelta(seconds=90 + 1))
    client: Client = login(VIEWER)
    assert "The workers have been silent for " in client.get("/alarms/").content.decode()
    assert raised() == []
    clock.now += SURE
    client.get("/alarms/news/")
    assert "Workers Silent" in client.get("/alarms/").content.decode()


def test_the_supervisor_raises_it(clock: Clock) -> None:
    """Its group does not tick, although it is started anew again and again."""
    supervisor = Supervisor()
    supervisor._lookout = Lookout(clock)
    Pulse.beat("tick", timezone.now() - 2 * MINUTE)
    supervisor._beat()
    supervisor._look_out()
    clock.now += SURE
    supervisor._look_out()
    assert raised()[0].cure.startswith("Wait a minute. If this notice stays, read the log of the workers on ")


def test_the_limit_of_the_settings_counts_where_it_is_shorter(settings: Any) -> None:
    now = timezone.now()
    Pulse.beat("tick", now - 5 * SECOND)
    assert workers_now(now).alive
    settings.TICK_SILENCE_SECONDS = 4
    assert not workers_now(now).alive
