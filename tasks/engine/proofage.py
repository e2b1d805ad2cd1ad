"""How old the proofs of sets are: what is due, and what is overdue.

A set's last proof is its last check or rehearsal, or its own making where there was none. A moment that lies in the
future was written while the clock was ahead, and counts for nothing: what is due does not wait for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from storage.errors import Corrupt
from tasks.engine.clockback import SKEW
from tasks.engine.record import KEPT
from tasks.models import BackupTask, Run
from tasks.moments import stamp
from tasks.states import Kind, RunState

# A proof that failed is tried again after so long: one that reads, and one that starts an IoTDB.
CHECK_AGAIN = timedelta(hours=1)
REHEARSE_AGAIN = timedelta(days=1)
BEFORE_START = timedelta(minutes=10)
# A proof may be late by so much before anybody is told.
PATIENCE = timedelta(days=1)
_WATCHED = Q(deleted_at__isnull=True, suspended=False)


def due_checks(now: datetime) -> QuerySet[Run]:
    """Return the kept sets whose last proof is older than their task's limit, the oldest first, with their tasks.

    Left out are tasks that are suspended or start soon, and those of which a check failed within the last hour; one
    that found damage did not fail in that sense.
    """
    sets = _of_tasks(_old_sets(now))
    waiting = _failed_since(Kind.CHECK, now - CHECK_AGAIN, now)
    return _may_start(sets, now).filter(~waiting).order_by(Coalesce("checked_at", "verified_at"), "pk")


def due_rehearsals(now: datetime) -> QuerySet[Run]:
    """Return the newest set, made by a service that was not sick, of each task whose last rehearsal is too old."""
    newest = Run.objects.filter(KEPT, _NOT_SICK, task_id=OuterRef("task_id")).order_by("-id").values("pk")[:1]
    sets = _of_tasks(_old_rehearsals(now, "task__")).filter(pk=Subquery(newest))
    waiting = _failed_since(Kind.REHEARSAL, now - REHEARSE_AGAIN, now)
    return _may_start(sets, now).filter(~waiting).order_by("task__last_rehearsed_at", "pk")


def overdue(now: datetime) -> dict[int, str]:
    """Return a sentence for each task, by its key, whose proofs are late by more than a day; two queries and two."""
    found: dict[int, str] = {}
    oldest = _of_tasks(_old_sets(now, PATIENCE)).order_by().values("task_id", "task__check_after_days")
    for row in oldest.annotate(made=Min("verified_at")):
        days = row["task__check_after_days"]
        found[row["task_id"]] = (
            f"A set that was made at {stamp(row['made'])} was not checked again within {_days(days)}."
        )
    late = BackupTask.objects.filter(_WATCHED, _old_rehearsals(now, "", PATIENCE), last_rehearsed_at__isnull=False)
    for task_id, days, last in late.values_list("pk", "rehearse_after_days", "last_rehearsed_at"):
        assert last is not None
        text = f"The last rehearsal was at {stamp(last)}; there should be one every {_days(days)}."
        found[task_id] = f"{found.get(task_id, '')} {text}".strip()
    return found


_NOT_SICK = Q(healthy__isnull=True) | Q(healthy=True)


def _of_tasks(old: Q) -> QuerySet[Run]:
    """Return the kept sets for which ``old`` holds, of tasks that are neither deleted nor suspended."""
    live = Q(task__deleted_at__isnull=True, task__suspended=False)
    return Run.objects.filter(KEPT, live, old).select_related("task")


def _may_start(sets: QuerySet[Run], now: datetime) -> QuerySet[Run]:
    soon = Q(task__next_run_at__isnull=False, task__next_run_at__lte=now + BEFORE_START)
    return sets.exclude(soon)


def _old_sets(now: datetime, more: timedelta = timedelta(0)) -> Q:
    """Return the condition for sets without a proof within their task's limit and ``more``; one query."""
    condition = Q(pk=None)
    for days in _limits("check_after_days"):
        limit = now - timedelta(days=days) - more
        old = [_outside(name, limit, now) for name in ("verified_at", "checked_at", "rehearsed_at")]
        condition |= Q(*old, task__check_after_days=days)
    return condition


def _old_rehearsals(now: datetime, prefix: str, more: timedelta = timedelta(0)) -> Q:
    """Return the condition for tasks, found by ``prefix``, without a rehearsal within their limit; one query."""
    condition = Q(pk=None)
    for days in _limits("rehearse_after_days"):
        limit = now - timedelta(days=days) - more
        condition |= Q(_outside(f"{prefix}last_rehearsed_at", limit, now), **{f"{prefix}rehearse_after_days": days})
    return condition


def _outside(name: str, limit: datetime, now: datetime) -> Q:
    """Return the condition for a moment that is missing, not after ``limit``, or ahead of the clock."""
    return Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__lte": limit}) | Q(**{f"{name}__gt": now + SKEW})


def _limits(name: str) -> list[int]:
    """Return the different limits that tasks have; the form keeps them to a few hundred."""
    limits = BackupTask.objects.filter(suspended=False, **{f"{name}__isnull": False}).order_by()
    return sorted(limits.values_list(name, flat=True).distinct())


def _failed_since(kind: Kind, since: datetime, now: datetime) -> Exists:
    """Return whether a proof of the kind failed, or was stopped, after ``since``."""
    ended = Run.objects.filter(
        task_id=OuterRef("task_id"),
        kind=kind,
        state__in=(RunState.FAILED, RunState.STOPPED),
        ended_at__gt=since,
        ended_at__lte=now + SKEW,
    )
    return Exists(ended.exclude(error_code=Corrupt.code))


def _days(number: int | None) -> str:
    return "a day" if number == 1 else f"{number} days"
