"""From due to queued: occurrences once each, and the rule of 120 seconds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks import jobs
from tasks.engine import due
from tasks.engine.due import queue_due
from tasks.models import BackupTask, Cluster, Maintenance, Pulse, Run
from tasks.states import Mode, RunState, Trigger
from tests.conftest import MakeRun, MakeTask
from tests.file_database import copy_test_database, using_file_database
from tests.unit.dispatch_kit import (
    DAY,
    DUE,
    HOUR,
    MINUTE,
    SECOND,
    make_due,
    task_that_is_due_daily,  # noqa: F401
)
from tests.unit.test_lease import at_once


# --- Due ------------------------------------------------------------------------------------------------------------
def test_a_due_task_gets_a_waiting_run_and_its_next_start(daily: BackupTask) -> None:
    assert queue_due(DUE + 30 * SECOND) == 1
    run = daily.runs.get()
    assert (run.state, run.trigger, run.scheduled_for) == (RunState.WAITING, Trigger.SCHEDULE, DUE)
    assert run.queued_at == DUE + 30 * SECOND
    daily.refresh_from_db()
    assert daily.next_run_at == DUE + DAY
    assert (daily.last_state, daily.last_run) == (RunState.WAITING, run)
    assert queue_due(DUE + 31 * SECOND) == 0


def test_nothing_is_due_a_moment_before(daily: BackupTask) -> None:
    assert queue_due(DUE - SECOND) == 0


@pytest.mark.parametrize("fields", [{"suspended": True}, {"deleted_at": DUE}, {"mode": Mode.MANUAL}])
def test_suspended_deleted_and_manual_tasks_are_not_started(daily: BackupTask, fields: dict[str, Any]) -> None:
    BackupTask.all_tasks.filter(pk=daily.pk).update(**fields)
    queue_due(DUE)
    assert not Run.objects.exists()


def test_a_start_120_s_late_is_in_time_and_one_later_than_that_is_postponed(make_task: MakeTask) -> None:
    in_time = make_task(mode=Mode.PERIODIC, started=DUE, next_run_at=DUE)
    late = make_task(mode=Mode.PERIODIC, started=DUE - SECOND, next_run_at=DUE - SECOND)
    queue_due(DUE + 120 * SECOND)
    assert in_time.runs.get().state == RunState.WAITING
    assert late.runs.get().state == RunState.POSTPONED


def test_a_postponed_run_says_how_late_and_what_comes_next(daily: BackupTask) -> None:
    queue_due(DUE + 6 * MINUTE)
    run = daily.runs.get()
    assert (run.state, run.ended_at, run.error_code) == (RunState.POSTPONED, DUE + 6 * MINUTE, "late")
    assert run.reason == "Postponed: the start was 6 min late (limit 2 min). The next run is 2026-11-25 03:00 +01:00."
    daily.refresh_from_db()
    assert (daily.next_run_at, daily.last_state, daily.outcomes) == (DUE + DAY, RunState.POSTPONED, "p")


def test_an_outage_of_three_periods_gives_one_record_and_no_burst(daily: BackupTask) -> None:
    queue_due(DUE + 2 * DAY + 5 * HOUR)
    run = daily.runs.get()
    assert run.reason == (
        "Postponed: 3 starts were missed, the first at 2026-11-24 03:00 +01:00 (limit 2 min). "
        "The next run is 2026-11-27 03:00 +01:00."
    )
    daily.refresh_from_db()
    assert daily.next_run_at == DUE + 3 * DAY


def test_after_an_outage_an_occurrence_that_is_in_time_still_runs(daily: BackupTask) -> None:
    queue_due(DUE + 2 * DAY + MINUTE)
    late, start = daily.runs.order_by("scheduled_for")
    assert (late.state, late.scheduled_for) == (RunState.POSTPONED, DUE)
    assert late.reason.startswith("Postponed: 2 starts were missed, the first at 2026-11-24 03:00 +01:00")
    assert late.reason.endswith("The next run is 2026-11-26 03:00 +01:00.")
    assert (start.state, start.scheduled_for) == (RunState.WAITING, DUE + 2 * DAY)
    daily.refresh_from_db()
    assert (daily.last_state, daily.outcomes, daily.next_run_at) == (RunState.WAITING, "p", DUE + 3 * DAY)


@pytest.mark.parametrize(("state", "word"), [(RunState.RUNNING, "running"), (RunState.WAITING, "waiting")])
def test_a_task_that_is_active_still_is_postponed(daily: BackupTask, make_run: MakeRun, state: str, word: str) -> None:
    before = make_run(daily, state, DUE - HOUR)
    queue_due(DUE)
    run = daily.runs.get(scheduled_for=DUE)
    assert (run.state, run.error_code) == (RunState.POSTPONED, "still-active")
    assert run.reason == f"Postponed: the run before was still {word}. The next run is 2026-11-25 03:00 +01:00."
    daily.refresh_from_db()
    assert daily.last_run == before, "the list goes on showing what is being worked on"
    assert daily.next_run_at == DUE + DAY


def test_an_occurrence_on_record_already_is_not_made_twice(daily: BackupTask, make_run: MakeRun) -> None:
    make_run(daily, RunState.SUCCESSFUL, DUE, scheduled_for=DUE)
    queue_due(DUE)
    assert daily.runs.count() == 1
    daily.refresh_from_db()
    assert daily.next_run_at == DUE + DAY


def test_one_task_in_trouble_does_not_keep_its_batch_from_starting(make_task: MakeTask, make_run: MakeRun) -> None:
    tasks = [make_task(mode=Mode.PERIODIC, started=DUE, next_run_at=DUE) for _ in range(3)]
    make_run(tasks[1], RunState.SUCCESSFUL, DUE, scheduled_for=DUE)
    queue_due(DUE)
    assert list(Run.objects.filter(state=RunState.WAITING).values_list("task", flat=True)) == [
        tasks[2].pk, tasks[0].pk,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        # Spring: 29 March 2026, 02:00 becomes 03:00. Autumn: 25 October 2026, 03:00 becomes 02:00.
        (datetime(2026, 3, 27, 5, 0), ["05:00", "05:00", "05:00", "05:00"]),
        (datetime(2026, 3, 27, 2, 30), ["02:30", "02:30", "03:30", "02:30"]),
        (datetime(2026, 10, 23, 2, 30), ["02:30", "02:30", "02:30", "02:30"]),
    ],
)
def test_over_daylight_saving_each_day_starts_once_at_its_wall_clock_time(
    make_task: MakeTask, started: datetime, expected: list[str]
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    first = started.replace(tzinfo=zone)
    task = make_task(mode=Mode.PERIODIC, started=first, next_run_at=first)
    moment = first.astimezone(UTC) - 29 * MINUTE
    while moment < first.astimezone(UTC) + 3 * DAY + 2 * HOUR:
        queue_due(moment)
        task.runs.filter(state=RunState.WAITING).update(state=RunState.STOPPED, ended_at=moment)
        moment += 30 * MINUTE
    starts = [run.scheduled_for.astimezone(zone) for run in task.runs.order_by("scheduled_for") if run.scheduled_for]
    assert [f"{start:%H:%M}" for start in starts] == expected
    assert [start.date().day for start in starts] == [first.day + day for day in range(4)]


def test_200_due_tasks_and_two_ticks_at_once_give_one_run_each(
    transactional_db: None, cluster: Cluster, tmp_path: Path
) -> None:
    make_due(200, cluster)
    copy_test_database(tmp_path / "test.sqlite3")
    with using_file_database(tmp_path / "test.sqlite3"):
        at_once(2, lambda: jobs.tick())
        assert Run.objects.count() == 200
        assert not Run.objects.values("task").annotate(runs=Count("pk")).exclude(runs=1).exists()
        assert not BackupTask.objects.filter(next_run_at__lte=DUE).exists()
        assert (Pulse.objects.get(name="tick").detail).startswith("lost 0, due ")


def test_many_due_tasks_are_queued_once_each_by_a_few_queries_a_batch(
    db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "BATCH", 100)
    counted = []
    for count in (100, 300):
        make_due(count, cluster)
        with CaptureQueriesContext(connection) as captured:
            assert queue_due(timezone.now()) == count
        counted.append(len(captured))
        assert queue_due(timezone.now()) == 0
    assert Run.objects.filter(state=RunState.WAITING).count() == 400
    assert not Run.objects.values("task").annotate(runs=Count("pk")).exclude(runs=1).exists()
    # During maintenance as well, when each is postponed.
    Maintenance.objects.create(pk=1, since=timezone.now(), set_by="anna", reason="Disks")
    make_due(90, cluster)
    with CaptureQueriesContext(connection) as captured:
        assert queue_due(timezone.now()) == 90
    assert len(captured) <= 40, len(captured)
    # Three batches take no more than three times what one takes, whatever the number of tasks in each.
    assert counted[1] <= 3 * counted[0] and counted[0] <= 30, counted


def _hands(monkeypatch: pytest.MonkeyPatch, broken: type[Exception] | None = None) -> set[str]:
    """Have batches of ten; return the names of the threads that take one. With ``broken``, one beside fails at once."""
    seen: set[str] = set()
    take = due._queue_batch

    def seen_taking(now: datetime, size: int) -> int:
        name = threading.current_thread().name
        if broken and threading.current_thread() is not threading.main_thread():
            raise broken("The connection was lost.")
        seen.add(name)
        return take(now, size)

    monkeypatch.setattr(due, "BATCH", 10)
    monkeypatch.setattr(due, "_queue_batch", seen_taking)
    return seen


def test_several_batches_are_taken_by_two_where_the_database_can(
    transactional_db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = _hands(monkeypatch)
    make_due(9, cluster)
    assert queue_due(timezone.now()) == 9 and len(seen) == 1
    make_due(95, cluster)
    assert queue_due(timezone.now()) == 95
    assert Run.objects.count() == 104
    assert not Run.objects.values("task").annotate(runs=Count("pk")).exclude(runs=1).exists()
    assert len(seen) == (2 if connection.features.has_select_for_update_skip_locked else 1)


def test_a_second_hand_that_fails_is_heard_of_and_the_rest_is_queued(
    transactional_db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hands(monkeypatch, OperationalError)
    make_due(95, cluster)
    if connection.features.has_select_for_update_skip_locked:
        with pytest.raises(OperationalError, match="lost"):
            queue_due(timezone.now())
    else:
        queue_due(timezone.now())
    assert Run.objects.count() == 95


def test_in_a_transaction_nobody_else_takes_a_batch(
    db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = _hands(monkeypatch)
    make_due(35, cluster)
    assert queue_due(timezone.now()) == 35 and len(seen) == 1


def test_a_task_with_two_runs_in_one_batch_gets_the_keys_of_both(
    db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was missed and one in time: the list shows the latter, and each row is the one that was decided."""
    make_due(3, cluster)
    now = timezone.now()
    first = BackupTask.objects.order_by("pk").first()
    assert first is not None
    BackupTask.objects.filter(pk=first.pk).update(
        started=now - 5 * HOUR - 30 * SECOND, period=1, period_unit="hours", next_run_at=now - 5 * HOUR - 30 * SECOND
    )
    assert queue_due(now) == 3
    first.refresh_from_db()
    late, in_time = Run.objects.filter(task=first).order_by("scheduled_for")
    assert (late.state, in_time.state) == (RunState.POSTPONED, RunState.WAITING)
    assert first.last_run == in_time
    for task in BackupTask.objects.exclude(pk=first.pk):
        assert task.last_run == Run.objects.get(task=task)
