"""Totals of runs that ended: each counted once, kept beside the history, and begun with what was on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from django.apps import apps

from tasks.audit import CONSOLE
from tasks.engine.due import queue_due
from tasks.engine.lease import claim
from tasks.engine.record import Outcome, finish, prove
from tasks.models import BackupTask, Cluster, LogLine, Run, RunTotal
from tasks.services.runs import stop_run
from tasks.states import Mode, RunState
from tests.conftest import MakeRun, MakeTask
from tests.file_database import copy_test_database, using_file_database
from tests.unit.test_lease import at_once

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
migration = import_module("tasks.migrations.0006_operations")


def totals() -> dict[tuple[str, str, str], tuple[int, float, int]]:
    rows = RunTotal.objects.values_list("cluster__name", "kind", "state", "runs", "seconds", "stored_bytes")
    return {(cluster, kind, state): (runs, seconds, size) for cluster, kind, state, runs, seconds, size in rows}


def end(run: Run, state: RunState, after: timedelta) -> None:
    """Work on a run and end it."""
    lease = claim(run.pk, NOW)
    assert lease is not None
    if state == RunState.SUCCESSFUL:
        prove(run.pk, lease.token, NOW + after, 1000)
    assert finish(run.pk, Outcome(state), NOW + after, token=lease.token)
    assert not finish(run.pk, Outcome(state), NOW + after, token=lease.token), "a second time counts nothing"


def test_each_end_counts_once_with_time_and_size(task: BackupTask, make_run: MakeRun) -> None:
    end(make_run(task, RunState.WAITING, NOW), RunState.SUCCESSFUL, 12 * SECOND)
    end(make_run(task, RunState.WAITING, NOW), RunState.SUCCESSFUL, 3 * SECOND)
    end(make_run(task, RunState.WAITING, NOW), RunState.FAILED, SECOND)
    assert totals() == {
        ("plant", "backup", "successful"): (2, 15.0, 2000),
        ("plant", "backup", "failed"): (1, 1.0, 0),
    }
    task.refresh_from_db()
    assert (task.last_success_seconds, task.last_success_bytes) == (3.0, 1000), "they outlast the failure"


def test_what_never_started_counts_without_time(make_task: MakeTask, make_run: MakeRun) -> None:
    waiting = make_run(make_task(), RunState.WAITING, NOW)
    stop_run(CONSOLE, waiting, NOW + SECOND)
    make_task(mode=Mode.PERIODIC, started=NOW, next_run_at=NOW)
    queue_due(NOW + timedelta(hours=1))
    assert totals() == {
        ("plant", "backup", "stopped"): (1, 0.0, 0),
        ("plant", "backup", "postponed"): (1, 0.0, 0),
    }


def test_totals_stay_when_the_history_goes(task: BackupTask, make_run: MakeRun) -> None:
    end(make_run(task, RunState.WAITING, NOW), RunState.FAILED, SECOND)
    before = totals()
    LogLine.objects.all().delete()
    Run.objects.all().delete()
    assert totals() == before


def test_ends_at_the_same_moment_are_all_counted(
    transactional_db: None, make_task: MakeTask, make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(make_task(), RunState.WAITING, NOW) for _ in range(12)]
    copy_test_database(tmp_path / "test.sqlite3")
    todo = iter(runs)
    with using_file_database(tmp_path / "test.sqlite3"):
        at_once(12, lambda: stop_run(CONSOLE, next(todo), NOW))
        assert totals() == {("plant", "backup", "stopped"): (12, 0.0, 0)}


# --- The migration ----------------------------------------------------------------------------------------------------
def test_it_begins_with_the_runs_on_record(make_task: MakeTask, make_run: MakeRun) -> None:
    west = Cluster.objects.create(name="west")
    task = make_task()
    for state in (RunState.SUCCESSFUL, RunState.SUCCESSFUL, RunState.FAILED, RunState.RUNNING):
        make_run(task, state, NOW)
    make_run(make_task(cluster=west), RunState.POSTPONED, NOW, started_at=None)
    migration.count_runs(apps, None)
    assert totals() == {
        ("plant", "backup", "successful"): (2, 24.0, 2_469_134),
        ("plant", "backup", "failed"): (1, 12.0, 0),
        ("west", "backup", "postponed"): (1, 0.0, 0),
    }


def test_it_shows_the_last_success_of_each_task(make_task: MakeTask, make_run: MakeRun) -> None:
    good, bad, gone = make_task(), make_task(), make_task(deleted_at=NOW)
    make_run(good, RunState.SUCCESSFUL, NOW, size=7)
    make_run(good, RunState.FAILED, NOW + SECOND)
    make_run(bad, RunState.FAILED, NOW)
    make_run(gone, RunState.WARNINGS, NOW)
    shown = ("last_success_bytes", "last_success_seconds")
    before = list(BackupTask.all_tasks.order_by("pk").values_list(*shown))
    BackupTask.all_tasks.update(last_success_bytes=None, last_success_seconds=None)
    migration.show_last_success(apps, None)
    after = list(BackupTask.all_tasks.order_by("pk").values_list(*shown))
    assert after == before == [(7, 12.0), (None, None), (1_234_567, 12.0)]
