"""What no alarm tells: runs that people started and that failed, starts that were postponed, tasks that never ran,
clusters without one, sets that were never proven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Value, Window

from tasks import alarms
from tasks.home import items
from tasks.home.cures import after_failure
from tasks.home.figures import Figures
from tasks.home.items import Cures, Item
from tasks.home.sight import Look, Sight
from tasks.home.tally import (
    NO_REMOTE,
    ClusterTally,
    never,
    no_alarm_tells,
    not_proven,
    not_rehearsed,
    postponed,
)
from tasks.home.things import to_tell
from tasks.models import BackupTask, Cluster, Node
from tasks.moments import stamp
from tasks.rows import below_status
from tasks.states import Mode, RunState

Make = Callable[[BackupTask, Cures], Item]


@dataclass(frozen=True)
class Untold:
    """The first tasks and the first clusters without one, of which no alarm tells, and how many there are in all."""

    tasks: list[tuple[BackupTask, Make]]
    bare: list[Cluster]
    total: int

    def bare_items(self, cures: Cures) -> list[Item]:
        """Return the clusters without a task as things that need attention."""
        return [_no_task(cluster, cures) for cluster in self.bare]


@dataclass(frozen=True)
class _Kind:
    """What no alarm tells of a task: its rank on the page, when it is so, and the words for it."""

    rank: int
    condition: Callable[[datetime], Q]
    make: Make

    def rows(self, sight: Look) -> QuerySet[BackupTask]:
        """Return the tasks."""
        return sight.tasks().filter(self.condition(sight.now)).filter(no_alarm_tells())

    def first(self, sight: Sight, most: int) -> list[tuple[BackupTask, Make]]:
        """Return the first tasks by name."""
        return [(task, self.make) for task in to_tell(self.rows(sight)).order_by("name")[:most]]


def untold(sight: Sight, clusters: ClusterTally, most: int, worst: int) -> Untold:
    """Return ``most`` at most of each kind, and none of kinds that come after ``worst`` on the page, but their number.

    One query that counts, each kind by an index of its own, and one for each that is there and is told.
    """
    numbers: dict[int, int] = dict(_NUMBERS.rows(sight))
    found: list[tuple[BackupTask, Make]] = []
    for place, kind in enumerate(_KINDS):
        if numbers.get(place) and kind.rank <= worst:
            found += kind.first(sight, most)
    bare, number = _bare(sight, most) if clusters.without_task else ([], 0)
    return Untold(found, bare, sum(numbers.values()) + number)


def _bare(sight: Sight, most: int) -> tuple[list[Cluster], int]:
    """Return the first clusters without a task of which no alarm tells, and how many there are."""
    alarmed = alarms.uncleared().filter(cluster=OuterRef("pk"), code=NO_REMOTE).order_by()
    mine = BackupTask.objects.filter(cluster=OuterRef("pk")).order_by()
    nodes = Node.objects.filter(service__cluster=OuterRef("pk")).order_by()
    bare = sight.clusters().filter(~Exists(mine), ~Exists(alarmed)).annotate(has_nodes=Exists(nodes))
    first: list[Any] = list(bare.annotate(of_all=Window(Count("*"))).order_by("name")[:most])
    return first, first[0].of_all if first else 0


def _item(task: BackupTask, **told: object) -> Item:
    return Item(place=task.name, cluster_id=task.cluster_id, **told)  # type: ignore[arg-type]


def _failed(task: BackupTask, cures: Cures) -> Item:
    run = task.last_run
    who = f" when {run.started_by_name} started it" if run and run.started_by_name else ""
    return _item(
        task,
        rank=items.FAILED,
        key=f"failed-{task.pk}",
        title=f"{task.name} failed{who}",
        cause=task.last_reason,
        icon="fail",
        css="ico-fail",
        actions=after_failure(task, cures)[: items.MOST_ACTIONS],
        since=task.last_ended_at,
    )


def _postponed(task: BackupTask, cures: Cures) -> Item:
    set_of = f"Its newest set is of {stamp(task.last_success_at)}." if task.last_success_at else "It has no set yet."
    return _item(
        task,
        rank=items.POSTPONED,
        key=f"postponed-{task.pk}",
        title=f"{task.name} was postponed",
        cause=f"{below_status(task.last_state, task.last_reason)} {set_of}",
        icon="post",
        css="ico-post",
        actions=(*cures.back_up(task), *cures.history(task)),
        since=task.last_ended_at,
    )


def _never(task: BackupTask, cures: Cures) -> Item:
    if task.mode == Mode.MANUAL:
        cause = "It is a manual task: nothing starts it but Back Up Now."
    elif task.suspended:
        cause = "It is suspended and does not run until somebody resumes it."
    elif task.next_run_at is not None:
        cause = f"Its first run is {stamp(task.next_run_at)}."
    else:
        cause = "No run of it has given a set."
    return _item(
        task,
        rank=items.NEVER,
        key=f"never-{task.pk}",
        title=f"{task.name} has never backed up {task.cluster.name}",
        cause=cause,
        icon="circle",
        css="ico-idle",
        actions=tuple(cures.back_up(task) or cures.history(task)),
    )


def _not_proven(task: BackupTask, cures: Cures) -> Item:
    return _item(
        task,
        rank=items.NOT_PROVEN,
        key=f"unproven-{task.pk}",
        title=f"No set of {task.name} has been proven",
        cause=f"{_sets(task)} at the destination; only the size was compared, no byte of them was read back.",
        icon="shieldx",
        css="ico-warn",
        actions=(*cures.check(task), *cures.history(task)),
    )


def _not_rehearsed(task: BackupTask, cures: Cures) -> Item:
    days = task.rehearse_after_days
    return _item(
        task,
        rank=items.NOT_PROVEN,
        key=f"unrehearsed-{task.pk}",
        title=f"{task.name} has never been rehearsed",
        cause=f"{_sets(task)} at the destination, none was started as an IoTDB yet; "
        f"the task wants that every {'day' if days == 1 else f'{days} days'}.",
        icon="shieldx",
        css="ico-warn",
        actions=(*cures.rehearse(task), *cures.history(task)),
    )


def _sets(task: BackupTask) -> str:
    return "1 set is" if task.sets_kept == 1 else f"{task.sets_kept:,} sets are"


def _no_task(cluster: Cluster, cures: Cures) -> Item:
    ready = getattr(cluster, "has_nodes", True)
    return Item(
        rank=items.NO_TASK,
        key=f"bare-{cluster.pk}",
        title=f"Nothing backs up {cluster.name}",
        cause="No task is there for it." if ready else "No task is there for it, and no node is registered yet.",
        icon="warn",
        css="ico-warn",
        actions=tuple(
            cures.create(cluster.pk) or cures.cluster("Show cluster", cluster)
            if ready
            else cures.cluster("Add nodes" if cures.may["inventory"] else "Show cluster", cluster)
        ),
        place=cluster.name,
        cluster_id=cluster.pk,
    )


_KINDS = (
    _Kind(items.FAILED, lambda now: Q(last_state=RunState.FAILED), _failed),
    _Kind(items.POSTPONED, postponed, _postponed),
    _Kind(items.NEVER, lambda now: never(), _never),
    _Kind(items.NOT_PROVEN, lambda now: not_proven(), _not_proven),
    _Kind(items.NOT_PROVEN, lambda now: not_rehearsed(), _not_rehearsed),
)


def _numbers(sight: Look) -> QuerySet[Any, Any]:
    """Return the query of how many there are of each kind, by its place."""
    first, *others = (
        kind.rows(sight)
        .order_by()
        .values(place=Value(place))
        .annotate(number=Count("*"))
        .values_list("place", "number")
        for place, kind in enumerate(_KINDS)
    )
    return first.union(*others, all=True)


_NUMBERS = Figures(_numbers)
