"""What the end of a run means for the alarms; called in the transaction that records the end."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse

from storage.errors import ConsoleError
from tasks import alarms
from tasks.engine import hostkeys
from tasks.engine.watches import keys, late
from tasks.models import BackupTask, Run
from tasks.models.run import RESTORES
from tasks.states import GOOD, Kind, RunState, Trigger
from tasks.vault import KeyLost

_FAILED, _UNKNOWN = "backup-failed", "restoration-unknown"


def tell(run: Run, now: datetime, error: ConsoleError | None = None) -> None:
    """Raise or clear the alarms that go with the end of ``run``, which ``error`` ended where it is given.

    Proofs see to what they say of sets themselves (``verdicts``).
    """
    if run.kind == Kind.BACKUP and run.task is not None:
        _of_backup(run, run.task, now)
    elif run.kind in RESTORES:
        _of_restore(run, now)
    if run.state in GOOD:
        hostkeys.reached(run, now)
    hostkeys.met(run, error, now)
    if run.error_code == KeyLost.code:
        keys.found_lost(run.cluster, now)


def _of_backup(run: Run, task: BackupTask, now: datetime) -> None:
    """Only a run that the system started raises one, any success clears it (ALM-12034) and that of an overdue task."""
    if run.state in GOOD:
        alarms.clear_all_of([f"task {task.pk}"], alarms.CONSOLE, now, _FAILED, late.CODE)
    elif run.state == RunState.FAILED and run.trigger == Trigger.SCHEDULE and task.deleted_at is None:
        alarms.raise_alarm(
            _FAILED,
            f"task {task.pk}",
            cause=_with_failures_before(task.pk, run.reason),
            cure="Put the cause right, then press Back Up Now.",
            place=task.name,
            cluster=task.cluster,
            link=reverse("task-history", args=[task.pk]),
            now=now,
        )


def _with_failures_before(task_id: int, reason: str) -> str:
    outcomes = BackupTask.all_tasks.values_list("outcomes", flat=True).get(pk=task_id)
    failures = len(outcomes) - len(outcomes.rstrip("f"))
    return f"{failures} runs in a row. {reason}" if failures > 1 else reason


def _of_restore(run: Run, now: datetime) -> None:
    """Nobody knows what a cluster holds until something was restored there as a whole (ALM-12035)."""
    subject = f"cluster {run.cluster_id}"
    if run.state in GOOD or run.state == RunState.ROLLED_BACK:
        alarms.clear(_UNKNOWN, subject, now=now)
    elif run.state == RunState.UNKNOWN:
        alarms.raise_alarm(
            _UNKNOWN,
            subject,
            cause=run.reason,
            cure="Write nothing to the cluster. Find the step that failed, put the cause right, then press Roll Back.",
            place=run.thing.name,
            cluster=run.cluster,
            link=reverse("restoration", args=[run.restoration_id]),
            now=now,
        )
