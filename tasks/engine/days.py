"""The days of tasks and clusters, kept up to date in the transaction that ends a run (``tasks.models.days``)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.db.models import F

from tasks.models import ClusterDay, Run, TaskDay
from tasks.models.days import HOURS, NO_RUN
from tasks.states import GOOD, RunState

# Two lines of a chart lie one year apart at most; older days are removed when a new one begins.
DAYS_KEPT = 400
CODES = {
    RunState.SUCCESSFUL: "s",
    RunState.WARNINGS: "w",
    RunState.FAILED: "f",
    RunState.STOPPED: "x",
    RunState.POSTPONED: "p",
}
# Of two outcomes of one hour or day the one that stands first here is shown.
WORST_FIRST = "fpwxs"


def worst(codes: Iterable[str]) -> str:
    """Return the worst of outcomes, or the dot where there is none."""
    known = [code for code in codes if code in WORST_FIRST]
    return min(known, key=WORST_FIRST.index, default=NO_RUN)


def count_runs(runs: Iterable[Run]) -> None:
    """Enter backups that have ended into the days of their tasks and clusters; the tasks are locked by the caller.

    Two queries for tasks, however many runs there are, and three for each good run.
    """
    ended = [run for run in runs if RunState(run.state) in CODES and run.task_id is not None]
    if not ended:
        return
    with transaction.atomic():
        _into_tasks(ended)
        for run in ended:
            if run.state in GOOD:
                _into_cluster(run)


def _into_tasks(runs: list[Run]) -> None:
    days = {day_of(run.began) for run in runs}
    stored = TaskDay.objects.filter(task_id__in={run.task_id for run in runs}, day__in=days)
    rows = {(row.task_id, row.day): row for row in stored}
    begun: set[int] = set()
    for run in runs:
        key = (run.task_id or 0, day_of(run.began))
        if key not in rows:
            rows[key] = TaskDay(task_id=key[0], day=key[1])
            begun.add(key[0])
        enter(rows[key], run)
    TaskDay.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=("task", "day"),
        update_fields=("hours", "good_at", "bytes", "seconds"),
    )
    if begun:
        limit = max(days) - timedelta(days=DAYS_KEPT)
        TaskDay.objects.filter(task_id__in=begun, day__lt=limit).delete()


def enter(row: TaskDay, run: Run) -> None:
    """Enter a backup that has ended into the row of its day."""
    hour = run.began.astimezone(UTC).hour
    seen = row.hours.ljust(HOURS, NO_RUN)
    row.hours = seen[:hour] + worst((seen[hour], CODES[RunState(run.state)])) + seen[hour + 1 :]
    if run.state in GOOD:
        row.good_at, row.bytes = run.began, run.size
        row.seconds = run.duration.total_seconds() if run.duration is not None else None


def _into_cluster(run: Run) -> None:
    day = day_of(run.began)
    row, new = ClusterDay.objects.get_or_create(cluster_id=run.cluster_id, day=day)
    took = run.duration.total_seconds() if run.duration is not None else 0
    ClusterDay.objects.filter(pk=row.pk).update(
        sets=F("sets") + 1, bytes=F("bytes") + (run.size or 0), seconds=F("seconds") + took
    )
    if new:
        limit = day - timedelta(days=DAYS_KEPT)
        ClusterDay.objects.filter(cluster_id=run.cluster_id, day__lt=limit).delete()


def day_of(moment: datetime) -> date:
    """Return the UTC day of a moment."""
    return moment.astimezone(UTC).date()
