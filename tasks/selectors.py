"""What the list of Backup Management asks of the database: filter, order, page, counts. The page's state is its URL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Case, Count, F, Max, Q, QuerySet, When
from django.http import QueryDict
from django.utils.http import urlencode

from storage.registry import all_path_types
from tasks.models import BackupTask
from tasks.models.run import HEAVY
from tasks.models.task import URGENCY
from tasks.rows import OF_A_ROW
from tasks.searchtext import found_by
from tasks.states import Mode, RunState

PAGE_SIZE = 25
SUSPENDED = "suspended"
NO_RUNS = "none"
STATUSES = (*(state.value for state in URGENCY), NO_RUNS, SUSPENDED)
SORTS: dict[str, str] = {
    "name": "name",
    "object": "cluster__name",
    "next": "next_run_at",
    "status": "urgency",
    "success": "last_success_at",
}
DEFAULT_SORT = "status"


@dataclass(frozen=True)
class ListState:
    """The state of the list's page. Whatever a URL holds becomes a usable state; what is unknown is passed over."""

    q: str = ""
    cluster: int | None = None
    mode: str = ""
    path: str = ""
    status: str = ""
    sort: str = DEFAULT_SORT
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> ListState:
        """Read the state from a URL."""
        sort = query.get("sort", DEFAULT_SORT)
        return cls(
            q=search_in(query),
            cluster=number_in(query.get("cluster", "")),
            mode=_one_of(query.get("mode", ""), Mode.values),
            path=_one_of(query.get("path", ""), [path_type.name for path_type in all_path_types()]),
            status=_one_of(query.get("status", ""), STATUSES),
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
            page=page_in(query),
        )

    def query(self, **changes: Any) -> str:
        """Return the query string of this state with ``changes``; a change of anything but the page leads to page 1."""
        state = replace(self, **({"page": 1} | changes))
        pairs = {
            "q": state.q,
            "cluster": state.cluster,
            "mode": state.mode,
            "path": state.path,
            "status": state.status,
            "sort": state.sort if state.sort != DEFAULT_SORT else "",
            "page": state.page if state.page > 1 else "",
        }
        return urlencode({name: value for name, value in pairs.items() if value})

    @property
    def here(self) -> str:
        """The query string of this very state."""
        return self.query(page=self.page)

    @property
    def filter(self) -> list[tuple[str, str | int]]:
        """What the state narrows by, as the fields of a form."""
        pairs = (("q", self.q), ("cluster", self.cluster), ("mode", self.mode), ("path", self.path))
        return [(name, value) for name, value in (*pairs, ("status", self.status)) if value]

    @property
    def narrowed(self) -> bool:
        """Whether anything is filtered out."""
        return bool(self.filter)

    def sorted_by(self, column: str) -> str:
        """Return ``ascending`` or ``descending`` for the sorted column, nothing for the others."""
        if self.sort.removeprefix("-") != column:
            return ""
        return "descending" if self.sort.startswith("-") else "ascending"

    def sort_query(self, column: str) -> str:
        """Return the query string that sorts by ``column``, the other way round where it is sorted so already."""
        return self.query(sort=f"-{column}" if self.sort == column else column)


def number_in(text: str) -> int | None:
    """Return the number that ``text`` is, as far as a key of the database can be that large; else None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def page_in(query: QueryDict) -> int:
    """Return the number of the page that a URL asks for; the first one where it asks for none."""
    return min(number_in(query.get("page", "")) or 1, 10**6)


def search_in(query: QueryDict) -> str:
    """Return what a URL searches for: 100 characters at most, and none that a database refuses."""
    return query.get("q", "").replace("\0", "").strip()[:100]


def _one_of(text: str, allowed: Any) -> str:
    return text if text in allowed else ""


def filtered(state: ListState, tasks: QuerySet[BackupTask]) -> QuerySet[BackupTask]:
    """Return those of ``tasks`` that the state lets through, whatever their status."""
    if state.q:
        tasks = tasks.filter(found_by(state.q))
    if state.cluster:
        tasks = tasks.filter(cluster_id=state.cluster)
    if state.mode:
        tasks = tasks.filter(mode=state.mode)
    if state.path:
        tasks = tasks.filter(path_type=state.path)
    return tasks


def has_status(status: str) -> Q:
    """Return the condition for a status of ``STATUSES``; the empty one lets all through."""
    if not status:
        return Q()
    return Q(suspended=True) if status == SUSPENDED else Q(last_state="" if status == NO_RUNS else status)


def with_status(tasks: QuerySet[BackupTask], status: str) -> QuerySet[BackupTask]:
    """Narrow ``tasks`` to a status of ``STATUSES``; the empty one lets all through."""
    return tasks.filter(has_status(status))


@dataclass(frozen=True)
class Totals:
    """Counts over the whole list: by status, ``""`` for all; ``newest`` is the highest key, ``created`` those above."""

    by_status: dict[str, int]
    newest: int
    created: int


def totals(state: ListState, tasks: QuerySet[BackupTask], since: int | None = None) -> Totals:
    """Count those of ``tasks`` that the state lets through, and those made after the one with the key ``since``.

    The status of the state narrows only ``created``: the others are the figures beside the choices of it. One query,
    with a row for each status.
    """
    made = Q(pk__gt=since) if since is not None else Q(pk=None)
    groups = filtered(state, tasks).order_by().values("last_state", "suspended")
    by_status, newest, created = dict.fromkeys(("", *STATUSES), 0), 0, 0
    for group in groups.annotate(number=Count("pk"), highest=Max("pk"), new=Count("pk", filter=made)):
        its = {"", group["last_state"] or NO_RUNS, *([SUSPENDED] if group["suspended"] else [])}
        for status in its & by_status.keys():
            by_status[status] += group["number"]
        newest = max(newest, group["highest"])
        created += group["new"] if state.status in its else 0
    return Totals(by_status, newest, created)


def ordered(tasks: QuerySet[BackupTask], sort: str) -> QuerySet[BackupTask]:
    """Return ``tasks`` in the order of a column; equal ones by name, waiting ones by line, no value last."""
    column = sort.removeprefix("-")
    if column == "status":
        # Runs that wait stand in the order in which they were queued: their numbers tell it without a look at them.
        line = Case(When(last_state=RunState.WAITING, then=F("last_run_id")), default=0)
        return tasks.order_by(SORTS[column] if sort == column else f"-{SORTS[column]}", line, "name")
    key = F(SORTS[column])
    by = key.desc(nulls_last=True) if sort.startswith("-") else key.asc(nulls_last=True)
    return tasks.order_by(by, "name")


@dataclass(frozen=True)
class Page:
    """One page of the list; ``first`` and ``last`` count from 1, both are 0 on an empty page."""

    tasks: list[BackupTask]
    number: int
    pages: int
    first: int
    last: int
    total: int


def with_last_run(tasks: QuerySet[BackupTask]) -> QuerySet[BackupTask]:
    """Return ``tasks`` with cluster and last run, but for what may be large and no row of a list shows."""
    heavy = (f"last_run__{name}" for name in HEAVY)
    return tasks.select_related("cluster", "last_run").defer(*heavy)


def with_rows(tasks: QuerySet[BackupTask]) -> QuerySet[BackupTask]:
    """Return ``tasks`` with cluster and last run, and of them all only what a row of the list shows."""
    return tasks.select_related("cluster", "last_run").only(*OF_A_ROW)


def page_of(state: ListState, tasks: QuerySet[BackupTask], total: int) -> Page:
    """Return the page of ``tasks`` that the state names, or the last one where there are fewer; two queries."""
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(state.page, pages)
    start = (number - 1) * PAGE_SIZE
    rows = ordered(with_status(filtered(state, tasks), state.status), state.sort)
    # Keys alone are put in order; with all that a row shows, its run included, it would take many times as long.
    keys = list(rows.values_list("pk", flat=True)[start : start + PAGE_SIZE]) if total else []
    found = {task.pk: task for task in with_rows(tasks.filter(pk__in=keys))} if keys else {}
    shown = [found[pk] for pk in keys if pk in found]
    return Page(shown, number, pages, start + 1 if shown else 0, start + len(shown), total)
