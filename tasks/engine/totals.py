"""Counting runs as they end; the totals stay when the history is pruned (``RunTotal``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from tasks.models import Run, RunTotal


@dataclass
class _Sum:
    runs: int = 0
    seconds: float = 0.0
    stored_bytes: int = 0


@transaction.atomic
def add(ended: Iterable[Run]) -> None:
    """Add runs that ended to the totals, in the transaction that recorded their end.

    The totals are locked last of all and in one order, so that no two callers wait for each other.
    """
    sums: dict[tuple[int, str, str], _Sum] = defaultdict(_Sum)
    for run in ended:
        found = sums[run.cluster_id, run.kind, run.state]
        found.runs += 1
        found.seconds += max(0.0, run.duration.total_seconds()) if run.duration is not None else 0.0
        found.stored_bytes += run.size or 0
    for key in sorted(sums):
        _add(key, sums[key])


def _add(key: tuple[int, str, str], more: _Sum) -> None:
    cluster_id, kind, state = key
    rows = RunTotal.objects.filter(cluster_id=cluster_id, kind=kind, state=state)
    changes = {name: F(name) + value for name, value in vars(more).items()}
    if not rows.update(**changes):
        RunTotal.objects.bulk_create([RunTotal(cluster_id=cluster_id, kind=kind, state=state)], ignore_conflicts=True)
        rows.update(**changes)
