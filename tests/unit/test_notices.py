"""What is written down of ends of runs and of alarms: in the transaction of its cause, once, with what was before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tasks import alarms
from tasks.engine import due, record
from tasks.engine.record import Outcome
from tasks.models import Alarm, BackupTask, Notice, Run
from tasks.states import Kind, Mode, NoticeKind, PeriodUnit, RunState, Trigger
from tests.web.restoration_kit import make_restoration
from tests.web.restoration_kit import make_run as make_restoration_run

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def end(run: Run, state: RunState = RunState.STOPPED) -> bool:
    return record.finish(run.pk, Outcome(state, "It ended."), NOW)


def running(task: BackupTask, make_run: Any, **fields: Any) -> Run:
    run: Run = make_run(task, RunState.RUNNING, **fields)
    return run


def test_the_end_of_a_run_is_written_down_with_the_state_of_the_run_before(task: BackupTask, make_run: Any) -> None:
    make_run(task, RunState.SUCCESSFUL)
    assert end(running(task, make_run), RunState.FAILED)
    notice = Notice.objects.get()
    assert (notice.kind, notice.state, notice.before) == (NoticeKind.RUN, RunState.FAILED, RunState.SUCCESSFUL)
    assert (notice.task, notice.cluster, notice.at, notice.batch) == (task, task.cluster, NOW, None)


def test_the_first_run_has_none_before_it(task: BackupTask, make_run: Any) -> None:
    end(running(task, make_run), RunState.FAILED)
    assert Notice.objects.get().before == ""


def test_a_run_that_was_not_ours_to_end_is_not_told(task: BackupTask, make_run: Any) -> None:
    run = running(task, make_run)
    assert not record.finish(run.pk, Outcome(RunState.FAILED, "x"), NOW, token="another")
    assert not Notice.objects.exists()


def test_cause_and_notice_are_there_together_or_not_at_all(task: BackupTask, make_run: Any) -> None:
    run = running(task, make_run)
    with pytest.raises(RuntimeError), transaction.atomic():
        end(run, RunState.FAILED)
        raise RuntimeError
    run.refresh_from_db()
    assert (run.state, Notice.objects.count()) == (RunState.RUNNING, 0)


def test_a_proof_is_compared_with_the_proof_before_it_and_not_with_backups(task: BackupTask, make_run: Any) -> None:
    subject = make_run(task, RunState.SUCCESSFUL)
    values = {"kind": Kind.CHECK, "subject": subject, "size": None, "verified_at": None}
    Run.objects.create(
        task=task, cluster=task.cluster, trigger=Trigger.SCHEDULE, kind=Kind.CHECK, subject=subject,
        state=RunState.FAILED, ended_at=NOW,
    )  # fmt: skip
    end(running(task, make_run, **values), RunState.STOPPED)
    assert Notice.objects.get(kind=NoticeKind.RUN).before == RunState.FAILED


def test_a_restoration_belongs_to_no_backup_task(cluster: Any) -> None:
    run = make_restoration_run(make_restoration(cluster), RunState.RUNNING)
    end(run, RunState.STOPPED)
    notice = Notice.objects.get()
    assert (notice.task, notice.cluster, notice.run) == (None, cluster, run)


def test_postponed_starts_are_told_and_cost_one_query_for_all(make_task: Any) -> None:
    def late(count: int) -> int:
        for _ in range(count):
            make_task(
                mode=Mode.PERIODIC, started=NOW - timedelta(days=3), next_run_at=NOW - timedelta(hours=1),
                period=1, period_unit=PeriodUnit.DAYS, outcomes="s",
            )  # fmt: skip
        with CaptureQueriesContext(connection) as captured:
            due.queue_due(NOW)
        return sum("tasks_notice" in query["sql"] for query in captured)

    assert late(1) == late(5) == 1
    assert set(Notice.objects.values_list("state", "before")) == {(RunState.POSTPONED, RunState.SUCCESSFUL)}
    assert Notice.objects.count() == 6


def test_a_start_in_time_is_no_end(make_task: Any) -> None:
    make_task(mode=Mode.PERIODIC, started=NOW, next_run_at=NOW)
    due.queue_due(NOW)
    assert not Notice.objects.exists()


def test_an_alarm_is_told_when_it_comes_and_when_it_goes_and_not_when_it_is_renewed(task: BackupTask) -> None:
    for _ in range(3):
        alarms.raise_alarm("backup-failed", f"task {task.pk}", cause="x", cluster=task.cluster, now=NOW)
    assert alarms.clear("backup-failed", f"task {task.pk}", now=NOW)
    assert not alarms.clear("backup-failed", f"task {task.pk}", now=NOW)
    told = list(Notice.objects.values_list("kind", "task", "cluster"))
    assert told == [(kind, task.pk, task.cluster.pk) for kind in (NoticeKind.RAISED, NoticeKind.CLEARED)]


def test_an_alarm_of_a_set_belongs_to_the_task_of_the_set(task: BackupTask, make_run: Any) -> None:
    run = make_run(task)
    alarms.raise_alarm("set-damaged", f"run {run.pk}", cause="x", now=NOW)
    alarms.raise_alarm("restoration-unknown", "cluster 1", cause="x", now=NOW)
    assert list(Notice.objects.values_list("task", flat=True)) == [task.pk, None]


def test_alarms_that_are_cleared_together_are_all_told(task: BackupTask, make_run: Any) -> None:
    for run in (make_run(task), make_run(task)):
        alarms.raise_alarm("set-damaged", f"run {run.pk}", cause="x", now=NOW)
    subjects = list(Alarm.objects.values_list("subject", flat=True))
    assert alarms.clear_all_of([*subjects, "run 999"], now=NOW) == 2
    assert Notice.objects.filter(kind=NoticeKind.CLEARED).count() == 2
