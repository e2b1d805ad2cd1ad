"""What alarms are about: the tasks and destinations behind their subjects, fetched in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from tasks.home.cures import Subject
from tasks.home.items import Cures
from tasks.keptsql import KeptQuery, numbered
from tasks.models import Alarm, BackupTask, Run

_TOLD = (
    "name", "cluster__name", "mode", "path_type", "suspended", "next_run_at", "space_id", "sets_kept", "last_state",
    "last_reason", "last_ended_at", "last_success_at", "rehearse_after_days", "last_run__error_code",
    "last_run__started_by_name",
)  # fmt: skip


@dataclass(frozen=True)
class Things:
    """The tasks that alarms are about, by the alarms' subjects."""

    tasks: dict[str, BackupTask]

    @classmethod
    def of(cls, found: Iterable[Alarm]) -> Things:
        """Fetch them; four queries at most."""
        keys: dict[str, set[int]] = {"task": set(), "run": set(), "space": set()}
        for alarm in found:
            kind, _, number = alarm.subject.rpartition(" ")
            if kind in keys and number.isdigit():
                keys[kind].add(int(number))
        tasks = {f"task {task.pk}": task for task in _by_keys(keys["task"])}
        if keys["run"]:
            runs = dict(Run.objects.filter(pk__in=keys["run"]).values_list("pk", "task_id"))
            owners = {task.pk: task for task in _by_keys(set(runs.values()))}
            tasks |= {f"run {run}": owners[key] for run, key in runs.items() if key in owners}
        return cls(tasks | (_only_tasks(keys["space"]) if keys["space"] else {}))

    def subject(self, alarm: Alarm, cures: Cures) -> Subject:
        """Return the alarm with what it is about."""
        return Subject(alarm, cures, self.tasks.get(alarm.subject))


def _only_tasks(spaces: set[int]) -> dict[str, BackupTask]:
    """Return the task of each destination at which one task alone stores."""
    another = BackupTask.objects.filter(space=OuterRef("space")).exclude(pk=OuterRef("pk"))
    alone = to_tell(BackupTask.objects.filter(~Exists(another), space__in=spaces))
    return {f"space {task.space_id}": task for task in alone}


def _by_keys(keys: Iterable[int]) -> list[BackupTask]:
    return _BY_KEYS.objects(**numbered(keys))


def to_tell(tasks: QuerySet[BackupTask]) -> QuerySet[BackupTask]:
    """Return ``tasks`` with cluster and last run, and of them all only what is told on the homepage."""
    return tasks.select_related("cluster", "last_run").only(*_TOLD)


_BY_KEYS = KeptQuery(lambda **keys: to_tell(BackupTask.objects.filter(pk__in=list(keys.values()))))
