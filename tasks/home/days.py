"""The last 24 hours and 30 days of tasks as strips of outcomes, those of trouble first, a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from tasks.badges import Badge, badge
from tasks.charts import strips
from tasks.home.figures import Figures
from tasks.home.sight import Look, Sight
from tasks.home.tally import TROUBLE, TaskTally
from tasks.keptsql import KeptQuery, numbered
from tasks.models import BackupTask, TaskDay
from tasks.states import RunState

PAGE_SIZE = 10
_NEEDED = (
    "name", "cluster", "last_state", "bytes_kept", "proof_problem", "last_verified_at", "last_checked_at",
    "last_rehearsed_at", "check_after_days", "rehearse_after_days", "suspended", "outcomes",
)  # fmt: skip


@dataclass(frozen=True)
class StripRow:
    """A task with its two strips: letters, oldest first, and what they say; ``trouble`` names the slots of it."""

    task: BackupTask
    hours: str
    days: str
    proof: Badge
    trouble: tuple[tuple[str, str], ...]

    @property
    def hours_say(self) -> str:
        """The last 24 hours in words."""
        return strips.in_words(self.hours, "hour")

    @property
    def days_say(self) -> str:
        """The last 30 days in words."""
        return strips.in_words(self.days, "day")


@dataclass(frozen=True)
class StripPage:
    """One page of strips; ``first`` and ``last`` count from 1."""

    rows: list[StripRow]
    number: int
    pages: int
    first: int
    last: int
    total: int


def page_of(sight: Sight, tally: TaskTally, wanted: int) -> StripPage:
    """Return a page of strips of the tasks in sight, or the last one where there are fewer.

    Trouble first, by its kinds, then the others, each by name; a query for each kind that is on the page, and one more.
    """
    pages = max(1, -(-tally.total // PAGE_SIZE))
    number = max(1, min(wanted, pages))
    start = (number - 1) * PAGE_SIZE
    rows = rows_of(sight, _slice(sight, tally, start, start + PAGE_SIZE))
    return StripPage(rows, number, pages, start + 1 if rows else 0, start + len(rows), tally.total)


def _slice(sight: Sight, tally: TaskTally, first: int, last: int) -> list[BackupTask]:
    """Return some of the tasks in the order of the page; for each kind the database has an index by name."""
    kinds: list[tuple[int, RunState | None]] = [(tally.in_trouble[state], state) for state in TROUBLE]
    kinds.append((tally.total - sum(tally.in_trouble.values()), None))
    found: list[BackupTask] = []
    for count, state in kinds:
        if first < count and last > 0:
            # Where the pages after the first one begin in each kind changes with every run: that is not worth keeping.
            kept = first <= 0 and last <= PAGE_SIZE
            found += (_SLICE.objects if kept else _SLICE.build)(sight, state, max(0, first), last)
        first, last = first - count, last - count
    return found


def _of_state(look: Look, state: RunState | None, first: int, last: int) -> QuerySet[BackupTask]:
    tasks = look.tasks()
    tasks = tasks.filter(last_state=state) if state else tasks.exclude(last_state__in=TROUBLE)
    return tasks.only(*_NEEDED).order_by("name", "pk")[first:last]


def anew(sight: Sight, keys: Sequence[int]) -> list[StripRow]:
    """Return the strips of these tasks in this order, for a page that shows them already; two queries."""
    found = {task.pk: task for task in sight.tasks().filter(pk__in=keys).only(*_NEEDED)}
    return rows_of(sight, [found[key] for key in keys if key in found])


def rows_of(sight: Sight, tasks: list[BackupTask]) -> list[StripRow]:
    """Return the strips of ``tasks`` in the zone that is active; one query."""
    today, zone = timezone.localdate(sight.now), timezone.get_current_timezone()
    days: dict[int, dict[date, str]] = defaultdict(dict)
    for key, day, hours in _DAYS.rows(since=strips.first_day(today), **numbered(task.pk for task in tasks)):
        days[key][day] = hours
    names = [f"{today - timedelta(days=back)}" for back in range(strips.DAYS - 1, -1, -1)]
    found = []
    for task in tasks:
        hours = strips.with_state(strips.last_hours(days[task.pk], sight.now), task.last_state)
        month = strips.with_state(strips.last_days(days[task.pk], today, zone), task.last_state)
        found.append(StripRow(task, hours, month, badge(task, sight.now), tuple(strips.troubled(month, names))))
    return found


def _days(since: date, **keys: int) -> QuerySet[Any, Any]:
    days = TaskDay.objects.filter(task__in=list(keys.values()), day__gte=since)
    return days.order_by().values_list("task_id", "day", "hours")


_SLICE, _DAYS = Figures(_of_state), KeptQuery(_days)
