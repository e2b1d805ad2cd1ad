"""The words of the verbs in bulk: what is asked, what will happen to each task, and what was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.db.models.functions import Coalesce

from tasks.engine.lease import free_slots
from tasks.models import BackupFile, BackupTask, Run
from tasks.moments import stamp
from tasks.rows import place_of
from tasks.services.taskverbs import Facts
from tasks.states import ACTIVE, Kind, RunState

Say = Callable[[BackupTask], str]


@dataclass(frozen=True)
class Words:
    """What a verb is called on the pages.

    ``{}`` stands for ``2 tasks``, ``{backup}`` for ``2 backup tasks``, ``{sets}`` for what they keep.
    """

    label: str
    icon: str
    question: str
    button: str
    keep: str
    lead: str
    can: str
    done: str
    danger: bool = False

    @property
    def css(self) -> str:
        """The colour of the verb's mark."""
        return "ico-fail" if self.danger else "ico-run"


WORDS: dict[str, Words] = {
    "run": Words(
        "Back Up Now", "play", "Back up {} now?", "Back up {}", "Not now",
        "Each gets a run. One cluster runs one at a time; the others wait in line.",
        "backed up now", "{} queued. Progress is shown on this page.",
    ),
    "stop": Words(
        "Stop", "stop", "Stop {}?", "Stop {}", "Let them run",
        "What is stopped leaves no file. Sets of earlier runs stay.",
        "stopped", "Stop was requested for {}. What was running ends within seconds.", True,
    ),
    "suspend": Words(
        "Suspend", "pause", "Suspend {}?", "Suspend {}", "Leave the schedules",
        "Suspended tasks start no more by themselves until somebody resumes them. Runs under way are stopped.",
        "suspended", "{} suspended. They start no more by themselves until somebody resumes them.",
    ),
    "resume": Words(
        "Resume", "play", "Resume {}?", "Resume {}", "Leave them suspended",
        "They start by their schedules again. What was missed is not made up for.",
        "resumed", "{} resumed. They start by their schedules again.",
    ),
    "delete": Words(
        "Delete", "trash", "Delete {backup}?", "Delete {}", "Keep the tasks",
        "The tasks and their schedules are removed. Deleting cannot be undone.",
        "deleted", "{} deleted. {sets} where they are.", True,
    ),
}  # fmt: skip


def tasks_in_words(number: int, kind: str = "task") -> str:
    """Return ``1 task``, ``2 tasks``."""
    return f"{number:,} {kind}{'' if number == 1 else 's'}"


def done_in_words(key: str, number: int, sets: int) -> str:
    """Return what was done to a number of tasks that keep so many sets."""
    kept = f"{sets:,} backup file set{' stays' if sets == 1 else 's stay'}"
    return WORDS[key].done.format(tasks_in_words(number), sets=kept)


def typed_word(key: str, number: int) -> str:
    """Return what has to be typed before a verb is done to so many tasks; empty where nothing has."""
    return f"delete {number} tasks" if key == "delete" and number > 1 else ""


# --- What will happen to each ----------------------------------------------------------------------------------------
class Queue:
    """Tells where runs will stand that are queued one after the other: behind which one, or first."""

    def __init__(self) -> None:
        runs = Run.objects.filter(state__in=ACTIVE).order_by("queued_at", "pk")
        named = runs.annotate(name=Coalesce("task__name", "restoration__name"))
        found = list(named.values_list("cluster_id", "name", "state"))
        self._last = {cluster_id: name for cluster_id, name, _ in found}
        running = {cluster_id for cluster_id, _, state in found if state == RunState.RUNNING}
        self._free = free_slots() - len(self._last.keys() - running)

    def say(self, task: BackupTask) -> str:
        """Return what becomes of the run of ``task``; the next one of its cluster stands behind it."""
        before = self._last.get(task.cluster_id)
        self._last[task.cluster_id] = task.name
        if before:
            return f"Waits behind {before}."
        self._free -= 1
        return "Will be started." if self._free >= 0 else "Starts as soon as a worker is free."


def ended(task: BackupTask, facts: Facts) -> str:
    """Return what becomes of the run that waits or is under way; empty where there is none."""
    run = facts.active.get(task.pk)
    if run is None:
        return ""
    if run.state == RunState.RUNNING:
        return f"The run of {stamp(run.began)} ends within seconds and leaves no file."
    return f"The run of {stamp(run.began)} leaves the line. Nothing of it was run."


def suspended(task: BackupTask, facts: Facts) -> str:
    """Return what a suspension does."""
    return _joined(_missed(task) or "It starts no more by itself.", ended(task, facts))


def resumed(task: BackupTask, now: datetime) -> str:
    """Return when the task starts next."""
    schedule = task.schedule
    return f"The next run is {stamp(schedule.first_after(now))}." if schedule else "It starts by hand only."


def deleted(task: BackupTask, facts: Facts, directory: str) -> str:
    """Return what stays of a task, and where: ``directory`` holds its newest set."""
    kept, place = task.sets_kept, place_of(task)
    where = f"on {place}{f' in {directory}' if directory else ''}"
    sets = f"{kept:,} backup file set{' stays' if kept == 1 else 's stay'} {where}." if kept else "It keeps no sets."
    return _joined(sets, _missed(task), ended(task, facts))


def directories(tasks: Sequence[BackupTask]) -> dict[int, str]:
    """Return where the newest file of each task lies, by the task's key; two queries."""
    files = BackupFile.objects.filter(run__task__in=[task.pk for task in tasks if task.sets_kept])
    newest = files.filter(run__kind=Kind.BACKUP, removed_at__isnull=True).values("run__task_id").order_by()
    keys = {row["newest"]: row["run__task_id"] for row in newest.annotate(newest=Max("pk"))}
    paths = BackupFile.objects.filter(pk__in=keys).values_list("pk", "path")
    return {keys[pk]: path.rpartition("/")[0] for pk, path in paths}


def _missed(task: BackupTask) -> str:
    return f"The next run, {stamp(task.next_run_at)}, will not take place." if task.next_run_at else ""


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
