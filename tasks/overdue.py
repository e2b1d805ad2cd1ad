"""Whether a periodic task is overdue: a success was due, and nothing brought it. One truth for pages, metrics, alarms.

``BackupTask.expected_at`` is the first start since the last success. When ``OVERDUE_GRACE`` has passed since then the
task is overdue, whatever kept it: nothing started it, it waits, it was postponed or stopped, or it failed. While a run
is under way, for as long as a run may take, it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from tasks.models import BackupTask
from tasks.moments import stamp
from tasks.states import GOOD, PeriodUnit, RunState

# A run ends itself at its time limit; until the end is on record it may take so much longer.
_ENDING = timedelta(minutes=5)


@dataclass(frozen=True)
class Overdue:
    """Since when a task is overdue, by which start a success was due, and why, as sentences with ``moments.stamp``."""

    since: datetime
    expected: datetime
    words: str


def overdue(task: BackupTask, now: datetime) -> Overdue | None:
    """Return how a task is overdue at ``now``, or None where it is not."""
    expected = task.expected_at
    if expected is None or task.deleted_at is not None or expected + settings.OVERDUE_GRACE > now:
        return None
    if task.last_state == RunState.RUNNING and task.last_started_at and task.last_started_at > now - _longest():
        return None
    words = f"A backup was due at {stamp(expected)}, and none has succeeded since. {_why(task, expected, now)}"
    return Overdue(expected + settings.OVERDUE_GRACE, expected, words)


def is_overdue(now: datetime, path: str = "") -> Q:
    """Return the same as a condition on tasks, which are reached over ``path`` (``task__``)."""
    running = Q(**{f"{path}last_state": RunState.RUNNING, f"{path}last_started_at__gt": now - _longest()})
    late = {f"{path}deleted_at__isnull": True, f"{path}expected_at__lte": now - settings.OVERDUE_GRACE}
    return Q(**late) & ~running


def interval(task: BackupTask) -> timedelta | None:
    """Return how far apart the starts of a task are; None where the system does not start it."""
    if not task.periodic:
        return None
    return timedelta(hours=task.period) if task.period_unit == PeriodUnit.HOURS else timedelta(days=task.period)


def expected_after(task: BackupTask, moment: datetime) -> datetime | None:
    """Return the first start after ``moment``; None where the system does not start the task (any more)."""
    schedule = task.schedule
    if schedule is None or task.suspended or task.deleted_at is not None:
        return None
    return schedule.first_after(moment)


def _longest() -> timedelta:
    return timedelta(seconds=settings.RUN_TIME_LIMIT) + _ENDING


def _why(task: BackupTask, expected: datetime, now: datetime) -> str:
    if task.next_run_at is not None and task.next_run_at <= now - timedelta(seconds=settings.MISFIRE_SECONDS):
        return "Nothing started it: the tick of the workers did not come."
    if task.last_started_at is None:
        return "It has never run."
    if task.last_state == RunState.WAITING:
        return f"A run has been waiting since {stamp(task.last_started_at)}."
    if task.last_state == RunState.RUNNING:
        return f"A run began at {stamp(task.last_started_at)} and its end is not on record."
    if task.last_started_at < expected - timedelta(minutes=1) or task.last_state in GOOD:
        return "No run was started since."
    if task.last_state == RunState.POSTPONED:
        return task.last_reason
    word = "was stopped" if task.last_state == RunState.STOPPED else "failed"
    return f"The last run, of {stamp(task.last_started_at)}, {word}. {task.last_reason}"
