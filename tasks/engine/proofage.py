"""How old the proofs of sets are: what is due, and what is overdue.

A set's last proof is its last check or rehearsal, or its own making where there was none. A moment that lies in the
future was written while the clock was ahead, and counts for nothing: what is due does not wait for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Min, OuterRef, Q, QuerySet, Subquery
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
_NOT_SICK = Q(healthy__isnull=True) | Q(healthy=True)
# A proof seldom waits so long; the bound lets the database go by the index of the line.
_WAITED = timedelta(days=1)


def due_checks(now: datetime) -> QuerySet[Run]:
    """Return the kept sets whose last proof is older than their task's limit, the oldest first, with their tasks.

    Left out are tasks that are suspended or start soon, and those of which a check failed within the last hour; one
    that found damage did not fail in that sense.
    """
    starting = Q(task__next_run_at__isnull=False, task__next_run_at__lte=now + BEFORE_START)
    sets = _old_sets(now).exclude(starting).exclude(task_id__in=_failed_since(Kind.CHECK, now - CHECK_AGAIN, now))
    return sets.select_related("task").order_by(Coalesce("checked_at", "verified_at"), "pk")


def due_rehearsals(now: datetime) -> QuerySet[Run]:
    """Return the newest set, made by a service that was not sick, of each task whose last rehearsal is too old."""
    newest = Run.objects.filter(KEPT, _NOT_SICK, task_id=OuterRef("pk")).order_by("-id").values("pk")[:1]
    starting = Q(next_run_at__isnull=False, next_run_at__lte=now + BEFORE_START)
    tasks = _late_rehearsals(now).exclude(starting)
    tasks = tasks.exclude(pk__in=_failed_since(Kind.REHEARSAL, now - REHEARSE_AGAIN, now))
    sets = tasks.order_by().values(newest=Subquery(newest))
    return Run.objects.filter(pk__in=sets).select_related("task").order_by("task__last_rehearsed_at", "pk")


def overdue(now: datetime) -> dict[int, str]:
    """Return a sentence for each task, by its key, whose proofs are late by more than a day; four queries."""
    found: dict[int, str] = {}
    oldest = _old_sets(now, PATIENCE).order_by().values("task_id", "task__check_after_days")
    for row in oldest.annotate(made=Min("verified_at")):
        days = row["task__check_after_days"]
        found[row["task_id"]] = (
            f"A set that was made at {stamp(row['made'])} was not checked again within {_days(days)}."
        )
    late = _late_rehearsals(now, PATIENCE).filter(last_rehearsed_at__isnull=False)
    for task_id, days, last in late.values_list("pk", "rehearse_after_days", "last_rehearsed_at"):
        assert last is not None
        text = f"The last rehearsal was at {stamp(last)}, and the limit is {_days(days)}."
        found[task_id] = f"{found.get(task_id, '')} {text}".strip()
    return found


def _old_sets(now: datetime, more: timedelta = timedelta(0)) -> QuerySet[Run]:
    """Return the kept sets without a proof within their task's limit and ``more``, of tasks that are watched."""
    old = Q(pk=None)
    for days in _limits("check_after_days"):
        limit = now - timedelta(days=days) - more
        proofs = [_outside(name, limit, now) for name in ("verified_at", "checked_at", "rehearsed_at")]
        old |= Q(*proofs, task__check_after_days=days)
    return Run.objects.filter(KEPT, old, task__deleted_at__isnull=True, task__suspended=False)


def _late_rehearsals(now: datetime, more: timedelta = timedelta(0)) -> QuerySet[BackupTask]:
    """Return the tasks without a rehearsal within their limit and ``more``."""
    old = Q(pk=None)
    for days in _limits("rehearse_after_days"):
        limit = now - timedelta(days=days) - more
        old |= Q(_outside("last_rehearsed_at", limit, now), rehearse_after_days=days)
    return BackupTask.objects.filter(_WATCHED, old)


def _outside(name: str, limit: datetime, now: datetime) -> Q:
    """Return the condition for a moment that is missing, not after ``limit``, or ahead of the clock."""
    return Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__lte": limit}) | Q(**{f"{name}__gt": now + SKEW})


def _limits(name: str) -> list[int]:
    """Return the different limits that tasks have; the form keeps them to a few hundred."""
    limits = BackupTask.objects.filter(suspended=False, **{f"{name}__isnull": False}).order_by()
    return sorted(limits.values_list(name, flat=True).distinct())


def _failed_since(kind: Kind, since: datetime, now: datetime) -> QuerySet[Run, int | None]:
    """Return the keys of the tasks of which a proof of the kind failed, or was stopped, after ``since``."""
    ended = Run.objects.filter(
        kind=kind,
        state__in=(RunState.FAILED, RunState.STOPPED),
        queued_at__gt=since - _WAITED,
        ended_at__gt=since,
        ended_at__lte=now + SKEW,
    )
    return ended.exclude(error_code=Corrupt.code).values_list("task_id", flat=True)


def _days(number: int | None) -> str:
    return "1 day" if number == 1 else f"{number} days"
