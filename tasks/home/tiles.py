"""Four figures, each an answer to a question: protected, how old, proven, how much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from tasks.home.figures import Figures
from tasks.home.sight import Sight
from tasks.home.tally import ClusterTally, TaskTally
from tasks.states import Mode
from tasks.units import format_distance, format_size


@dataclass(frozen=True)
class Tile:
    """``big`` with its ``unit`` answers the question ``label``; ``detail`` stands below, ``url`` leads on."""

    label: str
    big: str
    unit: str = ""
    detail: str = ""
    url: str = ""
    at: datetime | None = None
    warn: bool = False


def tiles(sight: Sight, tasks: TaskTally, clusters: ClusterTally) -> list[Tile]:
    """Return the tiles; one query."""
    return [
        _protected(clusters),
        _oldest(sight),
        _proven(tasks, clusters, sight.now),
        Tile("Kept", f"{tasks.sets:,}", "set" if tasks.sets == 1 else "sets", format_size(tasks.bytes)),
    ]


def _protected(clusters: ClusterTally) -> Tile:
    missing = clusters.total - clusters.protected
    if not missing:
        detail = "All have a recent copy on another host"
    else:
        detail = f"{missing:,} {'has' if missing == 1 else 'have'} no recent copy on another host"
    label = "Clusters protected off host"
    return Tile(label, f"{clusters.protected:,}", f"of {clusters.total:,}", detail, warn=bool(missing))


def _oldest(sight: Sight) -> Tile:
    """Return the age of the oldest last success of all tasks that are started by the system."""
    label = "Oldest last success"
    found = _OLDEST.rows(sight)
    if not found:
        return Tile(label, "None", detail="No periodic task has succeeded yet")
    key, name, at = found[0]
    age = format_distance(sight.now - at)
    big, _, unit = age.rpartition(" ") if age.startswith("under") else age.partition(" ")
    return Tile(label, big, f"{unit} ago", name, reverse("task-history", args=[key]), at)


def _proven(tasks: TaskTally, clusters: ClusterTally, now: datetime) -> Tile:
    last = tasks.last_rehearsal
    detail = f"Last rehearsal {format_distance(now - last)} ago" if last else "No set was rehearsed yet"
    missing = clusters.proven < clusters.total
    return Tile("Proven restorable", f"{clusters.proven:,}", f"of {clusters.total:,}", detail, at=last, warn=missing)


_OLDEST = Figures(
    lambda sight: (
        sight.tasks()
        .filter(mode=Mode.PERIODIC, suspended=False, last_success_at__isnull=False)
        .order_by("last_success_at")
        .values_list("pk", "name", "last_success_at")[:1]
    )
)
