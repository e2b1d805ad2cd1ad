"""How sizes and durations change over time: of one task or one cluster, which the page lets choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import islice

from django.utils import timezone

from tasks.charts.line import LineChart, Point, line_chart
from tasks.charts.scale import BYTES, SECONDS, Unit
from tasks.charts.words import message
from tasks.engine.days import day_of
from tasks.home.sight import Sight
from tasks.keptsql import KeptQuery
from tasks.models import BackupTask, ClusterDay, TaskDay
from tasks.selectors import number_in

SPANS = (30, 90, 365)
# Clusters in the choice; more are found over their own page of tasks.
MOST_CLUSTERS = 50
TASK, CLUSTER = "t", "c"


@dataclass(frozen=True)
class Chosen:
    """What the charts are of: a task or a cluster."""

    kind: str
    pk: int
    name: str

    @property
    def value(self) -> str:
        """As it stands in the URL."""
        return f"{self.kind}{self.pk}"


@dataclass(frozen=True)
class Line:
    """One line of the table: a day, and what the chart shows of it in words."""

    at: datetime
    value: str


@dataclass(frozen=True)
class Chart:
    """One chart: its title, what it says, its geometry (None: nothing to draw), and its values as a table."""

    key: str
    title: str
    says: str
    column: str
    drawn: LineChart | None
    table: list[Line]


@dataclass(frozen=True)
class Growth:
    """The charts of what is chosen, with the choices; ``chosen`` is None where there is nothing to choose."""

    chosen: Chosen | None
    span: int
    clusters: list[Chosen]
    tasks: list[Chosen]
    charts: list[Chart]


def growth(sight: Sight, names: Mapping[int, str], wanted: str, span: int, shown: Sequence[BackupTask]) -> Growth:
    """Return the charts of ``wanted`` over ``span`` days; two queries at most.

    ``names`` are those of the clusters in sight, in their order; ``shown`` are the tasks that the page lists.

    What is not in sight is not found; then, and without a wish, the task that keeps the most is shown.
    """
    clusters = [Chosen(CLUSTER, pk, name) for pk, name in islice(names.items(), MOST_CLUSTERS)]
    tasks = [Chosen(TASK, task.pk, task.name) for task in shown]
    chosen = _find(sight, wanted, [*clusters, *tasks])
    if chosen is None and shown:
        most = max(shown, key=lambda task: task.bytes_kept)
        chosen = Chosen(TASK, most.pk, most.name)
    if chosen is not None and chosen not in (*clusters, *tasks):
        (clusters if chosen.kind == CLUSTER else tasks).append(chosen)
    charts = _charts(sight, chosen, span) if chosen else []
    return Growth(chosen, span, clusters, tasks, charts)


def span_of(text: str) -> int:
    """Return one of ``SPANS``; the first where ``text`` is none of them."""
    number = number_in(text)
    return number if number in SPANS else SPANS[0]


def _find(sight: Sight, wanted: str, known: Sequence[Chosen]) -> Chosen | None:
    kind, pk = wanted[:1], number_in(wanted[1:])
    if kind not in (TASK, CLUSTER) or pk is None:
        return None
    found = next((each for each in known if (each.kind, each.pk) == (kind, pk)), None)
    if found is not None:
        return found
    things = sight.tasks() if kind == TASK else sight.clusters()
    name = things.filter(pk=pk).values_list("name", flat=True).first()
    return Chosen(kind, pk, name) if name is not None else None


def _charts(sight: Sight, chosen: Chosen, span: int) -> list[Chart]:
    until = sight.now
    since = until - timedelta(days=span)
    if chosen.kind == TASK:
        sizes, times = _of_task(chosen.pk, since)
        return [
            _chart("size", "Size of a set", f"The set of {chosen.name}", "Size", sizes, BYTES, since, until),
            _chart("time", "Duration of a run", f"A run of {chosen.name}", "Duration", times, SECONDS, since, until),
        ]
    sizes, times = _of_cluster(chosen.pk, since, until)
    what = f"of {chosen.name} in a day"
    return [
        _chart("size", "Size of the sets of a day", f"All sets {what}", "Size", sizes, BYTES, since, until),
        _chart("time", "Duration of the runs of a day", f"All runs {what}", "Duration", times, SECONDS, since, until),
    ]


def _of_task(pk: int, since: datetime) -> tuple[list[Point], list[Point]]:
    found = _OF_TASK.rows(task=pk, since=day_of(since))
    sizes = [Point(at, size) for at, size, _ in found if at and size is not None]
    return sizes, [Point(at, seconds) for at, _, seconds in found if at and seconds is not None]


def _of_cluster(pk: int, since: datetime, until: datetime) -> tuple[list[Point], list[Point]]:
    """Return one point a day, at its noon, or now where that is still to come."""
    found = [
        (min(datetime.combine(day, time(12), UTC), until), size, took)
        for day, size, took in _OF_CLUSTER.rows(cluster=pk, since=day_of(since))
    ]
    return [Point(at, size) for at, size, _ in found], [Point(at, took) for at, _, took in found]


def _chart(
    key: str,
    title: str,
    what: str,
    column: str,
    series: list[Point],
    unit: Unit,
    since: datetime,
    until: datetime,
) -> Chart:
    zone: tzinfo = timezone.get_current_timezone()
    inside = [point for point in series if since <= point.at <= until]
    table = [Line(point.at, unit.write(point.value)) for point in reversed(inside)]
    says = message(what, inside, unit, zone)
    return Chart(key, title, says, column, line_chart(inside, since, until, unit, zone), table)


_OF_TASK = KeptQuery(
    lambda task, since: (
        TaskDay.objects.filter(task=task, day__gte=since, good_at__isnull=False)
        .order_by("day")
        .values_list("good_at", "bytes", "seconds")
    )
)
_OF_CLUSTER = KeptQuery(
    lambda cluster, since: (
        ClusterDay.objects.filter(cluster=cluster, day__gte=since)
        .order_by("day")
        .values_list("day", "bytes", "seconds")
    )
)
