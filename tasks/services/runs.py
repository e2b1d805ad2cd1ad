"""Verbs on runs: Back Up Now and Stop."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.auditing.refusals import on_record_when_refused
from tasks.engine import dispatch
from tasks.engine.record import Outcome, finish, lock_task_of, write_line
from tasks.errors import Refused
from tasks.models import BackupTask, Run
from tasks.models.run import RESTORES
from tasks.services.applying import do_one
from tasks.services.common import require
from tasks.services.taskverbs import BACK_UP_NOW
from tasks.states import Kind, RunState


def back_up_now(actor: Actor, task: BackupTask, now: datetime) -> Run:
    """Queue a run of ``task`` and hand it to the workers; a suspended task may be run by hand as well.

    Raises ``Refused`` when the task already waits or runs, and while the cluster is restored, naming who started that
    and when; and during maintenance.
    """
    run = do_one(actor, BACK_UP_NOW, task, now).run
    assert run is not None  # BackUpNow.do
    dispatch.offer(now)
    return run


@on_record_when_refused("stop run")
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
        if not (finish_waiting(run, actor, now) or _ask_to_end(run, actor, now)):
            raise Refused(f"{run.thing.name} is not running.")
        audit.record(actor, "stop run", run.thing, note=f"{run.get_kind_display().lower()} run {run.pk}")


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


def _ask_to_end(run: Run, actor: Actor, now: datetime) -> bool:
    """Have the worker of a run that is under way end it; return False when it is over."""
    running = Run.objects.filter(pk=run.pk, state=RunState.RUNNING)
    return bool(running.update(stop_requested_at=now, stop_requested_by=actor.name))
