"""The last 24 hours and 30 days of tasks as strips of outcomes, those of trouble first, a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone

from tasks.badges import Badge, badge
from tasks.charts import strips
from tasks.home.sight import Sight
from tasks.models import BackupTask, TaskDay
from tasks.states import RunState

PAGE_SIZE = 10
# Trouble first; what goes well, is under way or never ran comes after it, by name.
_TROUBLE = (RunState.FAILED, RunState.POSTPONED, RunState.WARNINGS, RunState.STOPPED)
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


def page_of(sight: Sight, total: int, wanted: int) -> StripPage:
    """Return a page of strips of the tasks in sight, or the last one where there are fewer; two queries."""
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(wanted, pages))
    start = (number - 1) * PAGE_SIZE
    rows = rows_of(sight, list(_ordered(sight.tasks())[start : start + PAGE_SIZE]))
    return StripPage(rows, number, pages, start + 1 if rows else 0, start + len(rows), total)


def anew(sight: Sight, keys: Sequence[int]) -> list[StripRow]:
    """Return the strips of these tasks in this order, for a page that shows them already; two queries."""
    found = {task.pk: task for task in sight.tasks().filter(pk__in=keys).only(*_NEEDED)}
    return rows_of(sight, [found[key] for key in keys if key in found])


def rows_of(sight: Sight, tasks: list[BackupTask]) -> list[StripRow]:
    """Return the strips of ``tasks`` in the zone that is active; one query."""
    today, zone = timezone.localdate(sight.now), timezone.get_current_timezone()
    days: dict[int, dict[date, str]] = defaultdict(dict)
    wanted = Q(task__in=[task.pk for task in tasks], day__gte=strips.first_day(today))
    for key, day, hours in TaskDay.objects.filter(wanted).order_by().values_list("task_id", "day", "hours"):
        days[key][day] = hours
    names = [f"{today - timedelta(days=back)}" for back in range(strips.DAYS - 1, -1, -1)]
    found = []
    for task in tasks:
        hours = strips.with_state(strips.last_hours(days[task.pk], sight.now), task.last_state)
        month = strips.with_state(strips.last_days(days[task.pk], today, zone), task.last_state)
        found.append(StripRow(task, hours, month, badge(task, sight.now), tuple(strips.troubled(month, names))))
    return found


def _ordered(tasks: QuerySet[BackupTask]) -> QuerySet[BackupTask]:
    places = [When(last_state=state, then=Value(place)) for place, state in enumerate(_TROUBLE)]
    trouble = Case(*places, default=Value(len(_TROUBLE)), output_field=IntegerField())
    return tasks.only(*_NEEDED).order_by(trouble, "name", "pk")
