"""Proofs of sets that are kept: queueing one by hand, or because the last one is too old.

What is due is decided by age and nothing else, so that a proof that was lost with its worker, or could not reach the
destination, comes again by itself. Proofs give way to backups: none is queued by age while anything of its cluster
waits or runs, nor shortly before the task's own start, and backups that wait are offered to the workers first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse

from tasks.alarms import Told
from tasks.audit import Actor
from tasks.engine import kinds, proofage
from tasks.engine.place import lies_elsewhere
from tasks.engine.record import lock_task_of
from tasks.engine.watches.reconciling import reconcile, tasks_of
from tasks.errors import Refused
from tasks.models import BackupTask, Cluster, Maintenance, Run
from tasks.models.run import PROOFS
from tasks.moments import stamp
from tasks.states import ACTIVE, Kind, RunState, Trigger

# Proofs by age that wait or run at a time, over all clusters, for each slot: a tick a minute keeps the slots busy.
PER_SLOT = 10
_OVERDUE = "proof-overdue"


# --- One proof ------------------------------------------------------------------------------------------------------
def queue_proof(kind: Kind, subject: Run, trigger: Trigger, now: datetime, who: Actor | None = None) -> Run:
    """Queue a proof of the set of ``subject``; the caller offers it to the workers.

    Raises ``Refused`` where there is no set to prove, or a proof of it waits or runs already, naming who started it.
    """
    if kind not in kinds.EXECUTIONS:
        raise Refused(f"{kind.label} is not offered by this console.")
    try:
        with transaction.atomic():
            lock_task_of(subject.pk)
            current = Run.objects.select_related("task").get(pk=subject.pk)
            _require_set(current)
            active = _active_proof(current)
            if active is not None:
                raise _already(active)
            return Run.objects.create(
                kind=kind,
                task=current.task,
                subject=current,
                cluster_id=current.cluster_id,
                trigger=trigger,
                started_by=who.user if who else None,
                started_by_name=who.name if who else "",
                queued_at=now,
            )
    except IntegrityError as error:
        active = _active_proof(subject)
        raise (_already(active) if active else Refused("The set cannot be proven now.")) from error


def _require_set(run: Run) -> None:
    if run.kind != Kind.BACKUP or not run.good or run.verified_at is None:
        raise Refused(f"Run {run.pk} gave no set.")
    if run.set_removed_at is not None:
        raise Refused(f"The set of {stamp(run.began)} was removed at {stamp(run.set_removed_at)}.")


def _active_proof(subject: Run) -> Run | None:
    return Run.objects.filter(subject_id=subject.pk, state__in=ACTIVE).first()


def _already(active: Run) -> Refused:
    doing = "running" if active.state == RunState.RUNNING else "waiting"
    what = "A rehearsal" if active.kind == Kind.REHEARSAL else "A check"
    return Refused(f"{what} of the set is already {doing}. It was started at {stamp(active.began)} by {active.who}.")


# --- By age ---------------------------------------------------------------------------------------------------------
def queue_due(now: datetime) -> int:
    """Queue the proofs whose time has come, and return how many; a fixed number of queries finds them.

    None is queued during maintenance: they come by age when it is over.
    """
    if Maintenance.current().on(now):
        return 0
    return sum(_queued(kind, subject, now) for kind, subject in _chosen(now))


def _chosen(now: datetime) -> list[tuple[Kind, Run]]:
    """Return what is to be queued now: one proof of a cluster that is idle, as many as there is room for."""
    active = list(Run.objects.filter(state__in=ACTIVE).values_list("cluster_id", "kind"))
    taken = {cluster_id for cluster_id, _ in active}
    idle = Cluster.objects.count() - len(taken)
    room = min(idle, PER_SLOT * settings.RUN_SLOTS - sum(kind in PROOFS for _, kind in active))
    chosen: list[tuple[Kind, Run]] = []
    for kind, subject in _candidates(now):
        if len(chosen) >= room:
            break
        if subject.cluster_id in taken or subject.task is None or lies_elsewhere(subject, subject.task):
            continue
        taken.add(subject.cluster_id)
        chosen.append((kind, subject))
    return chosen


def _candidates(now: datetime) -> Iterator[tuple[Kind, Run]]:
    """Yield what is due, rehearsals first, as they prove the most, and of checks those of the oldest proofs first."""
    for kind, due in ((Kind.REHEARSAL, proofage.due_rehearsals), (Kind.CHECK, proofage.due_checks)):
        if kind in kinds.EXECUTIONS:
            for subject in due(now).iterator(chunk_size=200):
                yield kind, subject


def _queued(kind: Kind, subject: Run, now: datetime) -> bool:
    try:
        queue_proof(kind, subject, Trigger.SCHEDULE, now)
    except Refused:
        # Somebody did it by hand in this moment, or retention took the set.
        return False
    return True


# --- What nobody got round to ---------------------------------------------------------------------------------------
def watch(now: datetime) -> int:
    """Raise the alarm for tasks whose proofs are overdue, clear it where they are no more; return how many are.

    None is raised during maintenance, nor so soon after it that the proofs cannot have been made up for.
    """
    late = {f"task {task_id}": words for task_id, words in proofage.overdue(now).items()}

    def describe(new: list[str]) -> dict[str, Told]:
        if Maintenance.current().ended_since(now - proofage.PATIENCE):
            return {}
        return {subject: _told(task, late[subject]) for subject, task in tasks_of(new).items()}

    reconcile(_OVERDUE, late, describe, now)
    return len(late)


def _told(task: BackupTask, words: str) -> Told:
    return Told(
        cause=f"{words} {task.proof_problem}".strip(),
        cure="Look in the history for why the last check or rehearsal failed, or what kept it waiting.",
        place=task.name,
        cluster=task.cluster,
        link=reverse("task-history", args=[task.pk]),
    )
