"""The console's figures for Prometheus, read from the database when they are asked for.

Names follow Prometheus's conventions: base units (seconds, bytes), timestamps and not ages, ``_total`` for what only
grows. The number of queries does not depend on that of tasks and runs.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django import get_version
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from backupconsole import VERSION
from backupconsole.monitoring import taskfigures
from tasks.alarms import ALARMS
from tasks.models import Alarm, DestinationSpace, Maintenance, Pulse, Run, RunTotal
from tasks.states import ACTIVE, Kind, RunState

PREFIX = "backupconsole"


class ConsoleCollector(Collector):
    """Reads everything anew at each scrape. Raises ``DatabaseError`` where the database does not answer."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics."""
        began, now = time.perf_counter(), self._now()
        for part in (_build, _workers, _maintenance, _queue, _totals, _alarms, _destinations):
            yield from part(now)
        yield from taskfigures.collect()
        took = time.perf_counter() - began
        yield _one("scrape_duration_seconds", "How long reading all figures took.", took)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering the collector asks no database."""
        return []


def gauge(name: str, about: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    """Return a gauge of the console without samples."""
    return GaugeMetricFamily(f"{PREFIX}_{name}", about, labels=tuple(labels))


def _one(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", about, value=value)


def _at(name: str, about: str, moment: datetime | None) -> Iterator[Metric]:
    """Yield a moment, or nothing where there is none: an absent series is no wrong one."""
    if moment is not None:
        yield _one(name, about, moment.timestamp())


def _build(now: datetime) -> Iterator[Metric]:
    family = gauge("build_info", "What is running: always 1.", ("version", "python", "django", "database"))
    family.add_metric((VERSION, platform.python_version(), get_version(), connection.vendor), 1)
    yield family


def _workers(now: datetime) -> Iterator[Metric]:
    beats = Pulse.of_workers()
    yield from _at("tick_timestamp_seconds", "When the workers last ticked.", beats.get("tick"))
    yield from _at(
        "supervisor_timestamp_seconds", "When the supervisor last gave a sign of life.", beats.get("supervisor")
    )
    yield _one("run_slots", "Runs that are worked on at the same time at most.", settings.RUN_SLOTS)
    grace = settings.OVERDUE_GRACE.total_seconds()
    yield _one("overdue_grace_seconds", "How late a success may be before its task is overdue.", grace)


def _maintenance(now: datetime) -> Iterator[Metric]:
    switch = Maintenance.current()
    on = switch.on(now)
    yield _one("maintenance", "Whether maintenance is on (1) and no new run starts.", int(on))
    yield from _at("maintenance_start_timestamp_seconds", "Since when maintenance is on.", switch.since if on else None)


def _queue(now: datetime) -> Iterator[Metric]:
    rows = Run.objects.filter(state__in=ACTIVE).order_by().values_list("kind", "state")
    found = {(kind, state): (number, oldest) for kind, state, number, oldest in
             rows.annotate(number=Count("pk"), oldest=Min("queued_at"))}  # fmt: skip
    abouts = {RunState.WAITING: "Runs that wait for their turn.", RunState.RUNNING: "Runs that are worked on."}
    for state, about in abouts.items():
        family = gauge(f"runs_{state.value}", about, ("kind",))
        for kind in Kind:
            family.add_metric((kind.value,), found.get((kind, state), (0, None))[0])
        yield family
    waited = [oldest for (_, state), (_, oldest) in found.items() if state == RunState.WAITING]
    oldest = min(waited, default=None)
    yield from _at("runs_waiting_oldest_timestamp_seconds", "Since when the run that waits longest has waited.", oldest)


def counter(name: str, about: str, labels: Iterable[str]) -> CounterMetricFamily:
    """Return a counter of the console without samples."""
    return CounterMetricFamily(f"{PREFIX}_{name}", about, labels=tuple(labels))


def _totals(now: datetime) -> Iterator[Metric]:
    labels = ("cluster", "kind", "state")
    runs = counter("runs", "Runs that ended, ever; pruning the history takes none away.", labels)
    took = counter("run_duration_seconds", "Seconds that they took.", labels)
    stored = counter("stored_bytes", "Bytes of the sets that backups stored.", labels[:1])
    by_cluster: dict[str, int] = {}
    rows = RunTotal.objects.order_by("cluster_id", "kind", "state")
    figures = rows.values_list("cluster__name", "kind", "state", "runs", "seconds", "stored_bytes")
    for cluster, kind, state, number, seconds, size in figures:
        runs.add_metric((cluster, kind, state), number)
        took.add_metric((cluster, kind, state), seconds)
        by_cluster[cluster] = by_cluster.get(cluster, 0) + size
    for cluster, size in by_cluster.items():
        stored.add_metric((cluster,), size)
    yield from (runs, took, stored)


def _alarms(now: datetime) -> Iterator[Metric]:
    found: dict[tuple[str, str], tuple[int, int]] = {(code, each.severity): (0, 0) for code, each in ALARMS.items()}
    rows = Alarm.objects.filter(cleared_at__isnull=True).order_by().values_list("code", "severity")
    for code, severity, number, seen in rows.annotate(number=Count("pk"), seen=Count("acknowledged_at")):
        found[code, severity] = (number, seen)
    family = gauge("alarms", "Alarms that are not cleared.", ("type", "severity", "acknowledged"))
    for (code, severity), (number, seen) in found.items():
        family.add_metric((code, severity, "false"), number - seen)
        family.add_metric((code, severity, "true"), seen)
    yield family


def _destinations(now: datetime) -> Iterator[Metric]:
    labels = ("path_type", "destination")
    free = gauge("destination_free_bytes", "Free bytes at a destination, as last read.", labels)
    size = gauge("destination_size_bytes", "Bytes that a destination has in all.", labels)
    full = gauge("destination_full_timestamp_seconds", "When a destination that fills up is full at its pace.", labels)
    low = gauge("destination_low", "Whether the room at a destination is low (1) by the console's limits.", labels)
    read = gauge("destination_read_timestamp_seconds", "When the room at a destination was last read.", labels)
    names: set[tuple[str, str]] = set()
    for space in DestinationSpace.objects.order_by("pk"):
        name = (space.path_type or "own", space.label)
        if name in names:
            # Two destinations may be called alike; a series may not.
            name = (name[0], f"{space.label} ({space.key[:8]})")
        names.add(name)
        read.add_metric(name, space.read_at.timestamp())
        low.add_metric(name, int(space.low))
        for family, value in ((free, space.free_bytes), (size, space.total_bytes)):
            if value is not None:
                family.add_metric(name, value)
        if space.full_at is not None:
            full.add_metric(name, space.full_at.timestamp())
    yield from (free, size, full, low, read)


REGISTRY = CollectorRegistry(auto_describe=False)
REGISTRY.register(ConsoleCollector())
