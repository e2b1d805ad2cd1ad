"""The days of tasks and clusters: what the end of a run enters, what is removed, and what the migration fills in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

import tasks.migrations
from tasks.engine.days import DAYS_KEPT, count_runs, worst
from tasks.engine.due import queue_due
from tasks.models import BackupTask, ClusterDay, Run, TaskDay
from tasks.states import Kind, Mode, RunState
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db

AT = datetime(2026, 6, 20, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours_of(task: BackupTask) -> str:
    return TaskDay.objects.get(task=task, day=AT.date()).hours


def test_the_worst_outcome_of_an_hour_is_kept(task: BackupTask, make_run: MakeRun) -> None:
    for state, hour in (("successful", 0), ("failed", 0), ("successful", 0), ("stopped", 1), ("warnings", 5)):
        make_run(task, RunState(state), AT + hour * HOUR)
    assert hours_of(task) == "...fx...w" + "." * 15


@pytest.mark.parametrize(
    ("codes", "found"), [("swf", "f"), ("sp", "p"), ("xw", "w"), ("s.", "s"), ("", "."), (".", "."), ("?s", "s")]
)
def test_the_worst_of_outcomes(codes: str, found: str) -> None:
    assert worst(codes) == found


def test_a_day_has_the_last_good_run(task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, at=AT, size=100)
    make_run(task, at=AT + HOUR, size=300)
    make_run(task, RunState.FAILED, AT + 2 * HOUR)
    row = TaskDay.objects.get(task=task)
    assert (row.good_at, row.bytes, row.seconds) == (AT + HOUR, 300, 12.0)
    cluster = ClusterDay.objects.get(cluster=task.cluster)
    assert (cluster.sets, cluster.bytes, cluster.seconds) == (2, 400, 24.0)


def test_a_run_belongs_to_the_utc_day_on_which_it_began(task: BackupTask, make_run: MakeRun) -> None:
    midnight = datetime(2026, 6, 21, 0, 30, tzinfo=UTC).astimezone(tz=None)
    make_run(task, at=midnight - HOUR)
    make_run(task, at=midnight)
    assert [row.hours.index("s") for row in TaskDay.objects.filter(task=task)] == [23, 0]


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.RUNNING])
def test_a_run_that_has_not_ended_counts_nowhere(state: RunState, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, state, AT)
    assert not TaskDay.objects.exists()


def test_a_proof_counts_nowhere(task: BackupTask, make_run: MakeRun) -> None:
    subject = make_run(task, at=AT)
    TaskDay.objects.all().delete()
    make_run(task, at=AT, kind=Kind.CHECK, subject=subject)
    assert not TaskDay.objects.exists()


def test_old_days_go_when_a_new_one_begins(make_task: MakeTask, make_run: MakeRun) -> None:
    task, other = make_task(), make_task()
    for one in (task, other):
        make_run(one, at=AT - timedelta(days=DAYS_KEPT + 1))
    make_run(task, at=AT - timedelta(days=DAYS_KEPT))
    make_run(task, at=AT)
    assert TaskDay.objects.filter(task=task).count() == 2
    assert TaskDay.objects.filter(task=other).count() == 1
    assert ClusterDay.objects.count() == 2


def test_starts_that_were_missed_are_entered_in_a_batch(
    make_task: MakeTask, django_assert_max_num_queries: Any
) -> None:
    late = {"mode": Mode.PERIODIC, "started": AT - HOUR, "next_run_at": AT - HOUR}
    tasks = [make_task(**late) for _ in range(30)]
    assert queue_due(AT) == 30
    assert Run.objects.filter(state=RunState.POSTPONED).count() == 30
    assert {hours_of(task)[2] for task in tasks} == {"p"}
    runs = list(Run.objects.all())
    with django_assert_max_num_queries(5):
        count_runs(runs)


def test_bytes_that_are_kept(task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, at=AT, size=100)
    gone = make_run(task, at=AT + HOUR, size=300)
    task.refresh_from_db()
    assert (task.sets_kept, task.bytes_kept) == (2, 400)
    Run.objects.filter(pk=gone.pk).update(set_removed_at=AT)
    make_run(task, RunState.FAILED, AT + 2 * HOUR)
    task.refresh_from_db()
    assert (task.sets_kept, task.bytes_kept) == (1, 100)


def test_the_migration_makes_the_same_days_from_the_runs(make_task: MakeTask, make_run: MakeRun) -> None:
    now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    tasks = [make_task(), make_task()]
    for number, state in enumerate(("successful", "failed", "warnings", "postponed", "stopped", "successful")):
        for task in tasks:
            make_run(task, RunState(state), now - number * 7 * HOUR)
    make_run(tasks[0], at=now - timedelta(days=500))
    TaskDay.objects.filter(day__lt=now.date() - timedelta(days=450)).delete()
    ClusterDay.objects.filter(day__lt=now.date() - timedelta(days=450)).delete()

    def days() -> list[Any]:
        figures = ClusterDay.objects.order_by("day").values_list("cluster", "day", "sets", "bytes", "seconds")
        fields = ("task", "day", "hours", "good_at", "bytes", "seconds")
        return [*TaskDay.objects.order_by("task", "day").values_list(*fields), *figures]

    before = days()
    assert len(before) == 6
    TaskDay.objects.all().delete()
    ClusterDay.objects.all().delete()
    BackupTask.objects.update(bytes_kept=0)
    name = next(Path(tasks_migrations()).glob("*_home.py")).stem
    migration = import_module(f"tasks.migrations.{name}")
    migration.fill_days(apps, None)
    migration.fill_bytes(apps, None)
    assert days() == before
    assert BackupTask.objects.get(pk=tasks[1].pk).bytes_kept == 3 * 1_234_567


def tasks_migrations() -> str:
    return next(iter(tasks.migrations.__path__))
