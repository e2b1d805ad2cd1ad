"""Levels, scopes and words: who is told of what, and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tasks import alarms
from tasks.models import BackupTask, Cluster, Notice, NotificationChannel, OutboxMessage, Preference, TaskNotification
from tasks.notify import outbox
from tasks.notify.audience import listeners
from tasks.states import Kind, Level, RunState, Trigger
from tests.notify_kit import NOW, ended, letters, level, mail_channel
from tests.web.restoration_kit import make_restoration
from tests.web.restoration_kit import make_run as make_restoration_run

pytestmark = pytest.mark.django_db

GOOD, WARN, BAD = RunState.SUCCESSFUL, RunState.WARNINGS, RunState.FAILED
STOP, LATE = RunState.STOPPED, RunState.POSTPONED
# (state before, state now): the levels that tell of it at once.
MATRIX = {
    ("", GOOD): {Level.ALWAYS, Level.ON_CHANGE},
    ("", BAD): {Level.ALWAYS, Level.ON_CHANGE, Level.ON_FAILURE},
    (GOOD, GOOD): {Level.ALWAYS},
    (GOOD, WARN): {Level.ALWAYS, Level.ON_CHANGE},
    (GOOD, BAD): {Level.ALWAYS, Level.ON_CHANGE, Level.ON_FAILURE},
    (BAD, BAD): {Level.ALWAYS, Level.ON_FAILURE},
    (BAD, GOOD): {Level.ALWAYS, Level.ON_CHANGE},
    (WARN, WARN): {Level.ALWAYS},
    (GOOD, STOP): {Level.ALWAYS, Level.ON_CHANGE},
    (STOP, STOP): {Level.ALWAYS},
    (GOOD, LATE): {Level.ALWAYS, Level.ON_CHANGE, Level.ON_FAILURE},
    (LATE, LATE): {Level.ALWAYS, Level.ON_FAILURE},
    (GOOD, RunState.UNKNOWN): {Level.ALWAYS, Level.ON_CHANGE, Level.ON_FAILURE},
    (GOOD, RunState.ROLLED_BACK): {Level.ALWAYS, Level.ON_CHANGE, Level.ON_FAILURE},
}
ALARMS = {
    "raised": {Level.ALWAYS, Level.ON_CHANGE, Level.ON_FAILURE},
    "cleared": {Level.ALWAYS, Level.ON_CHANGE},
}


def told(user: User) -> list[Notice]:
    """Return what a person with one channel is told at once of all there is."""
    (listener,) = listeners([user.pk])
    return list(listener.at_once(Notice.objects.all(), listener.channels[0]))


@pytest.fixture
def anna(viewer: User) -> User:
    mail_channel(viewer)
    return viewer


@pytest.mark.parametrize("before,state", MATRIX)
def test_the_matrix_of_runs(anna: User, task: BackupTask, make_run: Any, before: str, state: str) -> None:
    run = make_run(task, RunState.WAITING)
    Notice.objects.create(kind="run", run=run, task=task, cluster=task.cluster, state=state, before=before, at=NOW)
    found = {value for value in Level.values if (level(anna, value), told(anna))[1]}
    assert found == MATRIX[before, state]


@pytest.mark.parametrize("kind", ALARMS)
def test_the_matrix_of_alarms(anna: User, task: BackupTask, kind: str) -> None:
    alarm = alarms.raise_alarm("proof-overdue", f"task {task.pk}", cause="x", cluster=task.cluster, now=NOW)
    Notice.objects.all().delete()
    Notice.objects.create(kind=kind, alarm=alarm, task=task, cluster=task.cluster, at=NOW)
    found = {value for value in Level.values if (level(anna, value), told(anna))[1]}
    assert found == ALARMS[kind]


def test_without_a_choice_failures_are_told(anna: User, task: BackupTask, make_run: Any) -> None:
    ended(task, make_run, GOOD)
    assert told(anna) == []
    ended(task, make_run, BAD)
    assert {notice.kind for notice in told(anna)} == {"run", "raised"}


@pytest.mark.parametrize("default,own,expected", [
    (Level.NEVER, Level.ALWAYS, ["quiet"]), (Level.ALWAYS, Level.NEVER, ["loud"]),
    (Level.DIGEST, Level.ALWAYS, ["quiet"]),
])  # fmt: skip
def test_a_task_has_a_level_of_its_own(
    anna: User, make_task: Any, make_run: Any, default: str, own: str, expected: list[str]
) -> None:
    level(anna, default)
    loud, quiet = make_task("loud"), make_task("quiet")
    TaskNotification.objects.create(user=anna, task=quiet, level=own)
    for task in (loud, quiet):
        ended(task, make_run, GOOD)
    assert [notice.task.name for notice in told(anna) if notice.task] == expected


def test_the_level_of_a_task_holds_for_its_alarms_and_proofs(anna: User, task: BackupTask, make_run: Any) -> None:
    level(anna, Level.ALWAYS)
    TaskNotification.objects.create(user=anna, task=task, level=Level.NEVER)
    subject = make_run(task)
    ended(task, make_run, BAD, kind=Kind.CHECK, subject=subject)
    alarms.raise_alarm("set-damaged", f"run {subject.pk}", cause="x", cluster=task.cluster, now=NOW)
    assert told(anna) == []


def test_a_person_gets_only_what_concerns_clusters_that_they_may_see(anna: User, make_task: Any, make_run: Any) -> None:
    from tasks.models import Person

    level(anna, Level.ALWAYS)
    other = Cluster.objects.create(name="other")
    for one in (make_task("seen"), make_task("unseen", cluster=other)):
        ended(one, make_run, BAD)
        alarms.raise_alarm("restoration-unknown", f"cluster {one.cluster_id}", cause="x", cluster=one.cluster, now=NOW)
    person, _ = Person.objects.update_or_create(user=anna, defaults={"limited": True})
    person.clusters.set([Cluster.objects.get(name="plant")])
    outbox.collect(NOW)
    text = "".join(letter.body for letter in letters())
    assert "seen" in text and "unseen" not in text and "other" not in text
    assert {notice.cluster.name for notice in told(anna) if notice.cluster} == {"plant"}


def test_what_belongs_to_no_cluster_is_for_everybody(anna: User) -> None:
    alarms.raise_alarm("proof-overdue", "console", cause="x", now=NOW)
    assert len(told(anna)) == 1


@pytest.mark.parametrize("change", [
    lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    lambda user: user.groups.clear(),
    lambda user: NotificationChannel.objects.update(enabled=False),
])  # fmt: skip
def test_who_may_not_or_does_not_want_to_be_told_is_no_listener(anna: User, change: Any) -> None:
    assert listeners()
    change(anna)
    assert listeners() == []


# --- Words ----------------------------------------------------------------------------------------------------------
def test_a_message_says_what_happened_to_which_task_and_cluster_what_to_do_and_where(
    anna: User, task: BackupTask, make_run: Any, settings: Any
) -> None:
    settings.CONSOLE_URL = "https://console.example"
    Preference.objects.create(user=anna, zone="Asia/Tokyo")
    ended(task, make_run, BAD)
    outbox.collect(NOW)
    (letter,) = letters()
    assert letter.subject == "Backup Console: Backup task-1 failed (cluster plant)"
    assert letter.mood == "failure"
    lines = letter.body.splitlines()
    assert lines[:6] == [
        "Backup task-1 failed (cluster plant)",
        "2026-11-24 11:00, started by the schedule",
        "It broke.",
        "The alarm Periodical Backup Failure was raised.",
        "What to do: Put the cause right, then press Back Up Now.",
        f"https://console.example/backups/{task.pk}/history/",
    ]
    assert lines[-1].startswith("Times are in Asia/Tokyo. What you are told: https://console.example/settings/")


def test_without_an_address_of_the_console_it_says_where_in_it(anna: User, task: BackupTask, make_run: Any) -> None:
    ended(task, make_run, BAD)
    outbox.collect(NOW)
    assert f"In the console: /backups/{task.pk}/history/" in letters()[0].body


def test_a_success_after_failures_says_so_and_its_alarm_goes(anna: User, task: BackupTask, make_run: Any) -> None:
    level(anna, Level.ON_CHANGE)
    ended(task, make_run, BAD)
    Notice.objects.all().delete()
    ended(task, make_run, GOOD)
    outbox.collect(NOW)
    (letter,) = letters()
    assert letter.subject == "Backup Console: Backup task-1 succeeded again (cluster plant)"
    assert "The alarm Periodical Backup Failure was cleared." in letter.body
    assert letter.mood == "success"


def test_restorations_and_rehearsals_are_named_as_such(anna: User, task: BackupTask, make_run: Any) -> None:
    level(anna, Level.ALWAYS)
    ended(task, make_run, BAD, kind=Kind.REHEARSAL, subject=make_run(task))
    run = make_restoration_run(make_restoration(task.cluster), RunState.RUNNING, trigger=Trigger.PERSON)
    from tasks.engine import record

    record.finish(run.pk, record.Outcome(RunState.STOPPED, "Stopped."), timezone.now())
    outbox.collect(NOW)
    body = letters()[0].body
    assert "Rehearsal of a set of task-1 failed (cluster plant)" in body
    assert f"Restoration {run.restoration.name} was stopped (cluster plant)" in body
    assert f"/restorations/{run.restoration_id}/" in body


def test_of_many_the_bad_ones_are_written_out_the_rest_is_counted(anna: User, make_task: Any, make_run: Any) -> None:
    level(anna, Level.ALWAYS)
    for number in range(30):
        ended(make_task(f"good-{number}"), make_run, GOOD)
    ended(make_task("bad"), make_run, BAD)
    outbox.collect(NOW)
    (letter,) = letters()
    assert letter.subject == "Backup Console: 1 failed, 30 successful, 1 alarm raised"
    assert letter.body.index("Backup bad failed") < letter.body.index("Backup good-")
    assert "And 11 more." in letter.body


def test_a_message_costs_a_fixed_number_of_queries(
    anna: User, make_task: Any, make_run: Any, django_assert_max_num_queries: Any
) -> None:
    level(anna, Level.ALWAYS)
    for number in range(15):
        ended(make_task(f"task-{number}"), make_run, BAD)
    outbox.collect(NOW)
    with django_assert_max_num_queries(14):
        letters()


def test_a_name_with_a_line_break_makes_no_header(anna: User, task: BackupTask, make_run: Any) -> None:
    BackupTask.objects.update(name="x\r\nBcc: all@plant.example")
    ended(task, make_run, BAD)
    outbox.collect(NOW)
    assert "\n" not in letters()[0].subject and "\r" not in letters()[0].subject
    assert OutboxMessage.objects.get().subject == ""
