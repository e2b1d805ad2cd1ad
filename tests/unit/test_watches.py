"""What the tick looks after: each alarm raised by its cause and cleared by its end, and what looking costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from tasks import alarms, services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, watching
from tasks.engine.watches import late, reconciling
from tasks.engine.watches.reconciling import AT_ONCE
from tasks.models import Alarm, BackupTask, Cluster, Maintenance, Run
from tasks.states import Mode, RunState, Severity, Trigger
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def daily(make_task: MakeTask) -> BackupTask:
    """A daily task that is due at ``NOW``."""
    return make_task("daily", mode=Mode.PERIODIC, started=NOW, next_run_at=NOW, expected_at=NOW)


def raised(code: str) -> list[str]:
    return list(alarms.uncleared().filter(code=code).order_by("pk").values_list("subject", flat=True))


def succeed(task: BackupTask, now: datetime) -> None:
    """Back the task up by hand."""
    services.back_up_now(CONSOLE, task, now)
    end(Run.objects.get(state=RunState.WAITING), RunState.SUCCESSFUL, now)


def end(run: Run, state: RunState, now: datetime) -> None:
    from tasks.engine.lease import claim
    from tasks.engine.record import Outcome, finish

    lease = claim(run.pk, now)
    assert lease
    Run.objects.filter(pk=run.pk).update(size=1, verified_at=now if state == RunState.SUCCESSFUL else None)
    assert finish(run.pk, Outcome(state, "The disk is full."), now, token=lease.token)


# --- Overdue ---------------------------------------------------------------------------------------------------------
def test_a_task_that_nothing_started_is_overdue_until_its_next_success(daily: BackupTask) -> None:
    dispatch.tick(NOW + 10 * MINUTE)
    assert raised("task-overdue") == []
    dispatch.tick(NOW + HOUR)
    alarm = alarms.uncleared().get(code="task-overdue")
    assert (alarm.subject, alarm.severity, alarm.place) == (f"task {daily.pk}", Severity.MAJOR, "daily")
    assert (alarm.cluster, alarm.link) == (daily.cluster, f"/backups/{daily.pk}/history/")
    assert "Postponed: the start was 10 min late" in alarm.cause
    dispatch.tick(NOW + 2 * HOUR)
    alarm.refresh_from_db()
    assert alarm.renewed_at == NOW + HOUR, "a tick that finds it as it was writes nothing"
    succeed(daily, NOW + 3 * HOUR)
    assert raised("task-overdue") == []


def test_the_cause_is_that_of_the_last_start(daily: BackupTask) -> None:
    dispatch.tick(NOW + HOUR)
    assert "the start was 1 h late" in alarms.uncleared().get().cause
    dispatch.tick(NOW + DAY + 5 * MINUTE)
    alarm = alarms.uncleared().get()
    assert "the start was 5 min late" in alarm.cause and "due at 2026-06-01 03:00 +02:00" in alarm.cause
    assert (alarm.raised_at, alarm.renewed_at) == (NOW + HOUR, NOW + DAY + 5 * MINUTE)
    dispatch.tick(NOW + DAY + 6 * MINUTE)
    alarm.refresh_from_db()
    assert alarm.renewed_at == NOW + DAY + 5 * MINUTE


def test_a_failed_scheduled_run_has_its_own_alarm_and_no_second_one(daily: BackupTask) -> None:
    dispatch.tick(NOW)
    end(Run.objects.get(), RunState.FAILED, NOW + MINUTE)
    dispatch.tick(NOW + 5 * HOUR)
    assert (raised("backup-failed"), raised("task-overdue")) == ([f"task {daily.pk}"], [])
    # Somebody cleared it by hand, and the task is overdue all the same.
    alarms.clear("backup-failed", f"task {daily.pk}", "anna")
    dispatch.tick(NOW + 6 * HOUR)
    assert raised("task-overdue") == [f"task {daily.pk}"]


def test_an_overdue_task_that_fails_is_overdue_still(daily: BackupTask) -> None:
    dispatch.tick(NOW + 10 * MINUTE)
    dispatch.tick(NOW + HOUR)
    dispatch.tick(NOW + DAY)
    end(Run.objects.get(state=RunState.WAITING), RunState.FAILED, NOW + DAY)
    dispatch.tick(NOW + DAY + MINUTE)
    assert (raised("backup-failed"), raised("task-overdue")) == ([f"task {daily.pk}"], [f"task {daily.pk}"])
    succeed(daily, NOW + DAY + HOUR)
    assert list(alarms.uncleared()) == []


def test_suspending_deleting_and_another_schedule_end_it(make_task: MakeTask) -> None:
    fields: dict[str, Any] = {"mode": Mode.PERIODIC, "started": NOW, "next_run_at": NOW + DAY, "expected_at": NOW}
    suspended, deleted, moved = (make_task(name, **fields) for name in ("suspended", "deleted", "moved"))
    now = NOW + 2 * HOUR
    late.watch(now)
    assert len(raised("task-overdue")) == 3
    services.suspend_task(CONSOLE, suspended, now)
    services.delete_task(CONSOLE, deleted, now)
    assert f"task {deleted.pk}" not in raised("task-overdue")
    BackupTask.objects.filter(pk=moved.pk).update(expected_at=NOW + 9 * DAY)
    late.watch(now)
    assert raised("task-overdue") == []


def test_nothing_is_raised_during_maintenance_nor_right_after_it(daily: BackupTask) -> None:
    switch = Maintenance.objects.create(pk=1, since=NOW - HOUR)
    late.watch(NOW + 2 * HOUR)
    assert raised("task-overdue") == []
    Maintenance.objects.filter(pk=switch.pk).update(ended_at=NOW + 2 * HOUR)
    late.watch(NOW + 2 * HOUR + 59 * MINUTE)
    assert raised("task-overdue") == []
    late.watch(NOW + 3 * HOUR)
    assert raised("task-overdue") == [f"task {daily.pk}"]


def test_ten_thousand_overdue_tasks_are_told_of_bit_by_bit(cluster: Cluster) -> None:
    BackupTask.objects.bulk_create(
        BackupTask(name=f"t{number}", cluster=cluster, path_type="LocalDir", copies=7, directory=f"t{number}",
                   mode=Mode.PERIODIC, started=NOW, next_run_at=NOW + DAY, expected_at=NOW)
        for number in range(10_000)
    )  # fmt: skip
    assert late.watch(NOW) == 0
    with CaptureQueriesContext(connection) as none:
        late.watch(NOW)
    assert late.watch(NOW + HOUR) == 10_000
    assert len(raised("task-overdue")) == AT_ONCE
    Alarm.objects.bulk_create(
        Alarm(code="task-overdue", subject=f"task {pk}", severity="major", name="x", cause="x")
        for pk in BackupTask.objects.values_list("pk", flat=True)
        if f"task {pk}" not in set(raised("task-overdue")[:AT_ONCE])
    )
    with CaptureQueriesContext(connection) as all_told:
        late.watch(NOW + HOUR)
    assert len(all_told) == len(none), "those that are told of already cost nothing more"
    BackupTask.objects.update(expected_at=NOW + DAY)
    late.watch(NOW + HOUR)
    assert len(raised("task-overdue")) == 10_000 - AT_ONCE


# --- All of them -----------------------------------------------------------------------------------------------------
def test_a_watch_that_fails_stops_neither_the_others_nor_the_tick(
    daily: BackupTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(now: datetime) -> int:
        raise DatabaseError("no such table")

    seen = []
    monkeypatch.setitem(watching.WATCHES, "proofs overdue", broken)
    monkeypatch.setitem(watching.WATCHES, "clocks", seen.append)
    dispatch.tick(NOW)
    assert seen == [NOW]
    assert Run.objects.get().state == RunState.WAITING, "the task was started all the same"


def test_a_tick_that_dies_in_between_is_made_good_by_the_next(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {"mode": Mode.PERIODIC, "started": NOW, "next_run_at": NOW + DAY, "expected_at": NOW}
    tasks = [make_task(f"t{number}", **fields) for number in range(3)]
    real, left = alarms.raise_alarm, iter([None])

    def dies(*args: Any, **fields: Any) -> Alarm:
        next(left)
        return real(*args, **fields)

    monkeypatch.setattr(reconciling.alarms, "raise_alarm", dies)
    with pytest.raises(StopIteration):
        late.watch(NOW + HOUR)
    assert len(raised("task-overdue")) == 1
    monkeypatch.setattr(reconciling.alarms, "raise_alarm", real)
    late.watch(NOW + HOUR)
    assert raised("task-overdue") == [f"task {task.pk}" for task in tasks]


def test_two_ticks_at_once_raise_each_alarm_once(daily: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second tick looks while the first one is about to raise."""
    real = reconciling._raised
    looks = iter([True])

    def looked(code: str) -> dict[str, str]:
        found = real(code)
        if next(looks, False):
            late.watch(NOW + HOUR)
        return found

    monkeypatch.setattr(reconciling, "_raised", looked)
    late.watch(NOW + HOUR)
    assert raised("task-overdue") == [f"task {daily.pk}"]


def test_a_run_that_a_person_started_leaves_it_to_the_clock(daily: BackupTask, make_run: MakeRun) -> None:
    """A failed run by hand raises no 12034; that nothing has succeeded is told when it is late."""
    services.back_up_now(CONSOLE, daily, NOW - HOUR)
    end(Run.objects.get(), RunState.FAILED, NOW - HOUR)
    assert Run.objects.get().trigger == Trigger.PERSON
    assert list(alarms.uncleared()) == []
    BackupTask.objects.filter(pk=daily.pk).update(next_run_at=NOW + DAY)
    late.watch(NOW + HOUR)
    assert raised("task-overdue") == [f"task {daily.pk}"]
