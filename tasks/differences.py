"""The differences of two inventories as the pages show them: counts, series by database, names, rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from tasks.iotdb.base import COUNTS, Summary
from tasks.iotdb.difference import difference
from tasks.models import Run
from tasks.models.run import HEAVY
from tasks.states import GOOD, Kind

# So many names of a kind are shown in a row that unfolds, and on a page of its own; of the rest the number is told.
FEW, MANY = 10, 100
# So many sets, the newest ones, are offered to be compared.
CHOICES = 200
SIGNS = ("added", "gone", "changed")
ONE = {
    "databases": "database",
    "tables": "table",
    "templates": "template",
    "users": "user",
    "roles": "role",
    "functions": "function",
    "triggers": "trigger",
    "continuous_queries": "continuous query",
    "pipes": "pipe",
}


@dataclass(frozen=True)
class CountLine:
    """One count before and now; None where it is not known."""

    label: str
    before: int | None
    now: int | None

    @property
    def change(self) -> str:
        """The difference with its sign: ``+406``, ``−2``, ``0``."""
        if self.before is None or self.now is None:
            return "Unknown"
        number = self.now - self.before
        return f"{'+' if number > 0 else '−' if number < 0 else ''}{abs(number):,}"

    @property
    def css(self) -> str:
        """The class of its colour."""
        if self.before is None or self.now is None or self.before == self.now:
            return "muted"
        return "up" if self.now > self.before else "down"


@dataclass(frozen=True)
class Name:
    """One name that came, went, or whose rights changed (``css`` added, gone, changed)."""

    name: str
    kind: str
    css: str

    @property
    def word(self) -> str:
        """The same for whoever does not see the sign."""
        return {"added": "Added", "gone": "Gone", "changed": "Rights changed of"}[self.css]


@dataclass(frozen=True)
class NameGroup:
    """Names of one kind, the first of them; ``more`` are not shown."""

    label: str
    names: list[Name]
    more: int


@dataclass(frozen=True)
class ServiceDifference:
    """What one service counted before and now; where there is but one side, ``only`` says which."""

    service: str
    counts: list[CountLine]
    only: str = ""
    names: list[NameGroup] = field(default_factory=list)
    series: list[CountLine] = field(default_factory=list)
    series_more: int = 0
    versions: tuple[str, str] = ("", "")
    unsteady: list[CountLine] = field(default_factory=list)
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def compared(self) -> bool:
        """Whether there are both sides."""
        return not self.only

    @property
    def other_version(self) -> bool:
        """Whether IoTDB was updated between the two."""
        return self.compared and self.versions[0] != self.versions[1]

    @property
    def equal(self) -> bool:
        """Whether nothing differs that is known."""
        return self.compared and not (self.names or self.series) and all(line.css == "muted" for line in self.counts)


def compared(before: Mapping[str, Any], now: Mapping[str, Any], limit: int = MANY) -> list[ServiceDifference]:
    """Return the differences of two stored inventories, service by service; one may lack services or be empty."""
    return [_service(name, before.get(name), now.get(name), limit) for name in sorted({*before, *now})]


def _service(name: str, before: Any, now: Any, limit: int) -> ServiceDifference:
    old = None if before is None else Summary.of(before)
    new = None if now is None else Summary.of(now)
    shown = new or old or Summary()
    changed = {kind: late for kind, late in shown.unsteady.items() if kind in COUNTS}
    unsteady = [CountLine(COUNTS[kind], shown.counts.get(kind), late) for kind, late in changed.items()]
    if old is None or new is None:
        counts = _lines(COUNTS, {}, shown.counts)
        only = "before" if new is None else "now"
        return ServiceDifference(name, counts, only, unsteady=unsteady, errors=shown.errors)
    series = _series(old, new)
    return ServiceDifference(
        name,
        _lines(COUNTS, old.counts, new.counts),
        names=_names(difference(old, new), limit),
        series=series[:limit],
        series_more=max(0, len(series) - limit),
        versions=(old.version, new.version),
        unsteady=unsteady,
        errors=shown.errors,
    )


def _series(old: Summary, new: Summary) -> list[CountLine]:
    """Return the databases whose number of series differs, the greatest difference first."""
    if "series" not in old.counts or "series" not in new.counts:
        return []
    # A database that is not there has no series.
    databases = sorted({*old.series_of, *new.series_of})
    lines = [CountLine(name, old.series_of.get(name, 0), new.series_of.get(name, 0)) for name in databases]
    return sorted((line for line in lines if line.before != line.now), key=_weight)


def _lines(labels: Mapping[str, str], old: Mapping[str, int], new: Mapping[str, int]) -> list[CountLine]:
    return [CountLine(labels[key], old.get(key), new.get(key)) for key in labels if key in old or key in new]


def _weight(line: CountLine) -> tuple[int, str]:
    return -abs((line.now or 0) - (line.before or 0)), line.label


def _names(found: Mapping[str, Any], limit: int) -> list[NameGroup]:
    groups = []
    for kind, one in ONE.items():
        names = [Name(name, one, css) for css in SIGNS for name in found.get(css, {}).get(kind, ())]
        if names:
            groups.append(NameGroup(COUNTS[kind], names[:limit], max(0, len(names) - limit)))
    return groups


def of_run(run: Run) -> dict[str, Any]:
    """Return for a page what ``run`` counted, and the difference to the run before that was counted as well.

    A service that was not counted then is compared with the last time it was.
    """
    if not run.inventory:
        return {"differences": [], "before": None}
    earlier = counted(run.task_id).filter(pk__lt=run.pk)
    before = earlier.first()
    known = {name: before.inventory[name] for name in run.inventory if name in before.inventory} if before else {}
    for name in run.inventory if before else ():
        if name not in known and (last := earlier.filter(inventory__has_key=name).first()):
            known[name] = last.inventory[name]
    return {"differences": compared(known, run.inventory, FEW), "before": before}


def counted(task_id: int | None) -> QuerySet[Run]:
    """Return the backup runs of a task that gave a set and have an inventory, newest first."""
    runs = Run.objects.filter(task_id=task_id, kind=Kind.BACKUP, state__in=GOOD)
    return runs.exclude(inventory={}).order_by("-pk")


def choices(task_id: int) -> list[Run]:
    """Return the runs that can be compared, newest first, with no more of each than a list needs to show."""
    return list(counted(task_id).defer("parameters", "reason", *HEAVY)[:CHOICES])


def pick(runs: Sequence[Run], before: int | None, now: int | None) -> tuple[Run | None, Run | None]:
    """Return the runs named by their keys among ``runs``, newest first; in place of one that is not there, the newest.

    The other one is by default the next older one, so that without keys the two newest are compared.
    """
    if len(runs) < 2:
        return None, None
    by_key = {run.pk: run for run in runs}
    later = by_key.get(now or 0)
    earlier = by_key.get(before or 0)
    if later is None:
        later = next((run for run in runs if run is not earlier), runs[0])
    if earlier is None:
        earlier = next((run for run in runs if run.pk < later.pk), runs[-2])
    return earlier, later
