"""Verbs on runs: Back Up Now and Stop."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine import dispatch
from tasks.engine.record import Outcome, copy_to_task, finish, lock_task_of, write_line
from tasks.errors import Refused
from tasks.models import BackupTask, Run
from tasks.models.run import RESTORES
from tasks.moments import stamp
from tasks.services.common import require
from tasks.states import ACTIVE, RunState, Trigger


def back_up_now(actor: Actor, task: BackupTask, now: datetime) -> Run:
    """Queue a run of ``task`` and hand it to the workers; a suspended task may be run by hand as well.

    Raises ``Refused`` when the task already waits or runs, naming who started it and when.
    """
    require(actor, permissions.RUN, "back up now", task)
    try:
        with transaction.atomic():
            if not BackupTask.objects.select_for_update().filter(pk=task.pk):
                raise Refused(f"{task.name} was deleted meanwhile.", cure="Go back to the list.")
            active = task.backups.filter(state__in=ACTIVE).first()
            if active is not None:
                raise already_active(task, active)
            run = Run.objects.create(
                task=task,
                cluster_id=task.cluster_id,
                trigger=Trigger.PERSON,
                started_by=actor.user,
                started_by_name=actor.name,
                queued_at=now,
            )
            copy_to_task(run)
            audit.record(actor, "back up now", task, note=f"run {run.pk}")
    except IntegrityError as error:
        # The task was started in this very moment: the constraint decides.
        active = task.backups.filter(state__in=ACTIVE).first()
        raise (already_active(task, active) if active else Refused(f"{task.name} cannot be started now.")) from error
    dispatch.offer(now)
    return run


def already_active(task: BackupTask, run: Run) -> Refused:
    """Return the refusal to start what waits or runs already."""
    doing = "running" if run.state == RunState.RUNNING else "waiting"
    return Refused(f"{task.name} is already {doing}. It was started at {stamp(run.began)} by {run.who}.")


def stop_run(actor: Actor, run: Run, now: datetime) -> None:
    """Stop a run: one that waits ends at once, one that runs is told to and ends within seconds.

    Raises ``Refused`` when the run has ended already.
    """
    permission = permissions.RESTORE if run.kind in RESTORES else permissions.RUN
    require(actor, permission, "stop run", run.thing)
    with transaction.atomic():
        lock_task_of(run.pk)
        if not request_stop(actor, run, now):
            raise Refused(f"{run.thing.name} is not running.")
        audit.record(actor, "stop run", run.thing, note=f"{run.get_kind_display().lower()} run {run.pk}")


def request_stop(actor: Actor, run: Run, now: datetime) -> bool:
    """End a waiting run, or ask the worker of a running one to end it; return False when it is over already."""
    if finish_waiting(run, actor, now):
        return True
    return bool(
        Run.objects.filter(pk=run.pk, state=RunState.RUNNING).update(
            stop_requested_at=now, stop_requested_by=actor.name
        )
    )


def finish_waiting(run: Run, actor: Actor, now: datetime) -> bool:
    """End a run that still waits; return False when it does not wait (any more)."""
    claimed = Run.objects.filter(pk=run.pk, state=RunState.WAITING).update(
        stop_requested_at=now, stop_requested_by=actor.name
    )
    if not claimed:
        return False
    reason = f"Stopped by {actor.name} before it started."
    write_line(run.pk, "INFO", reason)
    return finish(run.pk, Outcome(RunState.STOPPED, reason, "stopped"), now)
