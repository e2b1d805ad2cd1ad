"""The verbs on backup tasks, each for any number of them: what is refused and why, and what is changed.

One task is a number like any other: the verbs of a row and those in bulk are these (``tasks.services.tasks``,
``tasks.services.bulk``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import F, prefetch_related_objects

from tasks import alarms, permissions
from tasks.audit import Actor
from tasks.engine import many
from tasks.errors import Refused
from tasks.maintenance import refusal
from tasks.models import BackupTask, Cluster, Maintenance, Run
from tasks.models.run import RESTORES
from tasks.moments import stamp
from tasks.services.common import values_of
from tasks.states import ACTIVE, Kind, RunState

AUDITED = (
    "name", "cluster", "mode", "started", "period", "period_unit", "policy", "data_source", "all_services",
    "path_type", "destination", "copies", "check_after_days", "rehearse_after_days",
)  # fmt: skip


# Of a run that is under way: what is said of it, and what its end counts.
_NEEDED = (
    "kind", "task_id", "restoration_id", "cluster_id", "state", "trigger", "started_by_name", "scheduled_for",
    "queued_at", "started_at", "ended_at", "stop_requested_at", "stop_requested_by", "size",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What is under way: the backup of each task that waits or runs, the restoration of each cluster, the switch."""

    active: Mapping[int, Run]
    restoring: Mapping[int, Run]
    switch: Maintenance

    @classmethod
    def about(cls, tasks: Collection[BackupTask]) -> Facts:
        """Return how it stands with ``tasks``; three queries."""
        runs = Run.objects.filter(state__in=ACTIVE).only(*_NEEDED)
        mine = runs.filter(kind=Kind.BACKUP, task_id__in=[task.pk for task in tasks])
        others = runs.filter(kind__in=RESTORES, cluster_id__in={task.cluster_id for task in tasks})
        return cls(
            {run.task_id: run for run in mine if run.task_id is not None},
            {run.cluster_id: run for run in others.select_related("restoration")},
            Maintenance.current(),
        )

    def runs_of(self, tasks: Iterable[BackupTask]) -> list[Run]:
        """Return the backups of ``tasks`` that wait or run."""
        return [self.active[task.pk] for task in tasks if task.pk in self.active]


@dataclass(frozen=True)
class Change:
    """What the audit says of a task that was changed; ``run`` is the one that was queued for it, if any."""

    note: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None


class TaskVerb(ABC):
    """One verb. ``name`` is what the audit calls it."""

    permission: ClassVar[str] = permissions.RUN
    name: ClassVar[str]

    def lock(self, tasks: Collection[BackupTask]) -> None:  # noqa: B027 (most need the tasks only, which are locked)
        """Lock what has to stand still besides the tasks."""

    @abstractmethod
    def refusal(self, task: BackupTask, facts: Facts, now: datetime) -> Refused | None:
        """Return why it cannot be done to the task as it stands; None where it can."""

    @abstractmethod
    def do(self, actor: Actor, tasks: list[BackupTask], facts: Facts, now: datetime) -> dict[int, Change]:
        """Do it to ``tasks``, which are locked and of which none is refused; return what the audit says of each."""


class BackUpNow(TaskVerb):
    """Queue a run; a suspended task may be run by hand as well."""

    name = "back up now"

    def lock(self, tasks: Collection[BackupTask]) -> None:
        """Lock the clusters, as ``start_restoration`` does: who comes second sees what the first one queued."""
        clusters = Cluster.objects.filter(pk__in={task.cluster_id for task in tasks}).order_by("pk")
        list(clusters.select_for_update(no_key=True).values_list("pk"))

    def refusal(self, task: BackupTask, facts: Facts, now: datetime) -> Refused | None:
        """Refuse during maintenance, while the task is active, and while its cluster is restored."""
        if facts.switch.on(now):
            return refusal(facts.switch)
        run = facts.active.get(task.pk)
        if run is not None:
            doing = "running" if run.state == RunState.RUNNING else "waiting"
            return Refused(f"{task.name} is already {doing}. It was started at {stamp(run.began)} by {run.who}.")
        run = facts.restoring.get(task.cluster_id)
        if run is None:
            return None
        doing = "is restored" if run.state == RunState.RUNNING else "is waiting to be restored"
        return Refused(
            f"The cluster {task.cluster} {doing}: {run.thing.name}, started at {stamp(run.began)} by {run.who}.",
            cure="Back up when that has ended.",
        )

    def do(self, actor: Actor, tasks: list[BackupTask], facts: Facts, now: datetime) -> dict[int, Change]:
        """Queue the runs; the caller offers them to the workers."""
        runs = many.queue_backups(tasks, actor.user, actor.name, now)
        return {pk: Change(f"run {run.pk}", run=run) for pk, run in runs.items()}


class Stop(TaskVerb):
    """End the run that waits, or have the worker end the one that is under way."""

    name = "stop run"

    def refusal(self, task: BackupTask, facts: Facts, now: datetime) -> Refused | None:
        """Refuse where there is nothing to stop."""
        run = facts.active.get(task.pk)
        if run is None:
            return Refused(f"{task.name} is not running.")
        if run.stop_requested_at is not None:
            return Refused(f"{task.name} is stopping already: {run.stop_requested_by} asked for it.")
        return None

    def do(self, actor: Actor, tasks: list[BackupTask], facts: Facts, now: datetime) -> dict[int, Change]:
        """Stop them."""
        runs = facts.runs_of(tasks)
        many.stop_backups(runs, actor.name, now)
        return {run.task_id: Change(f"backup run {run.pk}") for run in runs if run.task_id is not None}


class Suspend(TaskVerb):
    """Stop starting a periodic task automatically, and stop the run that is under way (admin_guide_000231)."""

    name = "suspend task"

    def refusal(self, task: BackupTask, facts: Facts, now: datetime) -> Refused | None:
        """Refuse for manual tasks and for suspended ones."""
        if not task.periodic:
            return Refused(f"{task.name} is a manual task. Only periodic tasks can be suspended.")
        return Refused(f"{task.name} is suspended already.") if task.suspended else None

    def do(self, actor: Actor, tasks: list[BackupTask], facts: Facts, now: datetime) -> dict[int, Change]:
        """Suspend them."""
        keys = [task.pk for task in tasks]
        BackupTask.objects.filter(pk__in=keys).update(
            suspended=True, next_run_at=None, expected_at=None, version=F("version") + 1
        )
        many.stop_backups(facts.runs_of(tasks), actor.name, now)
        return dict.fromkeys(keys, Change())


class Resume(TaskVerb):
    """Start a suspended task automatically again, from its next period on; nothing is made up for."""

    name = "resume task"

    def refusal(self, task: BackupTask, facts: Facts, now: datetime) -> Refused | None:
        """Refuse for what is not suspended."""
        return None if task.suspended else Refused(f"{task.name} is not suspended.")

    def do(self, actor: Actor, tasks: list[BackupTask], facts: Facts, now: datetime) -> dict[int, Change]:
        """Resume them."""
        starts: dict[datetime | None, list[int]] = defaultdict(list)
        for task in tasks:
            schedule = task.schedule
            starts[schedule.first_after(now) if schedule else None].append(task.pk)
        for start, keys in starts.items():
            BackupTask.objects.filter(pk__in=keys).update(
                suspended=False, next_run_at=start, expected_at=start, version=F("version") + 1
            )
        return {task.pk: Change() for task in tasks}


class Delete(TaskVerb):
    """Remove a task from the list. Its backup files stay where they are, and so do its history and its audit."""

    permission = permissions.MANAGE
    name = "delete task"

    def refusal(self, task: BackupTask, facts: Facts, now: datetime) -> Refused | None:
        """Refuse nothing."""
        return None

    def do(self, actor: Actor, tasks: list[BackupTask], facts: Facts, now: datetime) -> dict[int, Change]:
        """Delete them, stop their runs, and clear their alarms."""
        prefetch_related_objects(tasks, "services")
        records = {task.pk: Change(f"{task.sets_kept} sets are kept", audited(task)) for task in tasks}
        many.stop_backups(facts.runs_of(tasks), actor.name, now)
        BackupTask.objects.filter(pk__in=records).update(deleted_at=now, next_run_at=None, expected_at=None)
        damaged = Run.objects.filter(task_id__in=records, damaged_at__isnull=False, kind=Kind.BACKUP)
        subjects = [f"run {pk}" for pk in damaged.values_list("pk", flat=True)]
        alarms.clear_all_of([*(f"task {pk}" for pk in records), *subjects], actor.name, now)
        return records


BACK_UP_NOW, STOP, SUSPEND, RESUME, DELETE = BackUpNow(), Stop(), Suspend(), Resume(), Delete()


def audited(task: BackupTask) -> dict[str, Any]:
    """Return what the audit tells of a task; its services are one more query unless they were fetched with it."""
    values = values_of(task, AUDITED)
    values["services"] = "all" if task.all_services else sorted(service.name for service in task.services.all())
    return values
