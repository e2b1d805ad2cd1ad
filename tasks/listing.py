"""The list of Backup Management as its templates read it: heads, status chips, rows, and how soon to look again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from tasks import selectors
from tasks.models import BackupTask
from tasks.rows import Row, rows_of
from tasks.selectors import NO_RUNS, SUSPENDED, ListState
from tasks.states import LOOKS, NO_RUNS_YET, RunState

# Seconds between two looks: while something waits or runs, and while nothing does.
PACE_ACTIVE = 3
PACE_CALM = 30
# By the class of each column's head: its words, and what each is sorted by.
_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "h-name": (("Name", "name"), ("Backup Object", "object")),
    "h-mode": (("Mode", ""), ("next run", "next")),
    "h-path": (("Path Type", ""),),
    "h-status": (("Task Status", "status"),),
    "h-progress": (("Task Progress", ""), ("last 14 runs", "")),
    "h-success": (("Last success", "success"),),
    "h-copies": (("Copies", ""),),
    "h-ops": (("Operation", ""),),
}
_CHIPS = (
    RunState.FAILED, RunState.POSTPONED, RunState.WARNINGS, RunState.RUNNING, RunState.WAITING, RunState.SUCCESSFUL,
    RunState.STOPPED,
)  # fmt: skip


@dataclass(frozen=True)
class HeadPart:
    """One word of a column's head; ``query`` is None where the column cannot be sorted by it."""

    label: str
    query: str | None
    order: str


@dataclass(frozen=True)
class Head:
    """The head of a column; ``order`` is the value of aria-sort, empty where it is not the sorted one."""

    parts: list[HeadPart]
    order: str
    css: str


@dataclass(frozen=True)
class Chip:
    """A status with its count, as a link that filters by it."""

    status: str
    label: str
    number: int
    query: str
    current: bool
    icon: str = ""
    css: str = ""


def heads(state: ListState) -> list[Head]:
    """Return the heads of the columns."""
    found = []
    for css, column in _COLUMNS.items():
        parts = [
            HeadPart(label, state.sort_query(key) if key else None, state.sorted_by(key) if key else "")
            for label, key in column
        ]
        found.append(Head(parts, next((part.order for part in parts if part.order), ""), css))
    return found


def chips(state: ListState, totals: dict[str, int]) -> list[Chip]:
    """Return All and every status that occurs, or that is chosen."""
    shown = [Chip("", "All", totals[""], state.query(status=""), not state.status)]
    for run_state in _CHIPS:
        label = "With warnings" if run_state == RunState.WARNINGS else str(run_state.label)
        look = LOOKS[run_state]
        shown.append(_chip(state, totals, run_state.value, label, look.icon[2:], look.css))
    shown.append(_chip(state, totals, NO_RUNS, "No runs yet", NO_RUNS_YET.icon[2:], NO_RUNS_YET.css))
    shown.append(_chip(state, totals, SUSPENDED, "Suspended", "pause", NO_RUNS_YET.css))
    return [chip for chip in shown if not chip.status or chip.number or chip.current]


def _chip(state: ListState, totals: dict[str, int], status: str, label: str, icon: str, css: str) -> Chip:
    return Chip(status, label, totals[status], state.query(status=status), state.status == status, icon, css)


def summary(state: ListState, tasks: QuerySet[BackupTask], since: int | None = None) -> dict[str, Any]:
    """Return what stands above the table: totals, chips, and how many tasks are newer than ``since``; one query."""
    found = selectors.totals(state, tasks, since)
    totals = found.by_status
    return {
        "state": state,
        "totals": totals | {"all": totals[""]},
        "chips": chips(state, totals),
        "created": found.created,
        "newest": found.newest if since is None else since,
    }


def refresh(state: ListState, rows: Iterable[Row], newest: int) -> dict[str, Any]:
    """Return where the page asks for its rows again, and how soon; it knows the tasks up to the key ``newest``."""
    rows = list(rows)
    ids = _ids(rows)
    query = state.here
    url = f"{reverse('task-cells')}?ids={ids}&newest={newest}{'&' + query if query else ''}"
    active = any(row.active for row in rows)
    return {"poll_url": url, "pace": PACE_ACTIVE if active else PACE_CALM, "here": here(state)}


def _ids(rows: list[Row]) -> str:
    return ",".join(str(row.task.pk) for row in rows)


def here(state: ListState) -> str:
    """Return the address of the list in this state."""
    return f"{reverse('tasks')}?{state.here}".rstrip("?")


def whole(state: ListState, tasks: QuerySet[BackupTask]) -> dict[str, Any]:
    """Return everything the page of the list shows of ``tasks``, in five queries at most."""
    above = summary(state, tasks)
    page = selectors.page_of(state, tasks, above["totals"][state.status])
    rows = rows_of(page.tasks)
    return (
        above
        | refresh(state, rows, above["newest"])
        | {
            "rows": rows,
            "shown_ids": _ids(rows),
            "page": page,
            "heads": heads(state),
            "previous": state.query(page=page.number - 1),
            "following": state.query(page=page.number + 1),
        }
    )


def cells(state: ListState, tasks: QuerySet[BackupTask], ids: list[int], newest: int | None) -> dict[str, Any]:
    """Return those of ``tasks`` with ``ids`` anew, which of them are gone, and what stands above the table.

    ``newest`` is the highest key that the page knows; it is told how many tasks were made since.
    """
    found = {task.pk: task for task in selectors.with_rows(tasks.filter(pk__in=ids))}
    rows = rows_of(found[pk] for pk in ids if pk in found)
    above = summary(state, tasks, newest)
    gone = [pk for pk in ids if pk not in found]
    return above | refresh(state, rows, above["newest"]) | {"rows": rows, "gone": gone}
