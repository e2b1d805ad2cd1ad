"""What needs attention, worst first: uncleared alarms, and what no alarm tells (``untold``).

The alarms are the truth about what is wrong; there is no second set of rules here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from tasks.engine.record import KEPT
from tasks.home import items
from tasks.home.cures import item_of, rank_of
from tasks.home.figures import Figures
from tasks.home.items import PRESSING, Cures, Item
from tasks.home.sight import Look, Sight
from tasks.home.tally import ClusterTally
from tasks.home.things import Things
from tasks.home.untold import untold
from tasks.models import Alarm, BackupTask, Run
from tasks.workers import WorkersState

# So many are told in full, and so many where all are asked for; the others are counted, with the way to them.
SHOWN, MOST = 8, 100
_SILENT = "workers-silent"
# The alarms that are cured by proving a set.
_PROOFS = ("proof-overdue", "rehearsal-failed")


@dataclass(frozen=True)
class Attention:
    """The worst ``items`` and how many need attention in all; ``alarms`` of these are alarms.

    Alarms that somebody acknowledged are counted apart: they are seen to.
    """

    items: list[Item]
    total: int
    alarms: int
    acknowledged: int
    every: bool = False

    @property
    def more(self) -> int:
        """How many are not told here."""
        return max(0, self.total - len(self.items))

    @property
    def pressing(self) -> list[Item]:
        """Those that need somebody now."""
        return [item for item in self.items if item.rank < PRESSING]


def attention(sight: Sight, clusters: ClusterTally, *, every: bool = False) -> Attention:
    """Return what needs attention, the first or ``every`` one as far as a page goes.

    A fixed number of queries, and none for what the tallies say is not there.
    """
    most, counts, workers = MOST if every else SHOWN, sight.counts, sight.workers
    found: list[Alarm] = _RAISED.objects(sight, most)
    things = Things.of(found)
    # Where alarms fill the list, what comes after them is not told but counted.
    worst = rank_of(found[-1]) if len(found) == most else items.LAST
    others = untold(sight, clusters, most, worst)
    proofs = [things.tasks[alarm.subject] for alarm in found if alarm.code in _PROOFS and alarm.subject in things.tasks]
    cures = _cures(sight, [*proofs, *(task for task, _ in others.tasks if task.sets_kept)])
    told = [item_of(things.subject(alarm, cures)) for alarm in found if workers.alive or alarm.code != _SILENT]
    silent = [] if workers.alive else [_silent(workers)]
    told += [*silent, *(make(task, cures) for task, make in others.tasks), *others.bare_items(cures)]
    told.sort(key=lambda item: item.rank)
    pressing = counts.pressing + len(silent) - sum(alarm.code == _SILENT for alarm in found if silent)
    return Attention(told[:most], pressing + others.total, counts.pressing, counts.acknowledged, every)


def _silent(workers: WorkersState) -> Item:
    return Item(
        rank=items.SILENT,
        key="workers",
        title="No backup starts: the workers are silent",
        cause=workers.cause,
        cure=workers.cure,
        icon="fail",
        css="ico-fail",
        command="manage.py runworkers" if "runworkers" in workers.cure else "",
    )


def _cures(sight: Sight, tasks: Iterable[BackupTask]) -> Cures:
    """Return the cures with the newest set of each task, and the one whose proof is the oldest; one query."""
    keys = {task.pk for task in tasks}
    if not keys or not sight.may["run"]:
        return Cures(sight.may)
    kept = Run.objects.filter(KEPT, task_id=OuterRef("pk")).order_by()
    aged = kept.order_by(Coalesce("checked_at", "verified_at"), "pk")
    rows = (
        BackupTask.objects.filter(pk__in=keys)
        .order_by()
        .values_list("pk", Subquery(kept.order_by("-pk").values("pk")[:1]), Subquery(aged.values("pk")[:1]))
    )
    found = [row for row in rows if row[1] is not None]
    return Cures(sight.may, {row[0]: row[1] for row in found}, {row[0]: row[2] for row in found})


def _raised(look: Look, most: int) -> QuerySet[Alarm]:
    raised = look.alarms().filter(acknowledged_at__isnull=True).select_related("cluster")
    return raised.order_by("urgency", "-pk")[:most]


_RAISED = Figures(_raised)
