"""An imagined installation of any size: clusters, tasks, and when each task ran and how that ended. Pure, and seeded.

Clusters are of uneven size, and so are the histories of tasks: hourly ones have many runs, weekly ones few.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# All runs have ended: the last one began so long ago, and none took longer.
_RECENT = timedelta(minutes=16)
# Share of the tasks, period, its unit, and how many runs such a task has at full size (100 a task in the mean).
_RHYTHMS = (
    (0.03, 1, "hours", 1250),
    (0.07, 6, "hours", 300),
    (0.65, 1, "days", 62),
    (0.15, 7, "days", 12),
    (0.10, 0, "", 8),
)
# One task has run longer than all others.
VETERAN_RUNS = 10_000
_PATHS = (("LocalDir", 40), ("SFTP", 25), ("NFS", 15), ("CIFS", 10), ("RemoteHDFS", 10))
_ENDS = (("successful", 925), ("warnings", 30), ("failed", 28), ("stopped", 5), ("postponed", 12))
GOOD = ("successful", "warnings")


@dataclass(frozen=True)
class Size:
    """How much there is."""

    tasks: int = 10_000
    runs: int = 1_000_000
    clusters: int = 100
    log_lines: int = 1_000_000
    restorations: int = 300
    alarms: int = 20_000
    events: int = 200_000

    def smaller(self, by: int) -> Size:
        """Return a ``by``-th of it; there are at least ten clusters."""
        return Size(
            self.tasks // by, self.runs // by, max(10, self.clusters // by), self.log_lines // by,
            max(30, self.restorations // by), self.alarms // by, self.events // by,
        )  # fmt: skip


@dataclass
class Task:
    """A backup task; ``moments`` are those of its runs, oldest first."""

    pk: int
    cluster: int
    name: str
    period: int
    unit: str
    path_type: str
    started: datetime
    next_run: datetime | None
    suspended: bool
    broken: bool
    moments: list[datetime] = field(default_factory=list)
    # Of the runs so far: their outcomes, and the keys of those whose set is kept, oldest first.
    outcomes: str = ""
    kept: list[int] = field(default_factory=list)
    last: Run | None = None
    last_good: Run | None = None


class Run(NamedTuple):
    """One backup run."""

    pk: int
    task: Task
    began: datetime
    ended: datetime
    state: str
    size: int

    @property
    def good(self) -> bool:
        """Whether it gave a set."""
        return self.state in GOOD


def tasks(size: Size, now: datetime) -> list[Task]:
    """Return the tasks, with the moments of about as many runs as ``size`` says, all before ``now``."""
    chance = random.Random(20261123)
    weights = [1 / (number + 1) ** 0.8 for number in range(size.clusters)]
    clusters = chance.choices(range(1, size.clusters + 1), weights, k=size.tasks)
    # None is left without a task.
    clusters[: size.clusters] = range(1, size.clusters + 1)
    scale = size.runs / size.tasks / 100
    found = []
    for pk, cluster in enumerate(clusters, 1):
        _, period, unit, runs = chance.choices(_RHYTHMS, [one[0] for one in _RHYTHMS])[0]
        every = period * (_HOUR if unit == "hours" else _DAY) if period else _DAY * chance.randint(3, 30)
        many = (
            VETERAN_RUNS * size.runs // 1_000_000 if pk == 1 else max(1, int(runs * scale * chance.uniform(0.5, 1.5)))
        )
        if pk == 1:
            period, unit, every = 1, "hours", _HOUR
        last = now - _RECENT - (every - _RECENT) * chance.random()
        task = Task(
            pk=pk,
            cluster=cluster,
            name=f"{_KINDS[pk % len(_KINDS)]}-{cluster:03d}-{pk:05d}",
            period=period or 1,
            unit=unit,
            path_type=chance.choices([name for name, _ in _PATHS], [share for _, share in _PATHS])[0],
            started=last - every * (many - 1),
            next_run=last + every if period else None,
            suspended=bool(period) and chance.random() < 0.03,
            broken=chance.random() < 0.02,
        )
        # One in thirty never ran.
        if pk == 1 or chance.random() > 0.03:
            task.moments = [last - every * number for number in reversed(range(many))]
        found.append(task)
    return found


_KINDS = ("metadata", "nightly", "plant", "depot", "line", "archive", "offsite", "hourly")


def runs(found: list[Task], copies: int) -> Iterator[Run]:
    """Yield the runs of all tasks in the order in which they began, and let each task know its own."""
    chance = random.Random(20261124)
    ends, shares = [state for state, _ in _ENDS], [share for _, share in _ENDS]
    in_order = heapq.merge(*([(moment, task.pk, task) for moment in task.moments] for task in found))
    left = {task.pk: len(task.moments) for task in found}
    total = sum(left.values())
    states = chance.choices(ends, shares, k=total)
    for pk, (moment, _, task) in enumerate(in_order, 1):
        left[task.pk] -= 1
        state = "failed" if task.broken and left[task.pk] < 20 else states[pk - 1]
        took = timedelta(seconds=0 if state == "postponed" else 5 + int(895 * chance.random()))
        run = Run(pk, task, moment, moment + took, state, 2_000_000 + int(900_000_000 * chance.random()))
        task.last = run
        task.outcomes = (task.outcomes + {"stopped": "x"}.get(state, state[0]))[-30:]
        if run.good:
            task.last_good = run
            task.kept.append(pk)
            del task.kept[:-copies]
        yield run
