"""Counting runs as they end; the totals stay when the history is pruned (``RunTotal``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction

from tasks.models import Run, RunTotal

Key = tuple[int, str, str]
_FIGURES = ("runs", "seconds", "stored_bytes")


@transaction.atomic
def add(ended: Iterable[Run]) -> None:
    """Add runs that ended to the totals, in the transaction that recorded their end; a few queries for any number.

    The totals are locked last of all and in one order, so that no two callers wait for each other.
    """
    sums: dict[Key, RunTotal] = {}
    for run in ended:
        key = (run.cluster_id, run.kind, run.state)
        more = sums.setdefault(key, RunTotal(cluster_id=run.cluster_id, kind=run.kind, state=run.state))
        more.runs += 1
        more.seconds += max(0.0, run.duration.total_seconds()) if run.duration is not None else 0.0
        more.stored_bytes += run.size or 0
    if not sums:
        return
    rows = _locked(sums)
    for key, more in sums.items():
        for name in _FIGURES:
            setattr(rows[key], name, getattr(rows[key], name) + getattr(more, name))
    RunTotal.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=("cluster", "kind", "state"), update_fields=_FIGURES
    )


def _locked(keys: Collection[Key]) -> dict[Key, RunTotal]:
    """Return the totals of ``keys``, made where they are missing, and locked."""
    found = _find(keys)
    if len(found) < len(keys):
        missing = sorted(key for key in keys if key not in found)
        RunTotal.objects.bulk_create(
            (RunTotal(cluster_id=cluster_id, kind=kind, state=state) for cluster_id, kind, state in missing),
            ignore_conflicts=True,
        )
        found = _find(keys)
    return found


def _find(keys: Collection[Key]) -> dict[Key, RunTotal]:
    clusters, kinds, states = (set(part) for part in zip(*keys, strict=True))
    rows = RunTotal.objects.filter(cluster_id__in=clusters, kind__in=kinds, state__in=states)
    found = rows.select_for_update().order_by("cluster_id", "kind", "state")
    return {key: row for row in found if (key := (row.cluster_id, row.kind, row.state)) in keys}
