"""Who looks at the homepage, when, and what that person may see and do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from tasks import alarms
from tasks.alarms import Counts
from tasks.models import Alarm, BackupTask, Cluster, DestinationSpace, Run
from tasks.scope import limits_of, narrowed
from tasks.workers import WorkersState


@dataclass(frozen=True)
class Look:
    """Every query of the homepage begins here, and so sees what the person may see."""

    user: Any
    now: datetime

    def tasks(self) -> QuerySet[BackupTask]:
        """Return the tasks that the person may see."""
        return narrowed(BackupTask.objects.all(), self.user)

    def clusters(self) -> QuerySet[Cluster]:
        """Return the clusters that the person may see."""
        return narrowed(Cluster.objects.all(), self.user, "pk")

    def alarms(self) -> QuerySet[Alarm]:
        """Return the uncleared alarms that the person may see."""
        return narrowed(alarms.uncleared(), self.user)

    def runs(self) -> QuerySet[Run]:
        """Return the runs that the person may see."""
        return narrowed(Run.objects.all(), self.user)

    def spaces(self) -> QuerySet[DestinationSpace]:
        """Return the destinations of tasks that the person may see, and the disks of the console.

        Whoever is limited to nothing sees all: a destination where no task stores any more is forgotten (``spaces``).
        """
        if limits_of(self.user) is None:
            return DestinationSpace.objects.all()
        there = self.tasks().filter(space__isnull=False).order_by().values("space")
        return DestinationSpace.objects.filter(Q(own=True) | Q(pk__in=there))


@dataclass(frozen=True)
class Sight(Look):
    """``may``, ``counts`` of alarms and ``workers`` are what the shell of the page says."""

    may: Mapping[str, bool]
    counts: Counts
    workers: WorkersState
