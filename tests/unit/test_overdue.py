"""Overdue: a success was due and nothing brought it. What moves the moment, and that query and function agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch
from tasks.engine.clockback import put_right
from tasks.engine.lease import claim
from tasks.engine.record import Outcome, finish
from tasks.models import BackupTask, Cluster, Run
from tasks.overdue import interval, is_overdue, overdue
from tasks.services.tasks import TaskDraft
from tasks.states import Mode, PeriodUnit, RunState
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db

# 03:00 in the console's zone, Europe/Berlin.
DUE = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def daily(make_task: MakeTask) -> BackupTask:
    """A daily task whose next start, and whose next success, is due at ``DUE``."""
    return make_task("daily", mode=Mode.PERIODIC, started=DUE, next_run_at=DUE, expected_at=DUE)


def late(task: BackupTask, now: datetime) -> str:
    """Return why a task is overdue, nothing where it is not; the condition for queries says the same."""
    task.refresh_from_db()
    found = overdue(task, now)
    assert BackupTask.all_tasks.filter(is_overdue(now), pk=task.pk).exists() == (found is not None)
    return found.words if found else ""


def end_run(now: datetime, state: RunState = RunState.SUCCESSFUL, reason: str = "") -> Run:
    """Work on the run that waits, from a minute before ``now`` on, and end it."""
    run = Run.objects.get(state=RunState.WAITING)
    lease = claim(run.pk, now - MINUTE)
    assert lease
    Run.objects.filter(pk=run.pk).update(size=1, verified_at=now if state == RunState.SUCCESSFUL else None)
    assert finish(run.pk, Outcome(state, reason, "x"), now, token=lease.token)
    return run


def test_nothing_started_it(daily: BackupTask) -> None:
    assert late(daily, DUE + HOUR - SECOND) == ""
    words = late(daily, DUE + HOUR)
    assert words.startswith("A backup was due at 2026-06-01 03:00 +02:00, and none has succeeded since.")
    assert words.endswith("Nothing started it: the tick of the workers did not come.")
    found = overdue(daily, DUE + 2 * HOUR)
    assert found and (found.expected, found.since) == (DUE, DUE + HOUR)


def test_a_success_makes_it_due_by_the_next_start(daily: BackupTask) -> None:
    dispatch.tick(DUE)
    end_run(DUE + 10 * MINUTE)
    assert late(daily, DUE + DAY + HOUR - SECOND) == ""
    assert daily.expected_at == daily.next_run_at == DUE + DAY
    assert late(daily, DUE + DAY + HOUR)


def test_a_success_by_hand_before_the_start_does_not_stand_for_it(daily: BackupTask) -> None:
    services.back_up_now(CONSOLE, daily, DUE - 20 * MINUTE)
    end_run(DUE - 10 * MINUTE)
    assert late(daily, DUE + HOUR - SECOND) == ""
    assert late(daily, DUE + HOUR)


def test_a_success_by_hand_ends_it(daily: BackupTask) -> None:
    dispatch.tick(DUE + 6 * MINUTE)
    assert late(daily, DUE + 2 * HOUR)
    services.back_up_now(CONSOLE, daily, DUE + 2 * HOUR)
    assert late(daily, DUE + 2 * HOUR)
    end_run(DUE + 3 * HOUR)
    assert late(daily, DUE + 4 * HOUR) == ""


def test_a_run_that_is_under_way_is_no_delay_for_as_long_as_a_run_may_take(daily: BackupTask, settings: Any) -> None:
    dispatch.tick(DUE)
    assert claim(Run.objects.get().pk, DUE + MINUTE)
    settings.RUN_TIME_LIMIT = 3 * 3600
    assert late(daily, DUE + 3 * HOUR) == ""
    assert "its end is not on record" in late(daily, DUE + 3 * HOUR + 6 * MINUTE)


@pytest.mark.parametrize(
    ("state", "words"),
    [(RunState.FAILED, "failed. The disk is full."), (RunState.STOPPED, "was stopped. The disk is full.")],
)
def test_a_run_that_gave_nothing_is_told_of(daily: BackupTask, state: RunState, words: str) -> None:
    dispatch.tick(DUE)
    end_run(DUE + 2 * MINUTE, state, "The disk is full.")
    assert late(daily, DUE + HOUR).endswith(f"The last run, of 2026-06-01 03:01 +02:00, {words}")


def test_a_postponed_start_is_told_of(daily: BackupTask) -> None:
    dispatch.tick(DUE + 6 * MINUTE)
    assert "Postponed: the start was 6 min late" in late(daily, DUE + HOUR)


def test_a_run_that_waits_is_told_of(daily: BackupTask) -> None:
    dispatch.tick(DUE)
    assert late(daily, DUE + HOUR).endswith("A run has been waiting since 2026-06-01 03:00 +02:00.")


def test_a_start_that_made_no_run_is_told_of(daily: BackupTask, make_run: MakeRun) -> None:
    make_run(daily, RunState.FAILED, DUE - DAY)
    BackupTask.objects.filter(pk=daily.pk).update(next_run_at=DUE + DAY)
    assert late(daily, DUE + HOUR).endswith("No run was started since.")
    BackupTask.objects.filter(pk=daily.pk).update(last_run=None, last_state="", last_started_at=None)
    assert late(daily, DUE + HOUR).endswith("It has never run.")


# --- What people do ---------------------------------------------------------------------------------------------------
def draft(cluster: Cluster, **fields: Any) -> TaskDraft:
    values = {"name": "hourly", "mode": Mode.PERIODIC, "path_type": "LocalDir", "copies": 2, "started": DUE}
    return TaskDraft(cluster=cluster, period_unit=PeriodUnit.HOURS, **(values | fields))


def test_a_new_task_is_due_by_its_first_start(cluster: Cluster) -> None:
    task = services.create_task(CONSOLE, draft(cluster, started=DUE - 30 * DAY), DUE - 10 * MINUTE)
    assert task.expected_at == task.next_run_at == DUE
    by_hand = services.create_task(CONSOLE, draft(cluster, name="by-hand", mode=Mode.MANUAL), DUE)
    assert by_hand.expected_at is None


def test_another_schedule_is_due_by_its_own_next_start_and_other_changes_are_no_excuse(cluster: Cluster) -> None:
    task = services.create_task(CONSOLE, draft(cluster), DUE - HOUR)
    task = services.configure_task(CONSOLE, task, task.version, draft(cluster, copies=9), DUE + 5 * HOUR)
    assert task.expected_at == DUE
    task = services.configure_task(CONSOLE, task, task.version, draft(cluster, period=2), DUE + 5 * HOUR)
    assert task.expected_at == task.next_run_at == DUE + 6 * HOUR


def test_a_suspended_task_is_due_again_when_it_is_resumed(daily: BackupTask) -> None:
    services.suspend_task(CONSOLE, daily, DUE - HOUR)
    assert late(daily, DUE + 9 * DAY) == ""
    services.resume_task(CONSOLE, daily, DUE + 9 * DAY + MINUTE)
    assert late(daily, DUE + 10 * DAY) == ""
    assert daily.expected_at == daily.next_run_at == DUE + 10 * DAY


def test_a_run_that_ends_after_the_task_was_suspended_makes_nothing_due(daily: BackupTask) -> None:
    dispatch.tick(DUE)
    run = Run.objects.get()
    lease = claim(run.pk, DUE)
    assert lease
    services.suspend_task(CONSOLE, daily, DUE + MINUTE)
    Run.objects.filter(pk=run.pk).update(size=1, verified_at=DUE)
    assert finish(run.pk, Outcome(RunState.SUCCESSFUL, "", ""), DUE + MINUTE, token=lease.token)
    daily.refresh_from_db()
    assert daily.expected_at is None


def test_a_deleted_task_is_not_overdue(daily: BackupTask) -> None:
    services.delete_task(CONSOLE, daily, DUE)
    assert late(daily, DUE + DAY) == ""


def test_a_success_from_the_future_does_not_excuse_what_comes_before(daily: BackupTask) -> None:
    """The clock was a year ahead when the run ended, and was set right."""
    BackupTask.objects.filter(pk=daily.pk).update(expected_at=DUE + 365 * DAY, next_run_at=DUE + 365 * DAY)
    assert put_right(DUE + MINUTE) == 2
    daily.refresh_from_db()
    assert daily.expected_at == daily.next_run_at == DUE + DAY


def test_how_far_apart_starts_are(make_task: MakeTask) -> None:
    assert interval(make_task()) is None
    assert interval(make_task(mode=Mode.PERIODIC, period=3)) == 3 * DAY
    assert interval(make_task(mode=Mode.PERIODIC, period=3, period_unit=PeriodUnit.HOURS)) == 3 * HOUR
