"""The daily digest: once a day at the person's hour, over daylight saving, crashes, outages and changes of mind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User

from tasks import alarms
from tasks.audit import Actor
from tasks.models import BackupTask, NotificationSetting, OutboxMessage, Preference
from tasks.notify import digest, outbox
from tasks.notify.digest import last_day, queue_due
from tasks.services.notifications import set_levels, set_task_level
from tasks.states import Level, RunState
from tests.notify_kit import NOW, ended, letters, level, mail_channel

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def berlin(year: int, month: int, day: int, hour: int, minute: int = 0, fold: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize("hour,now,expected", [
    (7, berlin(2026, 11, 24, 6, 59), date(2026, 11, 23)),
    (7, berlin(2026, 11, 24, 7, 0), date(2026, 11, 24)),
    (0, berlin(2026, 11, 24, 0, 0), date(2026, 11, 24)),
    (23, berlin(2026, 11, 24, 0, 30), date(2026, 11, 23)),
    # In spring 02:00 is skipped: it comes as 03:00.
    (2, berlin(2026, 3, 29, 1, 59), date(2026, 3, 28)),
    (2, berlin(2026, 3, 29, 3, 0), date(2026, 3, 29)),
    # In autumn 02:00 comes twice: the first one counts, the second changes nothing.
    (2, berlin(2026, 10, 25, 1, 59), date(2026, 10, 24)),
    (2, berlin(2026, 10, 25, 2, 0), date(2026, 10, 25)),
    (2, berlin(2026, 10, 25, 2, 0, fold=1), date(2026, 10, 25)),
])  # fmt: skip
def test_the_day_of_the_last_digest(hour: int, now: datetime, expected: date) -> None:
    assert last_day(hour, BERLIN, now) == expected


@pytest.mark.parametrize("hour", [0, 2, 3, 7, 23])
@pytest.mark.parametrize("first", [datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC)])
def test_over_daylight_saving_every_day_has_one(anna: User, hour: int, first: datetime) -> None:
    level(anna, Level.DIGEST, digest_hour=hour, digest_day=None)
    for minute in range(0, 5 * 24 * 60, 30):
        queue_due(first + timedelta(minutes=minute))
    days = list(OutboxMessage.objects.order_by("day").values_list("day", flat=True))
    assert days == sorted({days[0] + number * DAY for number in range(len(days))})
    assert len(days) in (4, 5)


@pytest.fixture
def anna(viewer: User) -> User:
    """A viewer in Berlin, with a mail channel and a digest at 7."""
    mail_channel(viewer)
    Preference.objects.create(user=viewer, zone="Europe/Berlin")
    level(viewer, Level.DIGEST, digest_hour=7, digest_day=date(2026, 11, 23))
    return viewer


def test_it_comes_at_the_hour_and_not_again(anna: User) -> None:
    morning = berlin(2026, 11, 24, 7)
    assert queue_due(morning - timedelta(seconds=1)) == 0
    assert [queue_due(morning + number * HOUR) for number in range(24)] == [1] + [0] * 23
    assert queue_due(morning + DAY) == 1


def test_every_channel_gets_it_once(anna: User) -> None:
    mail_channel(anna, "Second")
    mail_channel(anna, "Off", enabled=False)
    assert queue_due(berlin(2026, 11, 24, 8)) == 2
    assert queue_due(berlin(2026, 11, 24, 9)) == 0


def test_after_days_without_a_sender_one_tells_of_all(anna: User, task: BackupTask, make_run: Any) -> None:
    for day in range(3):
        ended(task, make_run, RunState.FAILED, NOW + day * DAY)
    outbox.collect(NOW + 3 * DAY)
    assert queue_due(berlin(2026, 11, 27, 5)) == 1
    assert queue_due(berlin(2026, 11, 27, 7)) == 1
    first, second = letters()
    assert "digest of Thu 2026-11-26: 3 failed" in first.subject
    assert "digest of Fri 2026-11-27: nothing happened" in second.subject


def test_a_crash_between_the_day_and_the_message_takes_both_back(anna: User, monkeypatch: Any) -> None:
    def crash(*args: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(OutboxMessage.objects, "bulk_create", crash)
    with pytest.raises(RuntimeError):
        queue_due(berlin(2026, 11, 24, 8))
    assert NotificationSetting.objects.get().digest_day == date(2026, 11, 23)
    monkeypatch.undo()
    assert queue_due(berlin(2026, 11, 24, 8)) == 1


def test_two_senders_make_one(anna: User) -> None:
    stale = digest.listeners()
    assert queue_due(berlin(2026, 11, 24, 8)) == 1
    assert sum(digest._queue(listener, date(2026, 11, 24), berlin(2026, 11, 24, 8)) for listener in stale) == 0


def test_moving_westward_does_not_repeat_a_day(anna: User) -> None:
    Preference.objects.update(zone="Pacific/Auckland")
    assert queue_due(berlin(2026, 11, 23, 20)) == 1
    Preference.objects.update(zone="America/Los_Angeles")
    assert queue_due(berlin(2026, 11, 23, 21)) == 0


def test_it_counts_everything_and_writes_out_what_failed(anna: User, make_task: Any, make_run: Any) -> None:
    for number in range(5):
        ended(make_task(f"good-{number}"), make_run, RunState.SUCCESSFUL)
    ended(make_task("bad"), make_run, RunState.FAILED)
    outbox.collect(NOW)
    queue_due(berlin(2026, 11, 24, 8))
    (letter,) = letters()
    assert letter.subject == ("Backup Console: digest of Tue 2026-11-24: 1 failed, 5 successful, 1 alarm raised")
    assert "Backups: 1 failed, 5 successful." in letter.body
    assert "1 alarm is not cleared now." in letter.body
    assert "Backup bad failed (cluster plant)" in letter.body and "good-" not in letter.body
    assert not OutboxMessage.objects.filter(kind="notices").exists(), "who gets a digest is not told at once"


def test_a_quiet_day_has_one_too(anna: User) -> None:
    queue_due(berlin(2026, 11, 24, 8))
    (letter,) = letters()
    assert "No run ended and no alarm came or went since the digest before." in letter.body
    assert "No alarms now." in letter.body


def test_only_tasks_with_that_level_are_in_it(viewer: User, make_task: Any, make_run: Any) -> None:
    mail_channel(viewer)
    daily, other = make_task("daily"), make_task("other")
    actor = Actor(viewer.username, viewer)
    set_task_level(actor, daily, Level.DIGEST)
    queue_due(NOW)
    for task in (daily, other):
        ended(task, make_run, RunState.FAILED)
    outbox.collect(NOW)
    queue_due(NOW + DAY)
    digests = [letter for letter in letters() if "digest" in letter.subject]
    assert "Backup daily failed" in digests[0].body and "Backup other failed" not in digests[0].body


def test_who_begins_with_digests_is_not_told_of_the_past(viewer: User, task: BackupTask, make_run: Any) -> None:
    mail_channel(viewer)
    level(viewer, Level.NEVER, digest_day=date(2026, 1, 1))
    ended(task, make_run, RunState.FAILED)
    outbox.collect(NOW)
    set_levels(Actor(viewer.username, viewer), Level.DIGEST, 7)
    assert queue_due(NOW) == 0
    assert queue_due(NOW + DAY) == 1
    assert "nothing happened" in letters()[0].subject


def test_changing_the_hour_keeps_the_day(anna: User) -> None:
    assert queue_due(berlin(2026, 11, 24, 8)) == 1
    set_levels(Actor(anna.username, anna), Level.DIGEST, 9)
    assert queue_due(berlin(2026, 11, 24, 10)) == 0


def test_alarms_of_clusters_out_of_sight_are_not_counted(anna: User, task: BackupTask) -> None:
    from tasks.models import Cluster, Person

    other = Cluster.objects.create(name="other")
    alarms.raise_alarm("restoration-unknown", f"cluster {other.pk}", cause="x", cluster=other, now=NOW)
    person, _ = Person.objects.update_or_create(user=anna, defaults={"limited": True})
    person.clusters.set([task.cluster])
    outbox.collect(NOW)
    queue_due(berlin(2026, 11, 24, 8))
    assert "No alarms now." in letters()[0].body
