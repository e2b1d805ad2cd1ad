"""What runs now, what waits, and which tasks start next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import Coalesce

from tasks.home.figures import Figures
from tasks.home.sight import Look, Sight
from tasks.models import BackupTask, Run
from tasks.progress import Progress, progress_of
from tasks.rows import place_of
from tasks.states import ACTIVE, Kind, RunState

RUNNING, WAITING, UPCOMING = 5, 4, 7
_OF_RUN = ("kind", "state", "cluster_id", "step", "started_at", "bytes_read", "bytes_expected")
_OF_TASK = ("name", "next_run_at", "path_type", "destination")


@dataclass(frozen=True)
class Under:
    """A run that is under way or waits: the thing's name, what is done where it is no backup, what it waits for."""

    run: Run
    name: str
    what: str
    progress: Progress | None = None
    after: str = ""


@dataclass(frozen=True)
class Upcoming:
    """A task that starts next, and where its files go."""

    task: BackupTask
    place: str


@dataclass(frozen=True)
class Agenda:
    """The first of each, and how many more wait."""

    running: list[Under]
    waiting: list[Under]
    more_waiting: int
    upcoming: list[Upcoming]


def agenda(sight: Sight) -> Agenda:
    """Return the agenda; four queries at most."""
    numbers: dict[str, int] = dict(_ACTIVE.rows(sight))
    running = [_running(run, sight) for run in _first(sight, numbers, RunState.RUNNING, "started_at", RUNNING)]
    waiting = _waiting(_first(sight, numbers, RunState.WAITING, "queued_at", WAITING), running)
    upcoming = [Upcoming(task, place_of(task)) for task in _UPCOMING.objects(sight)]
    return Agenda(running, waiting, max(0, numbers.get(RunState.WAITING, 0) - len(waiting)), upcoming)


def _first(sight: Sight, numbers: dict[str, int], state: RunState, since: str, most: int) -> list[Run]:
    if state not in numbers:
        return []
    runs = sight.runs().filter(state=state).annotate(thing_name=Coalesce("task__name", "restoration__name"))
    return list(runs.only(*_OF_RUN).order_by(since, "pk")[:most])


def _running(run: Run, sight: Sight) -> Under:
    elapsed = sight.now - run.started_at if run.started_at else timedelta(0)
    return Under(run, _name(run), _what(run), progress_of(run.bytes_read, run.bytes_expected, elapsed))


def _waiting(runs: list[Run], running: list[Under]) -> list[Under]:
    """Return the runs that wait with what is before each in the line of its cluster (design.md, decision 4)."""
    before = {under.run.cluster_id: under.name for under in running}
    found = []
    for run in runs:
        found.append(Under(run, _name(run), _what(run), after=before.get(run.cluster_id, "")))
        before[run.cluster_id] = _name(run)
    return found


def _name(run: Run) -> str:
    return str(run.thing_name)  # type: ignore[attr-defined]


def _what(run: Run) -> str:
    return "" if run.kind == Kind.BACKUP else str(run.get_kind_display())


def _upcoming(look: Look) -> QuerySet[BackupTask]:
    tasks = look.tasks().filter(suspended=False, next_run_at__gt=look.now)
    return tasks.only(*_OF_TASK).order_by("next_run_at", "name")[:UPCOMING]


_UPCOMING = Figures(_upcoming)
_ACTIVE = Figures(
    lambda sight: sight.runs().filter(state__in=ACTIVE).order_by().values_list("state").annotate(number=Count("*"))
)
