"""How the end of a restoration is recorded, whoever records it, and what follows from it.

A restoration that had begun to change its target never ends as *Failed* or *Stopped*: either what was there before is
back (*Rolled back*), or nobody knows (*Unknown*), which raises the critical alarm, until a rollback says otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import IntegrityError, transaction

from tasks.engine.outcome import Outcome
from tasks.engine.restore.standing import RESTORED, touched
from tasks.engine.steps import broken_off
from tasks.models import Run
from tasks.models.run import RESTORES
from tasks.states import ACTIVE, Kind, RunState, Trigger

ROLLBACKS = 3  # that the console starts by itself after one restoration
# Ends that the worker did not bring about itself, so that it found no way back either.
LOST = ("worker-lost", "no-result", "time-limit")


def honest(run: Run, outcome: Outcome) -> Outcome:
    """Return how a restoration or rollback ends that would end as ``outcome``."""
    if outcome.state not in (RunState.FAILED, RunState.STOPPED):
        return outcome
    if run.kind == Kind.ROLLBACK:
        return replace(outcome, state=RunState.UNKNOWN)
    if run.parameters.get(RESTORED):
        reason = f"{outcome.reason} The metadata had been restored before, and IoTDB was well."
        return replace(outcome, state=RunState.WARNINGS, reason=reason)
    return replace(outcome, state=RunState.UNKNOWN) if touched(run) else outcome


def end_steps(run_id: int, now: datetime) -> None:
    """End the step that a lost worker was at."""
    run = Run.objects.get(pk=run_id)
    if run.state not in ACTIVE:
        steps = broken_off(run.steps, "The worker was lost in this step.", now)
        if steps != run.steps:
            Run.objects.filter(pk=run_id).update(steps=steps)


def queue_rollbacks(now: datetime) -> int:
    """Order the way back for each restoration whose worker was lost in the middle; return how many.

    Idempotent, and asked for at each tick, as the one who gave the run up may have been killed right afterwards.
    """
    lost = Run.objects.filter(
        kind__in=RESTORES, state=RunState.UNKNOWN, error_code__in=LOST, restoration__last_run__isnull=False
    )
    return sum(_queue(run, now) for run in lost.select_related("restoration"))


def _queue(run: Run, now: datetime) -> bool:
    restoration = run.restoration
    if restoration is None or restoration.last_run_id != run.pk:
        return False
    restored = restoration.runs.filter(kind=Kind.RESTORE).order_by("-pk").values_list("pk", flat=True).first() or 0
    tried = restoration.runs.filter(kind=Kind.ROLLBACK, trigger=Trigger.CONSOLE, pk__gt=restored).count()
    if tried >= ROLLBACKS:
        return False
    from tasks.engine.record import copy_to_task, lock_task_of, write_line

    try:
        with transaction.atomic():
            lock_task_of(run.pk)
            back = Run.objects.create(
                kind=Kind.ROLLBACK,
                restoration=restoration,
                cluster_id=run.cluster_id,
                trigger=Trigger.CONSOLE,
                queued_at=now,
            )
            write_line(back.pk, "INFO", f"Ordered by the console: run {run.pk} was lost in the middle.")
            copy_to_task(back)
    except IntegrityError:
        # Another machine's tick did it in this very moment.
        return False
    return True
