"""Which sets of a destination a person may see: those of other people's clusters are not there for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.audit import Actor
from tasks.findsets import FoundSet, Index, Named
from tasks.models import BackupTask, Cluster
from tasks.scope import limits_of


@dataclass(frozen=True)
class Sight:
    """What a search leaves out: the directories of tasks of other clusters, and what a manifest says is of one.

    A set that this console does not know, of a cluster that it does not know, is of nobody's cluster and stays.
    """

    directories: frozenset[str] = frozenset()
    clusters: frozenset[str] = frozenset()

    def hides(self, named: Named) -> bool:
        """Tell whether a set is left out by the name of its directory."""
        return named.directory in self.directories

    def within(self, index: Index) -> Index:
        """Return ``index`` without what is left out by name."""
        return replace(index, sets=tuple(one for one in index.sets if not self.hides(one)))

    def shown(self, sets: list[FoundSet]) -> list[FoundSet]:
        """Return those whose manifests name no other cluster."""
        return [one for one in sets if one.cluster not in self.clusters]


def sight_of(actor: Actor) -> Sight:
    """Return what ``actor`` is not to see in a destination; two queries at most, none for who sees all."""
    limits = None if actor.user is None else limits_of(actor.user)
    if limits is None:
        return Sight()
    rows = BackupTask.all_tasks.values_list("directory", "cluster_id")
    mine = {directory for directory, cluster_id in rows if cluster_id in limits}
    others = {directory for directory, cluster_id in rows if cluster_id not in limits}
    return Sight(
        frozenset(others - mine), frozenset(Cluster.objects.exclude(pk__in=limits).values_list("name", flat=True))
    )
