"""Doing a verb to tasks in one transaction: lock them, look at them, refuse or do, and put each on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction

from tasks import audit
from tasks.audit import Actor, Entry
from tasks.auditing.refusals import record_refusal
from tasks.errors import Refused
from tasks.models import AuditEvent, BackupTask
from tasks.services.common import require
from tasks.services.taskverbs import Change, Facts, TaskVerb

_LOOK = "Look at it, then choose it again."


@dataclass(frozen=True)
class Shown:
    """A task as the person saw it: its version, and the key of the run that waited or was under way, 0 for none."""

    version: int
    run: int


@dataclass(frozen=True)
class Batch:
    """That the tasks were chosen together: how each was shown, by its key, and the mark that their events share."""

    mark: str
    shown: Mapping[int, Shown]


@dataclass(frozen=True)
class Refusal:
    """A task that was refused; ``task`` is None where it is not there, or is not to be known of."""

    pk: int
    task: BackupTask | None
    why: Refused


@dataclass
class Applied:
    """What was done to which tasks, and what was refused."""

    done: list[tuple[BackupTask, Change]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def do_one(actor: Actor, verb: TaskVerb, task: BackupTask, now: datetime) -> Change:
    """Do ``verb`` to one task.

    Raises ``PermissionDenied``, on record, for who may not, and ``Refused`` with the reason.
    """
    require(actor, verb.permission, verb.name, task)
    applied = apply(actor, verb, [task.pk], now)
    for refusal in applied.refused:
        record_refusal(actor, verb.name, task, refusal.why.message)
        raise refusal.why
    return applied.done[0][1]


def apply(actor: Actor, verb: TaskVerb, keys: Sequence[int], now: datetime, batch: Batch | None = None) -> Applied:
    """Do ``verb`` to the tasks with ``keys`` in one transaction; their number does not change that of the queries.

    What was done has an audit event for each task; in a ``batch`` what was refused has one, too, and a task that was
    changed since it was shown is refused. The caller has asked for the permission; the scope is asked here, of each.
    """
    for _ in range(2):
        try:
            with transaction.atomic():
                return _apply(actor, verb, keys, now, batch)
        except IntegrityError:
            # Something came in between that takes none of our locks: one by one, so that it costs no other its turn.
            if len(keys) > 1:
                return _one_by_one(actor, verb, keys, now, batch)
    tasks = BackupTask.objects.in_bulk(keys)
    why = Refused("It was changed in this very moment.", cure="Try it again.")
    return Applied(refused=[Refusal(pk, tasks.get(pk), why) for pk in keys])


def _one_by_one(actor: Actor, verb: TaskVerb, keys: Sequence[int], now: datetime, batch: Batch | None) -> Applied:
    whole = Applied()
    for pk in keys:
        part = apply(actor, verb, [pk], now, batch)
        whole.done += part.done
        whole.refused += part.refused
    return whole


def _apply(actor: Actor, verb: TaskVerb, keys: Sequence[int], now: datetime, batch: Batch | None) -> Applied:
    rows = BackupTask.objects.select_for_update(of=("self",)).select_related("cluster")
    locked = {task.pk: task for task in rows.filter(pk__in=keys).order_by("pk")}
    tasks = {pk: task for pk, task in locked.items() if actor.sees(task)}
    verb.lock(tasks.values())
    facts = Facts.about(tasks.values())
    applied = Applied(refused=_missing(actor, [pk for pk in keys if pk not in tasks]))
    ready = []
    for pk in keys:
        task = tasks.get(pk)
        if task is None:
            continue
        why = _refusal(verb, task, facts, now, batch)
        if why is None:
            ready.append(task)
        else:
            applied.refused.append(Refusal(pk, task, why))
    done = verb.do(actor, ready, facts, now) if ready else {}
    applied.done = [(task, done[task.pk]) for task in ready]
    _put_on_record(actor, verb, applied, batch)
    return applied


def _missing(actor: Actor, keys: list[int]) -> list[Refusal]:
    """Refuse what is not there (any more); a task of a cluster that the actor may not see is told of to nobody."""
    found = BackupTask.all_tasks.select_related("cluster").in_bulk(keys) if keys else {}
    gone = {pk: task for pk, task in found.items() if actor.sees(task)}
    return [
        Refusal(
            pk,
            gone.get(pk),
            Refused(
                f"{gone[pk].name} was deleted meanwhile." if pk in gone else f"There is no task {pk}.",
                cure="Go back to the list.",
            ),
        )
        for pk in keys
    ]


def _refusal(verb: TaskVerb, task: BackupTask, facts: Facts, now: datetime, batch: Batch | None) -> Refused | None:
    shown = batch.shown[task.pk] if batch else None
    if shown is not None and task.version != shown.version:
        return Refused(f"{task.name} was changed by somebody else since you were asked.", cure=_LOOK)
    why = verb.refusal(task, facts, now)
    run = facts.active.get(task.pk)
    if why is None and shown is not None and run is not None and run.pk != shown.run:
        # Nobody was told that this run would be ended.
        return Refused(f"{task.name} was started since you were asked, by {run.who}.", cure=_LOOK)
    return why


def _put_on_record(actor: Actor, verb: TaskVerb, applied: Applied, batch: Batch | None) -> None:
    mark = f"in bulk {batch.mark}" if batch else ""

    def note(text: str) -> str:
        return "; ".join(filter(None, (text, mark)))

    entries = [Entry(task, before=change.before, note=note(change.note)) for task, change in applied.done]
    if batch:
        refused = ((refusal.task, str(refusal.why)) for refusal in applied.refused if refusal.task is not None)
        entries += [Entry(task, note=note(why), result=AuditEvent.Result.REFUSED) for task, why in refused]
    audit.record_many(actor, verb.name, entries)
