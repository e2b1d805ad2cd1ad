"""The tick, clicks and stops at the same moment: each is done or refused with a reason, and none fails.

On PostgreSQL (``DATABASE_URL``) this found deadlocks; on SQLite it shows that writers wait for each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine.due import queue_due
from tasks.engine.lease import claim
from tasks.engine.record import Outcome, finish
from tasks.errors import Refused
from tasks.models import BackupTask, Cluster, Run
from tasks.states import ACTIVE, RunState
from tests.file_database import copy_test_database, using_file_database
from tests.unit.dispatch_kit import make_due
from tests.unit.test_lease import at_once

TASKS = 25


def for_each_task(act: Callable[[BackupTask], Any], backwards: bool = False) -> None:
    """Do something with every task; being refused is a way to end."""
    for task in BackupTask.objects.order_by("-pk" if backwards else "pk"):
        try:
            act(task)
        except Refused:
            continue


def click(task: BackupTask) -> None:
    """Press Back Up Now."""
    services.back_up_now(CONSOLE, task, timezone.now())


def stop(task: BackupTask) -> None:
    """Press Stop."""
    for run in task.runs.filter(state__in=ACTIVE):
        services.stop_run(CONSOLE, run, timezone.now())


def suspend(task: BackupTask) -> None:
    """Press Suspend, then Resume."""
    services.suspend_task(CONSOLE, task, timezone.now())
    services.resume_task(CONSOLE, task, timezone.now())


def work(task: BackupTask) -> None:
    """Be a worker: claim and end."""
    for run in task.runs.filter(state=RunState.WAITING):
        lease = claim(run.pk, timezone.now())
        if lease:
            finish(run.pk, Outcome(RunState.FAILED, "tried"), timezone.now(), token=lease.token)


def test_tick_clicks_stops_and_workers_at_the_same_moment(
    transactional_db: None, cluster: Cluster, tmp_path: Path
) -> None:
    make_due(TASKS, cluster)
    copy_test_database(tmp_path / "test.sqlite3")
    parts: list[Callable[[], Any]] = [
        lambda: queue_due(timezone.now()),
        lambda: for_each_task(click),
        lambda: for_each_task(click, backwards=True),
        lambda: for_each_task(stop),
        lambda: for_each_task(suspend, backwards=True),
        lambda: for_each_task(work),
    ]
    number = itertools.count()
    with using_file_database(tmp_path / "test.sqlite3"):
        at_once(len(parts), lambda: parts[next(number)]())
        assert not Run.objects.filter(state=RunState.RUNNING).exists()
        for task in BackupTask.objects.all():
            assert task.last_run_id in {run.pk for run in task.runs.all()}
            newest = task.last_run
            assert newest and task.last_state == newest.state
