"""Verbs on runs: Back Up Now and Stop."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine import dispatch
from tasks.engine.record import Outcome, copy_to_task, finish, lock_task_of, write_line
from tasks.engine.restore import standing
from tasks.errors import Refused
from tasks.maintenance import require_off
from tasks.models import BackupTask, Cluster, Run
from tasks.models.run import RESTORES
from tasks.moments import stamp
from tasks.services.common import require
from tasks.states import ACTIVE, Kind, RunState, Trigger


def back_up_now(actor: Actor, task: BackupTask, now: datetime) -> Run:
    """Queue a run of ``task`` and hand it to the workers; a suspended task may be run by hand as well.

    Raises ``Refused`` when the task already waits or runs, and while the cluster is restored, naming who started that
    and when; and during maintenance.
    """
    require(actor, permissions.RUN, "back up now", task)
    require_off(now)
    try:
        with transaction.atomic():
            if not BackupTask.objects.select_for_update().filter(pk=task.pk):
                raise Refused(f"{task.name} was deleted meanwhile.", cure="Go back to the list.")
            active = task.backups.filter(state__in=ACTIVE).first()
            if active is not None:
                raise already_active(task, active)
            _require_no_restoration(task)
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


def _require_no_restoration(task: BackupTask) -> None:
    """Refuse while the cluster is restored; in a transaction, with the cluster locked as ``start_restoration`` does."""
    list(Cluster.objects.select_for_update(no_key=True).filter(pk=task.cluster_id).values_list("pk"))
    run = standing.active(task.cluster_id)
    if run is not None:
        doing = "is restored" if run.state == RunState.RUNNING else "is waiting to be restored"
        raise Refused(
            f"The cluster {task.cluster} {doing}: {run.thing.name}, started at {stamp(run.began)} by {run.who}.",
            cure="Back up when that has ended.",
        )


def already_active(task: BackupTask, run: Run) -> Refused:
    """Return the refusal to start what waits or runs already."""
    doing = "running" if run.state == RunState.RUNNING else "waiting"
    return Refused(f"{task.name} is already {doing}. It was started at {stamp(run.began)} by {run.who}.")


def stop_run(actor: Actor, run: Run, now: datetime) -> None:
    """Stop a run: one that waits ends at once, one that runs is told to and ends within seconds.

    Raises ``Refused`` when the run has ended already, and for a rollback, which brings IoTDB back: stopped half way it
    would leave nobody knows what.
    """
    permission = permissions.RESTORE if run.kind in RESTORES else permissions.RUN
    require(actor, permission, "stop run", run.thing)
    if run.kind == Kind.ROLLBACK and run.active:
        raise Refused("A rollback cannot be stopped: it brings IoTDB back.", cure="Wait for its end.")
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
