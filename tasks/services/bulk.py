"""A verb done to many tasks at once: in groups, so that no transaction is long, and told as a whole afterwards."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from tasks import audit
from tasks.audit import Actor
from tasks.engine import dispatch
from tasks.models import AuditEvent, BackupTask
from tasks.services.applying import Applied, Batch, Shown, apply
from tasks.services.common import require
from tasks.services.taskverbs import BACK_UP_NOW, DELETE, RESUME, STOP, SUSPEND, TaskVerb

# Tasks of one transaction: a fraction of a second, in which the console's other writers wait.
GROUP = 500
BULK_VERBS: dict[str, TaskVerb] = {
    "run": BACK_UP_NOW,
    "stop": STOP,
    "suspend": SUSPEND,
    "resume": RESUME,
    "delete": DELETE,
}


@dataclass(frozen=True)
class BulkResult:
    """What was done and what was refused; ``event`` is the audit's record of the whole."""

    applied: Applied
    event: AuditEvent

    @property
    def sets_kept(self) -> int:
        """How many backup file sets the tasks keep to which it was done."""
        return sum(task.sets_kept for task, _ in self.applied.done)


def do_in_bulk(actor: Actor, key: str, shown: Mapping[int, Shown], now: datetime) -> BulkResult:
    """Do the verb ``key`` of ``BULK_VERBS`` to the tasks that were shown, by their keys.

    Permission and scope are asked when it is done. What has changed since it was shown, or cannot be done as a task
    stands, is refused for that task alone. Each task has an audit event, and so has the whole, also where it was broken
    off in the middle; they share a mark.

    The tasks are taken in the order of ``shown``. Raises ``PermissionDenied``, on record, for who may not.
    """
    verb = BULK_VERBS[key]
    whole = BackupTask(name=f"{len(shown):,} backup task{'' if len(shown) == 1 else 's'}")
    require(actor, verb.permission, _name(verb), whole)
    batch, applied = Batch(secrets.token_hex(4), shown), Applied()
    try:
        for keys in _groups(shown):
            part = apply(actor, verb, keys, now, batch)
            applied.done += part.done
            applied.refused += part.refused
    except Exception:
        _record(actor, verb, whole, applied, f"in bulk {batch.mark}; broken off before its end")
        raise
    event = _record(actor, verb, whole, applied, f"in bulk {batch.mark}")
    if verb is BACK_UP_NOW:
        dispatch.offer(now)
    return BulkResult(applied, event)


def _name(verb: TaskVerb) -> str:
    return f"{verb.name} in bulk"


def _groups(keys: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(keys)
    while group := list(islice(rest, GROUP)):
        yield group


def _record(actor: Actor, verb: TaskVerb, whole: BackupTask, applied: Applied, note: str) -> AuditEvent:
    reasons: dict[str, list[str]] = defaultdict(list)
    for refusal in applied.refused:
        reasons[str(refusal.why)].append(refusal.task.name if refusal.task else f"task {refusal.pk}")
    after: dict[str, Any] = {"done": len(applied.done), "refused": len(applied.refused)}
    after["reasons"] = [{"reason": reason, "tasks": names} for reason, names in reasons.items()]
    done = AuditEvent.Result.SUCCESSFUL if applied.done else AuditEvent.Result.REFUSED
    return audit.record(actor, _name(verb), whole, after=after, note=note, result=done)
