"""Writing down what people may want to be told of; called in the transaction that records the cause.

A crash before the end of that transaction takes both away, one after it neither. Who is told, and how, is found out
later (``outbox``): the end of a run costs one row here, however many people there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from tasks.models import Alarm, BackupTask, Notice, Run
from tasks.models.run import PROOFS
from tasks.states import ACTIVE, Kind, NoticeKind


def run_ended(run: Run, now: datetime) -> None:
    """Write down that ``run`` ended, and how the run of the same kind before it had; two queries."""
    runs_ended([(run, _like(run).values_list("state", flat=True).first() or "")], now)


def runs_ended(runs: Iterable[tuple[Run, str]], now: datetime) -> None:
    """Write down that runs ended, each with the state of the run before it; one query for all of them."""
    Notice.objects.bulk_create(
        [
            Notice(
                kind=NoticeKind.RUN,
                run=run,
                task_id=run.task_id,
                cluster_id=run.cluster_id,
                state=run.state,
                before=before,
                at=now,
            )
            for run, before in runs
        ]
    )


def alarm_raised(alarm: Alarm, now: datetime) -> None:
    """Write down that an alarm is there which was not there before."""
    _of_alarms(NoticeKind.RAISED, [alarm], now)


def alarms_cleared(alarms: Iterable[Alarm], now: datetime) -> None:
    """Write down that alarms are gone."""
    _of_alarms(NoticeKind.CLEARED, alarms, now)


def _of_alarms(kind: NoticeKind, alarms: Iterable[Alarm], now: datetime) -> None:
    found = list(alarms)
    tasks = _tasks_of([alarm.subject for alarm in found])
    Notice.objects.bulk_create(
        [
            Notice(kind=kind, alarm=alarm, task_id=tasks.get(alarm.subject), cluster_id=alarm.cluster_id, at=now)
            for alarm in found
        ]
    )


def _tasks_of(subjects: list[str]) -> dict[str, int]:
    """Return the task that each subject (``task 7``, ``run 12``) belongs to; the others belong to none."""
    parts = [(subject, *subject.partition(" ")[::2]) for subject in subjects]
    numbers = {subject: (kind, int(number)) for subject, kind, number in parts if number.isdigit()}
    tasks = [number for kind, number in numbers.values() if kind == "task"]
    runs = [number for kind, number in numbers.values() if kind == "run"]
    known = {("task", pk): pk for pk in BackupTask.all_tasks.filter(pk__in=tasks).values_list("pk", flat=True)}
    if runs:
        rows = Run.objects.filter(pk__in=runs, task__isnull=False).values_list("pk", "task_id")
        known |= {("run", pk): task_id for pk, task_id in rows if task_id}
    return {subject: known[thing] for subject, thing in numbers.items() if thing in known}


def _like(run: Run) -> QuerySet[Run]:
    same = Run.objects.filter(pk__lt=run.pk).exclude(state__in=ACTIVE).order_by("-pk")
    if run.kind == Kind.BACKUP or run.kind in PROOFS:
        return same.filter(task_id=run.task_id, kind=run.kind)
    return same.filter(restoration_id=run.restoration_id or 0)
