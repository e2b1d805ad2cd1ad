"""What ``record`` does to one run, done to the runs of many tasks in a fixed number of queries.

The caller is in a transaction and holds the tasks locked: until then neither a worker claims a run of theirs, nor does
one end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Concat, Right

from tasks.engine import totals
from tasks.engine.days import CODES, count_runs
from tasks.engine.record import OUTCOME_STATES, OUTCOMES_KEPT
from tasks.models import BackupTask, LogLine, Run
from tasks.notify import notices
from tasks.states import ACTIVE, Kind, RunState, Trigger


def queue_backups(tasks: Collection[BackupTask], who: Any, name: str, now: datetime) -> dict[int, Run]:
    """Queue a run of each task, none of which has one that waits or runs, and return the runs by the task's key.

    They stand in the line in the order of ``tasks``. ``who`` is the user that started them, or None.
    """
    made = Run.objects.bulk_create(
        Run(
            task=task,
            cluster_id=task.cluster_id,
            trigger=Trigger.PERSON,
            started_by=who,
            started_by_name=name,
            queued_at=now,
        )
        for task in tasks
    )
    mine = Run.objects.filter(task_id=OuterRef("pk"), kind=Kind.BACKUP, state__in=ACTIVE)
    BackupTask.objects.filter(pk__in=[task.pk for task in tasks]).update(
        last_run_id=Subquery(mine.values("pk")[:1]),
        last_state=RunState.WAITING,
        last_started_at=now,
        last_ended_at=None,
        last_bytes=None,
        last_reason="",
    )
    return {run.task_id: run for run in made if run.task_id is not None}


def stop_backups(runs: Iterable[Run], by: str, now: datetime) -> None:
    """End the runs that wait, and ask the workers of those that are under way to end them."""
    runs = list(runs)
    waiting = [run for run in runs if run.state == RunState.WAITING]
    running = [run.pk for run in runs if run.state == RunState.RUNNING]
    asked = {"stop_requested_at": now, "stop_requested_by": by}
    if running:
        Run.objects.filter(pk__in=running, state=RunState.RUNNING).update(**asked)
    if waiting:
        _end_waiting(waiting, f"Stopped by {by} before it started.", now, asked)


def _end_waiting(runs: list[Run], reason: str, now: datetime, asked: dict[str, Any]) -> None:
    ids = [run.pk for run in runs]
    ended: dict[str, Any] = {"state": RunState.STOPPED, "reason": reason, "error_code": "stopped", "ended_at": now}
    Run.objects.filter(pk__in=ids, state=RunState.WAITING).update(**ended, **asked)
    LogLine.objects.bulk_create(LogLine(run_id=pk, text=reason) for pk in ids)
    shown = BackupTask.all_tasks.filter(last_run_id__in=ids)
    earlier = dict(shown.values_list("last_run_id", "outcomes"))
    outcomes = Right(Concat(F("outcomes"), Value(CODES[RunState.STOPPED])), OUTCOMES_KEPT)
    shown.update(last_state=RunState.STOPPED, last_ended_at=now, last_reason=reason, outcomes=outcomes)
    for run in runs:
        for name, value in ended.items():
            setattr(run, name, value)
    count_runs(runs)
    notices.runs_ended([(run, OUTCOME_STATES.get(earlier.get(run.pk, "")[-1:], "")) for run in runs], now)
    totals.add(runs)
