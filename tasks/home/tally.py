"""The figures of all tasks and clusters at once: how many are protected, how many were never backed up or proven."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import CharField, Count, Exists, F, Max, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Concat

from tasks import alarms
from tasks.home.figures import Figures, summed
from tasks.home.sight import Look, Sight
from tasks.models import BackupTask, Cluster, Run
from tasks.overdue import is_overdue
from tasks.scope import limits_of
from tasks.states import ACTIVE, Kind, Mode, RunState

DAY = timedelta(days=1)
NO_REMOTE, UNKNOWN = "no-remote-task", "restoration-unknown"
# LocalDir does not count (ALM-12057): the disk goes with the machine.
LOCAL = "LocalDir"
_PROVEN = Q(last_verified_at__isnull=False) | Q(last_checked_at__isnull=False) | Q(last_rehearsed_at__isnull=False)
HAS_SETS = Q(sets_kept__gt=0)
# Of a task of which one of these is raised nothing else is told.
_TELLING = ("backup-failed", "task-overdue", "rehearsal-failed", "proof-overdue")
# The states of a task's last run that come first on the page, in their order.
TROUBLE = (RunState.FAILED, RunState.POSTPONED, RunState.WARNINGS, RunState.STOPPED)
# The order in which the verdict tells how runs ended.
ENDS = (RunState.SUCCESSFUL, RunState.WARNINGS, RunState.FAILED, RunState.POSTPONED, RunState.STOPPED)


@dataclass(frozen=True)
class TaskTally:
    """Counts of the tasks of a person; ``sets`` and ``bytes`` are what they keep together."""

    total: int
    suspended: int
    in_trouble: dict[RunState, int]
    sets: int
    bytes: int
    last_rehearsal: datetime | None


@dataclass(frozen=True)
class ClusterTally:
    """The clusters of a person by name: keys with names, those of them that are not protected, and two counts."""

    names: dict[int, str]
    unprotected: dict[int, str]
    proven: int
    without_task: int

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def protected(self) -> int:
        """How many of them are."""
        return len(self.names) - len(self.unprotected)


def postponed(now: datetime) -> Q:
    """Return the condition for tasks whose last start was postponed within a day: nothing ran since."""
    return Q(last_state=RunState.POSTPONED, last_ended_at__gt=now - DAY)


def never() -> Q:
    """Return the condition for tasks that have never given a set, and did not fail in trying."""
    other = (*ACTIVE, RunState.FAILED, RunState.POSTPONED)
    return Q(last_success_at__isnull=True) & ~Q(last_state__in=other)


def not_proven() -> Q:
    """Return the condition for tasks of which no byte of a set was ever read back."""
    nothing = Q(last_verified_at__isnull=True, last_checked_at__isnull=True, last_rehearsed_at__isnull=True)
    return nothing & HAS_SETS & Q(proof_problem="")


def not_rehearsed() -> Q:
    """Return the condition for tasks that want rehearsals and have never had one."""
    wanted = Q(rehearse_after_days__isnull=False, last_rehearsed_at__isnull=True, proof_problem="")
    return HAS_SETS & wanted & _PROVEN


def no_alarm_tells() -> Q:
    """Return the condition for tasks of which no alarm tells; it is the dearest one, and best looked up last."""
    subject = Concat(Value("task "), Cast(OuterRef("pk"), CharField()))
    return Q(~Exists(alarms.uncleared().filter(code__in=_TELLING, subject=subject).order_by()))


def _by_state(sight: Look) -> QuerySet[Any, Any]:
    return sight.tasks().order_by().values_list("last_state", "suspended").annotate(number=Count("*"))


def _of_sets(sight: Look) -> QuerySet[Any, Any]:
    return summed(
        sight.tasks(),
        sets=Sum("sets_kept", default=0),
        size=Sum("bytes_kept", default=0),
        last_rehearsal=Max("last_rehearsed_at"),
    )


def of_tasks(sight: Sight) -> TaskTally:
    """Count the tasks; two queries, each of an index alone."""
    by_state, suspended = dict.fromkeys((*TROUBLE, ""), 0), 0
    for state, stopped, number in _BY_STATE.rows(sight):
        by_state[state if state in by_state else ""] += number
        suspended += number if stopped else 0
    total = sum(by_state.values())
    sets, size, last_rehearsal = next(iter(_OF_SETS.rows(sight)), (0, 0, None))
    in_trouble = {state: by_state[state] for state in TROUBLE}
    # PostgreSQL adds up to decimals.
    return TaskTally(total, suspended, in_trouble, int(sets), int(size), last_rehearsal)


def _judged(sight: Look) -> QuerySet[Any, Any]:
    mine = BackupTask.objects.filter(cluster=OuterRef("pk")).order_by()
    return (
        judged(sight.clusters(), sight.now)
        .annotate(is_proven=Exists(mine.filter(_PROVEN & HAS_SETS, proof_problem="")), has_task=Exists(mine))
        .order_by("name")
        .values_list("pk", "name", "is_protected", "is_proven", "has_task")
    )


def of_clusters(sight: Sight) -> ClusterTally:
    """Judge each cluster; one query."""
    rows = _JUDGED.rows(sight)
    return ClusterTally(
        names={key: name for key, name, *_ in rows},
        unprotected={key: name for key, name, protected, *_ in rows if not protected},
        proven=sum(bool(proven) for *_, proven, _ in rows),
        without_task=sum(not has_task for *_, has_task in rows),
    )


def judged(clusters: QuerySet[Cluster], now: datetime) -> QuerySet[Any]:
    """Return ``clusters`` with ``is_protected``: a set is on another host, and none that is due is missing there.

    Whoever acknowledged that a cluster has no task to another host is content with its sets on this one. A cluster of
    which nobody knows what it holds is not protected. The rules are those of the alarms and of ``tasks.overdue``.
    """
    kept = BackupTask.objects.filter(HAS_SETS, cluster=OuterRef("pk"), mode=Mode.PERIODIC, suspended=False).order_by()
    in_time = kept.exclude(is_overdue(now))
    raised = alarms.uncleared().filter(cluster=OuterRef("pk")).order_by()
    no_remote = raised.filter(code=NO_REMOTE)
    elsewhere = Exists(in_time.exclude(path_type=LOCAL)) & ~Exists(no_remote)
    content = Exists(in_time) & Exists(no_remote.filter(acknowledged_at__isnull=False))
    return clusters.annotate(is_protected=(elsewhere | content) & ~Exists(raised.filter(code=UNKNOWN)))


def _ended(sight: Look) -> QuerySet[Any, Any]:
    # The states are named, so that each is a range of the index.
    runs = Run.objects.filter(kind=Kind.BACKUP, state__in=ENDS, ended_at__gt=sight.now - DAY, ended_at__lte=sight.now)
    limits = limits_of(sight.user)
    if limits is not None:
        # A sum, so that SQLite goes by the index of ends and not through all runs that a large cluster ever had.
        runs = runs.alias(its_cluster=F("cluster_id") + 0).filter(its_cluster__in=limits)
    # Not of keys, which PostgreSQL's index does not hold: it would look at every row.
    return runs.order_by().values_list("state").annotate(number=Count("*"))


def ended_within_a_day(sight: Sight) -> dict[RunState, int]:
    """Return how many backups ended in which state within 24 hours; one query, of an index alone."""
    found: dict[str, int] = dict(_ENDED.rows(sight))
    return {state: found[state] for state in ENDS if found.get(state)}


_BY_STATE, _OF_SETS, _JUDGED, _ENDED = (Figures(build) for build in (_by_state, _of_sets, _judged, _ended))
