"""What a proof leaves on record: of the set, of its task, and as alarms, all in one transaction under the lease."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.urls import reverse

from tasks import alarms
from tasks.engine.lease import Lease
from tasks.engine.record import count_sets, lock_task_of, stored_sets
from tasks.errors import LeaseLost
from tasks.models import BackupTask, Run
from tasks.moments import stamp
from tasks.states import RunState


@contextmanager
def _held(lease: Lease) -> Iterator[None]:
    """Write under the lease: a worker that was given up for dead changes nothing any more. Raises ``LeaseLost``."""
    with transaction.atomic():
        lock_task_of(lease.run_id)
        held = Run.objects.select_for_update().filter(pk=lease.run_id, state=RunState.RUNNING, lease_token=lease.token)
        if not held.values_list("pk").first():
            raise LeaseLost("The proof no longer belonged to this worker when it had come to its end.")
        yield


def found_whole(lease: Lease, subject: Run, now: datetime) -> None:
    """Record that every byte of the set is as it was written; one that was taken for damaged counts again."""
    with _held(lease):
        Run.objects.filter(pk=subject.pk).update(checked_at=now, damaged_at=None, damage="")
        BackupTask.all_tasks.filter(pk=subject.task_id or 0).update(last_checked_at=now)
        alarms.clear("set-damaged", about(subject), now=now)
        count_sets(subject.task_id)
        settle(subject.task_id)


def found_damaged(lease: Lease, subject: Run, damage: str, cure: str, now: datetime) -> None:
    """Record what is wrong with the set, which counts no more from now on, and raise the alarm."""
    with _held(lease):
        Run.objects.filter(pk=subject.pk).update(damaged_at=now, damage=damage)
        count_sets(subject.task_id)
        settle(subject.task_id)
        _raise("set-damaged", about(subject), subject, f"{_set(subject)} is damaged. {damage}", cure, now)


def rehearsed(lease: Lease, subject: Run, now: datetime) -> None:
    """Record that the set was restored and started, and that it held what was recorded."""
    with _held(lease):
        Run.objects.filter(pk=subject.pk).update(rehearsed_at=now)
        BackupTask.all_tasks.filter(pk=subject.task_id or 0).update(last_rehearsed_at=now)
        alarms.clear("rehearsal-failed", f"task {subject.task_id}", now=now)
        settle(subject.task_id)


def rehearsal_failed(lease: Lease, subject: Run, cause: str, cure: str, now: datetime) -> None:
    """Record that the set could not be restored and started as it is, and raise the alarm; the set still counts."""
    with _held(lease):
        settle(subject.task_id, f"The rehearsal of {_set(subject, middle=True)} failed. {cause}")
        text = f"{_set(subject)} could not be restored for a rehearsal. {cause}"
        _raise("rehearsal-failed", f"task {subject.task_id}", subject, text, cure, now)


def unproven(lease: Lease, subject: Run, cause: str) -> None:
    """Record why nobody could look at the set; that says nothing about it, so it still counts."""
    with _held(lease):
        settle(subject.task_id, f"{_set(subject)} could not be proven. {cause}")


def settle(task_id: int | None, failure: str = "") -> None:
    """Bring what the task says of its proofs to what is so: damage of a kept set first, else ``failure`` or nothing."""
    damaged = stored_sets(task_id).filter(damaged_at__isnull=False).first()
    problem = f"{_set(damaged)} is damaged. {damaged.damage}" if damaged else failure
    BackupTask.all_tasks.filter(pk=task_id or 0).update(proof_problem=problem)


def removed(task_id: int, damaged: Iterable[int], now: datetime) -> None:
    """Let go of what was said about the ``damaged`` sets (runs) of a task that retention struck off."""
    runs = list(damaged)
    if runs:
        alarms.clear_all_of([f"run {run_id}" for run_id in runs], now=now)
        settle(task_id)


def about(subject: Run) -> str:
    """Return the subject of alarms about the set of a run."""
    return f"run {subject.pk}"


def _raise(code: str, what: str, subject: Run, cause: str, cure: str, now: datetime) -> None:
    task = BackupTask.all_tasks.select_related("cluster").get(pk=subject.task_id or 0)
    link = reverse("task-history", args=[task.pk])
    alarms.raise_alarm(code, what, cause=cause, cure=cure, place=task.name, cluster=task.cluster, link=link, now=now)


def _set(subject: Run, *, middle: bool = False) -> str:
    return f"{'the' if middle else 'The'} set of {stamp(subject.began)}"
