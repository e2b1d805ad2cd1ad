"""One row of the list in words: what a task is, how its last run stands, and what can be done with it now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from django.db.models import Count, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from storage.registry import get_path_type
from tasks.badges import Badge, badge
from tasks.engine.lease import ahead_of
from tasks.models import BackupTask, Restoration, Run
from tasks.progress import Progress, place_in_line, progress_of
from tasks.states import ACTIVE, PeriodUnit, RunState
from tasks.units import format_duration, format_size

# Of a task, its cluster and its last run; what is not among it would be fetched row by row.
OF_A_ROW = (
    "name", "cluster__name", "mode", "period", "period_unit", "suspended", "path_type", "destination", "copies",
    "next_run_at", "last_state", "last_bytes", "last_reason", "last_success_at", "sets_kept", "check_after_days",
    "rehearse_after_days", "last_verified_at", "last_checked_at", "last_rehearsed_at", "proof_problem", "outcomes",
    "last_run__started_at", "last_run__ended_at", "last_run__step", "last_run__bytes_read", "last_run__bytes_expected",
    "last_run__stop_requested_at", "last_run__stop_requested_by",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """The place of a waiting run in the line of its cluster (design.md, decision 4)."""

    place: int
    ahead: str

    @property
    def words(self) -> str:
        """The place in words."""
        return place_in_line(self.place)

    @property
    def after(self) -> str:
        """What it waits for."""
        return f"Starts after {self.ahead}" if self.ahead else "Starts as soon as a worker is free"


class Row:
    """A task as the list shows it; ``line`` is given where its run waits."""

    def __init__(self, task: BackupTask, line: Line | None = None) -> None:
        self.task = task
        self.line = line

    @property
    def run(self) -> Run | None:
        """The newest run."""
        return self.task.last_run

    @property
    def state(self) -> str:
        """The state of the newest run; empty where there is none."""
        return self.task.last_state

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self.state == RunState.RUNNING

    @property
    def waiting(self) -> bool:
        """Whether a run waits for its turn."""
        return self.state == RunState.WAITING

    @property
    def active(self) -> bool:
        """Whether a run waits or is under way."""
        return self.state in ACTIVE

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to end and it has not yet."""
        return bool(self.running and self.run and self.run.stop_requested_at)

    @cached_property
    def period(self) -> str:
        """Mode and period in words: ``Periodic, every 4 h``."""
        return f"Periodic, {every(self.task)}" if self.task.periodic else "Manual"

    @property
    def every(self) -> str:
        """The period in words, without the mode."""
        return every(self.task)

    @cached_property
    def place(self) -> str:
        """Where the files go, in a few words."""
        return place_of(self.task)

    @property
    def cause(self) -> str:
        """What stands below the status: the reason of the end, or what is being done."""
        if self.stopping and self.run:
            return f"Stop was requested by {self.run.stop_requested_by}"
        if self.running:
            return self.run.step if self.run else ""
        if self.waiting:
            return self.line.words if self.line else ""
        return below_status(self.state, self.task.last_reason)

    @cached_property
    def proof(self) -> Badge:
        """How far it is proven that the sets can be restored."""
        return badge(self.task, timezone.now())

    @cached_property
    def progress(self) -> Progress:
        """The figures of the run that is under way."""
        run = self.run
        if run is None:
            return progress_of(0, 0, timedelta(0))
        return progress_of(run.bytes_read, run.bytes_expected, run.duration or timedelta(0))

    @property
    def result(self) -> str:
        """Duration and size of the last run that ended: ``1 min 12 s, 1.81 GB``."""
        task = self.task
        # The task's own copy of the start falls back to when the run was queued, so the run itself is asked.
        run = self.run
        if self.state == RunState.POSTPONED or run is None or run.started_at is None or run.ended_at is None:
            return "Nothing was run"
        took = format_duration(run.ended_at - run.started_at)
        return f"{took}, {format_size(task.last_bytes) if task.last_bytes is not None else 'no file'}"

    @property
    def cannot_run(self) -> str:
        """Why Back Up Now is impossible at the moment; empty where it is possible."""
        return "Already running" if self.running else "Already waiting" if self.waiting else ""

    @property
    def cannot_stop(self) -> str:
        """Why Stop is impossible at the moment."""
        return "Stop was requested" if self.stopping else "" if self.active else "Not running"

    @property
    def cannot_restore(self) -> str:
        """Why no set of the task can be chosen to be restored."""
        return "" if self.task.sets_kept else "No set is kept"

    @property
    def cannot_suspend(self) -> str:
        """Why Suspend is impossible."""
        return "" if self.task.periodic else "Only periodic tasks"


def below_status(state: str, reason: str) -> str:
    """Return a reason as it stands below the word of its state, without saying the state again."""
    label = RunState(state).label if state else ""
    text = reason.removeprefix(f"{label}: ")
    return text[:1].upper() + text[1:]


def every(task: BackupTask) -> str:
    """Return the period of a task: ``every hour``, ``every 4 h``, ``every day``, ``every 7 days``."""
    if task.period == 1:
        return "every hour" if task.period_unit == PeriodUnit.HOURS else "every day"
    return f"every {task.period} {'h' if task.period_unit == PeriodUnit.HOURS else 'days'}"


def place_of(task: BackupTask | Restoration) -> str:
    """Return the destination of a task in a few words; a path type that is gone says nothing."""
    try:
        return get_path_type(task.path_type).summary(task.destination)
    except KeyError:
        return ""


def rows_of(tasks: Iterable[BackupTask]) -> list[Row]:
    """Return the rows of ``tasks``, whose ``cluster`` and ``last_run`` are fetched; one more query at most."""
    tasks = list(tasks)
    lines = lines_of({task.last_run_id or 0 for task in tasks if task.last_state == RunState.WAITING})
    return [Row(task, lines.get(task.last_run_id or 0)) for task in tasks]


def lines_of(run_ids: set[int]) -> dict[int, Line]:
    """Return the place of each of the runs that waits, by its key; one query, which reads no other run."""
    if not run_ids:
        return {}
    cluster = Run.objects.filter(cluster_id=OuterRef("cluster_id"))
    before = cluster.filter(ahead_of(), state=RunState.WAITING)
    name = Coalesce("task__name", "restoration__name")
    waiting = Run.objects.filter(pk__in=run_ids, state=RunState.WAITING).annotate(
        ahead=Coalesce(
            Subquery(before.order_by("-queued_at", "-pk").values(name=name)[:1]),
            Subquery(cluster.filter(state=RunState.RUNNING).order_by().values(name=name)[:1]),
            Value(""),
        ),
        place=Coalesce(Subquery(before.order_by().values("cluster_id").values(number=Count("pk"))), 0) + 1,
    )
    return {pk: Line(place, ahead) for pk, place, ahead in waiting.values_list("pk", "place", "ahead")}
