"""One thing that needs attention: what it is, why, and what can be done about it right there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse

from tasks.models import BackupTask, Cluster

# The order of the page. Alarms stand at the place of their severity, times ten.
SILENT, CRITICAL, MAJOR, FAILED, NO_TASK, POSTPONED, NEVER = -1, 0, 10, 11, 12, 14, 16
MINOR, NOT_PROVEN, SUGGESTION, LAST = 20, 22, 30, 99
# What stands above this needs somebody now; a cluster of which it is said "needs you".
PRESSING = MINOR
# As many words as a button bears.
MOST_ACTIONS = 3


@dataclass(frozen=True)
class Action:
    """A cure that is one click away: a verb that is done (``post``), or a link to where it is done."""

    label: str
    url: str
    post: bool = False


@dataclass(frozen=True)
class Item:
    """``title`` and ``cause`` may hold moments (``tasks.moments``); ``command`` is one to be typed on the host."""

    rank: int
    key: str
    title: str
    cause: str
    icon: str
    css: str
    actions: tuple[Action, ...] = ()
    cure: str = ""
    command: str = ""
    place: str = ""
    cluster_id: int | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Cures:
    """Makes the actions that a person may take; what the role does not allow is not there."""

    may: Mapping[str, bool]
    # By task the run that gave the newest set, where one is kept, and that of the set whose proof is the oldest.
    newest: Mapping[int, int] = field(default_factory=dict)
    oldest: Mapping[int, int] = field(default_factory=dict)

    def back_up(self, task: BackupTask) -> list[Action]:
        """Back Up Now."""
        return self._post("run", "Back Up Now", "task-run", task.pk)

    def check(self, task: BackupTask, *, oldest: bool = False) -> list[Action]:
        """Check set: of the newest one, or of the one whose proof is the oldest."""
        run = (self.oldest if oldest else self.newest).get(task.pk)
        return self.check_run(run) if run else []

    def check_run(self, run_id: int) -> list[Action]:
        """Check set: of this run."""
        return self._post("run", "Check set", "run-check", run_id)

    def rehearse(self, task: BackupTask) -> list[Action]:
        """Rehearse the newest set."""
        run = self.newest.get(task.pk)
        return self._post("run", "Rehearse", "run-rehearse", run) if run else []

    def configure(self, label: str, task: BackupTask, name: str) -> list[Action]:
        """Go to the field ``name`` of the task's form."""
        return [Action(label, f"{reverse('task-configure', args=[task.pk])}#id_{name}")] if self.may["manage"] else []

    def verify(self, task: BackupTask) -> list[Action]:
        """Go to where the destination is tried."""
        return [Action("Verify", reverse("task-verify", args=[task.pk]))] if self.may["run"] else []

    def history(self, task: BackupTask) -> list[Action]:
        """View History."""
        return [Action("View History", reverse("task-history", args=[task.pk]))]

    def log(self, task: BackupTask) -> list[Action]:
        """View log of the last run, or the history where there is none."""
        if not task.last_run_id:
            return self.history(task)
        return [Action("View log", reverse("run-log", args=[task.last_run_id]))]

    def create(self, cluster_id: int) -> list[Action]:
        """Create a task of the cluster."""
        url = f"{reverse('task-new')}?cluster={cluster_id}"
        return [Action("Create a task", url)] if self.may["manage"] else []

    def cluster(self, label: str, cluster: Cluster | int) -> list[Action]:
        """Go to the page of the cluster."""
        return [Action(label, reverse("cluster", args=[cluster if isinstance(cluster, int) else cluster.pk]))]

    def node(self, label: str, node_id: int, name: str) -> list[Action]:
        """Go to the field ``name`` of the node's form."""
        return [Action(label, f"{reverse('node-edit', args=[node_id])}#id_{name}")] if self.may["inventory"] else []

    def _post(self, right: str, label: str, route: str, pk: int) -> list[Action]:
        return [Action(label, reverse(route, args=[pk]), post=True)] if self.may[right] else []
