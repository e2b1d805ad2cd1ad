"""What the console keeps beside the runs of an imagined installation: days, totals, and the room at destinations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from tasks.engine.days import CODES, DAYS_KEPT, worst
from tasks.models import ClusterDay, DestinationSpace, RunTotal, SpaceDay, TaskDay
from tasks.models.days import HOURS, NO_RUN
from tasks.states import RunState

from .bulk import at, write
from .imagined import Run

_READINGS = 30


def days(runs: Iterable[Run], now: datetime) -> None:
    """Write the days of tasks and clusters, and the totals, of ``runs``, which are in the order of time."""
    since = (now - timedelta(days=DAYS_KEPT)).date()
    hours: dict[tuple[int, date], list[str]] = {}
    last: dict[tuple[int, date], Run] = {}
    clusters: dict[tuple[int, date], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    totals: dict[tuple[int, str], list[float]] = defaultdict(lambda: [0, 0.0, 0])
    for run in runs:
        took, stored = (run.ended - run.began).total_seconds(), run.size if run.good else 0
        _add(totals[run.task.cluster, run.state], 1, took, stored)
        day = run.began.date()
        if day < since:
            continue
        seen = hours.setdefault((run.task.pk, day), [NO_RUN] * HOURS)
        seen[run.began.hour] = worst((seen[run.began.hour], CODES[RunState(run.state)]))
        if run.good:
            last[run.task.pk, day] = run
            _add(clusters[run.task.cluster, day], 1, stored, took)
    write(TaskDay, ("task_id", "day", "hours", "good_at", "bytes", "seconds"), _task_days(hours, last))
    rows = ((cluster, str(day), *sums) for (cluster, day), sums in clusters.items())
    write(ClusterDay, ("cluster_id", "day", "sets", "bytes", "seconds"), rows)
    ended = ((cluster, "backup", state, *sums) for (cluster, state), sums in totals.items())
    write(RunTotal, ("cluster_id", "kind", "state", "runs", "seconds", "stored_bytes"), ended)


def _add(sums: list[float], *more: float) -> None:
    for place, one in enumerate(more):
        sums[place] += one


def _task_days(hours: dict[tuple[int, date], list[str]], last: dict[tuple[int, date], Run]) -> Iterable[tuple]:
    for key, seen in hours.items():
        run = last.get(key)
        good = (at(run.began), run.size, (run.ended - run.began).total_seconds()) if run else (None, None, None)
        yield (key[0], str(key[1]), "".join(seen), *good)


def space(labels: Iterable[tuple[str, str]], now: datetime) -> None:
    """Write the room at destinations (path type, name) with a month of readings; every fortieth is nearly full."""
    tebibyte = 1 << 40
    destinations, readings = [], []
    for number, (path_type, label) in enumerate(sorted(set(labels)), 1):
        low = not number % 40
        free = tebibyte // 50 if low else tebibyte // 2
        full = at(now + timedelta(days=5)) if low else None
        trend = "growing" if low else "steady"
        destinations.append((number, f"{number:064d}", path_type, label, free, tebibyte, at(now), trend, full, low))
        for back in range(_READINGS):
            moment = now - timedelta(days=back)
            readings.append((number, str(moment.date()), at(moment), free + (back << 32), tebibyte))
    names = ("id", "key", "path_type", "label", "free_bytes", "total_bytes", "read_at", "trend", "full_at", "low")
    write(DestinationSpace, names, destinations)
    write(SpaceDay, ("space_id", "day", "read_at", "free_bytes", "total_bytes"), readings)
