"""Restoration Management as its templates read it: rows of the list, what can be restored, and the safety copies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.urls import reverse
from django.utils import timezone

from tasks.engine.record import KEPT
from tasks.listing import PACE_ACTIVE, PACE_CALM
from tasks.models import Restoration, Run, SafetyCopy
from tasks.models.run import RESTORES
from tasks.restoration_steps import awaits, per_cent, words_of
from tasks.rows import Line, below_status, lines_of, place_of
from tasks.scope import narrowed
from tasks.states import ACTIVE, GOOD, RunState
from tasks.units import format_duration

PAGE_SIZE = 25


class Row:
    """A restoration task as the list and its own page show it; ``line`` is given where its run waits."""

    def __init__(self, restoration: Restoration, line: Line | None = None) -> None:
        self.restoration = restoration
        self.line = line

    @property
    def run(self) -> Run | None:
        """The newest run."""
        return self.restoration.last_run

    @property
    def state(self) -> str:
        """The state of the newest run; empty where there is none."""
        return self.restoration.last_state

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self.state == RunState.RUNNING

    @property
    def active(self) -> bool:
        """Whether a run waits or is under way."""
        return self.state in ACTIVE

    @property
    def rolled_back(self) -> bool:
        """Whether the last run put back what was there before it."""
        return self.state == RunState.ROLLED_BACK

    @property
    def unknown(self) -> bool:
        """Whether nobody knows how the cluster stands."""
        return self.state == RunState.UNKNOWN

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to end and it has not yet."""
        return bool(self.running and self.run and self.run.stop_requested_at)

    @property
    def awaits(self) -> bool:
        """Whether the run waits for somebody to type the name of the cluster."""
        return bool(self.running and not self.stopping and self.run and awaits(self.run))

    @property
    def place(self) -> str:
        """Where the set lies, in a few words."""
        return place_of(self.restoration)

    @property
    def source(self) -> str:
        """The task that made the set, or where it was found."""
        known = self.restoration.source_run_id is not None
        return self.restoration.source_task if known else f"Found on {self.place or self.restoration.path_type}"

    @property
    def cause(self) -> str:
        """What stands below the status."""
        run = self.run
        if self.stopping and run:
            return f"Stop was requested by {run.stop_requested_by}"
        if self.awaits:
            return f"Waits for you: type {self.restoration.cluster.name}"
        if self.running and run:
            return words_of(run) or run.step
        if self.active:
            return f"{self.line.words}. {self.line.after}" if self.line else ""
        return below_status(self.state, self.restoration.last_reason)

    @property
    def per_cent(self) -> int | None:
        """How far all steps are, 0 to 99; None before the first one."""
        return per_cent(self.run.steps) if self.run and self.run.steps else None

    @property
    def result(self) -> str:
        """How long the last run took."""
        run = self.run
        if run is None or run.started_at is None or run.ended_at is None:
            return "Nothing was run"
        return format_duration(run.ended_at - run.started_at)

    @property
    def start_word(self) -> str:
        """*Start*, or *Retry* after a run that did not restore."""
        return "Retry" if self.state and not self.active and self.state not in GOOD else "Start"

    @property
    def cannot_start(self) -> str:
        """Why Start and Retry are impossible at the moment; empty where they are possible."""
        if self.active:
            return "Already running" if self.running else "Already waiting"
        if self.state in GOOD:
            return "Restored already"
        return "Roll it back first" if self.unknown else ""

    @property
    def cannot_stop(self) -> str:
        """Why Stop is impossible at the moment."""
        return "Stop was requested" if self.stopping else "" if self.active else "Not running"

    @property
    def cannot_delete(self) -> str:
        """Why Delete is impossible at the moment."""
        return "Stop it first" if self.active else "Roll it back first" if self.unknown else ""


def rows_of(restorations: Iterable[Restoration]) -> list[Row]:
    """Return the rows of ``restorations``, whose ``cluster`` and ``last_run`` are fetched; one more query at most."""
    found = list(restorations)
    lines = lines_of({one.last_run_id or 0 for one in found if one.last_state == RunState.WAITING})
    return [Row(one, lines.get(one.last_run_id or 0)) for one in found]


# --- Lists ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Page:
    """Rows newest first; ``older`` is the key of the next page, None on the last one."""

    rows: list[Row]
    older: int | None
    newest: int


def restorations(user: Any) -> QuerySet[Restoration]:
    """Return the restoration tasks that ``user`` may see, with what a row needs."""
    return narrowed(Restoration.objects.select_related("cluster", "last_run"), user)


def page_of(user: Any, before: int | None, cluster: int | None) -> Page:
    """Return the restoration tasks older than the one with the key ``before``, or the newest ones; two queries."""
    found = restorations(user).order_by("-pk")
    if cluster:
        found = found.filter(cluster_id=cluster)
    if before:
        found = found.filter(pk__lt=before)
    shown = list(found[: PAGE_SIZE + 1])
    older = shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else None
    return Page(rows_of(shown[:PAGE_SIZE]), older, shown[0].pk if shown else 0)


def refresh(rows: Iterable[Row]) -> dict[str, Any]:
    """Return where the list asks for its rows again, and how soon."""
    rows = list(rows)
    ids = ",".join(str(row.restoration.pk) for row in rows)
    active = any(row.active for row in rows)
    return {"poll_url": f"{reverse('restoration-cells')}?ids={ids}", "pace": PACE_ACTIVE if active else PACE_CALM}


def runs_of(restoration: Restoration) -> QuerySet[Run]:
    """Return the runs of a restoration task, newest first."""
    return restoration.runs.filter(kind__in=RESTORES).order_by("-pk")


def restorable_sets(user: Any, before: int | None, cluster: int | None) -> tuple[list[Run], int | None]:
    """Return the backup runs whose set can be restored, newest first, by pages; and the key of the next page."""
    found = narrowed(Run.objects.filter(KEPT), user).order_by("-pk")
    found = found.select_related("task", "cluster").prefetch_related("files")
    if cluster:
        found = found.filter(cluster_id=cluster)
    if before:
        found = found.filter(pk__lt=before)
    shown = list(found[: PAGE_SIZE + 1])
    return shown[:PAGE_SIZE], shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else None


# --- Safety copies ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Copies:
    """The safety copies of one run, which are removed together."""

    run_id: int
    cluster: str
    restoration: str
    made_at: datetime
    keep_until: datetime | None
    size: int | None
    nodes: int
    in_use: bool

    @property
    def going(self) -> bool:
        """Whether the workers are removing them."""
        return self.keep_until is not None and self.keep_until <= timezone.now()


def safety_copies_of(restoration: Restoration) -> list[Copies]:
    """Return what is kept of one restoration task, newest first; one query."""
    return _copies(SafetyCopy.objects.filter(restoration=restoration))


def all_safety_copies(user: Any) -> list[Copies]:
    """Return all that is kept of clusters that ``user`` may see, newest first; one query."""
    return _copies(narrowed(SafetyCopy.objects.all(), user))


def _copies(copies: QuerySet[SafetyCopy]) -> list[Copies]:
    kept = copies.filter(made_at__isnull=False, removed_at__isnull=True, put_back_at__isnull=True).exclude(path="")
    groups = kept.values("run_id", "cluster__name", "restoration__name", "restoration__last_state").annotate(
        first=Min("made_at"),
        until=Max("keep_until"),
        bytes=Sum("size"),
        nodes=Count("node_name", distinct=True),
        unsized=Count("pk", filter=Q(size__isnull=True)),
    )
    return [
        Copies(
            run_id=group["run_id"],
            cluster=group["cluster__name"],
            restoration=group["restoration__name"],
            made_at=group["first"],
            keep_until=group["until"],
            size=None if group["unsized"] else group["bytes"],
            nodes=group["nodes"],
            in_use=group["restoration__last_state"] in (*ACTIVE, RunState.UNKNOWN),
        )
        for group in groups.order_by("-run_id")
    ]
