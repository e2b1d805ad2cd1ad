"""Which backup file sets go and which stay (design.md, decision 8).

``plan`` is pure. It sees verified sets only, keeps the newest ``copies`` of them, and never takes the last one.
``apply`` removes what the plan says, by the names that were recorded and no others, an archive before its manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from storage.base import Store
from storage.errors import ConsoleError, StoreError
from tasks.engine.record import kept_sets, write_line
from tasks.engine.snapshot import Snapshot
from tasks.models import BackupFile, Run
from tasks.naming import manifest_name


@dataclass(frozen=True)
class SetInfo:
    """A verified backup file set: the run that made it, and when."""

    run_id: int
    taken_at: datetime


@dataclass(frozen=True)
class Plan:
    """What stays and what goes, newest first."""

    keep: tuple[SetInfo, ...]
    remove: tuple[SetInfo, ...]


def plan(sets: Sequence[SetInfo], copies: int) -> Plan:
    """Return what to do with the verified ``sets`` of a destination that may keep ``copies`` of them.

    The order of ``sets`` does not matter. At least one set is kept whatever ``copies`` says.
    """
    newest_first = sorted(sets, key=lambda one: (one.taken_at, one.run_id), reverse=True)
    kept = max(1, copies)
    return Plan(tuple(newest_first[:kept]), tuple(newest_first[kept:]))


def planned(task_id: int, copies: int, run: Run | None = None) -> Plan:
    """Return the plan for the sets of a task, with the set of ``run``, which is about to count, among them."""
    runs = list(kept_sets(task_id))
    if run is not None and all(known.pk != run.pk for known in runs):
        runs.append(run)
    return plan([SetInfo(known.pk, known.began) for known in runs], copies)


def apply(snapshot: Snapshot, run: Run, store: Store) -> list[str]:
    """Remove what the plan says and return warnings; what cannot be removed stays on record and is tried again."""
    plan_now = planned(snapshot.task_id, snapshot.copies, run)
    warnings: list[str] = []
    removed = 0
    for one in plan_now.remove:
        try:
            removed += _remove_set(one.run_id, store, run.pk)
        except ConsoleError as error:
            warnings.append(f"Retention: the set of {_when(one.taken_at)} could not be removed. {error}")
    kept = len(plan_now.keep) + len(plan_now.remove) - removed
    write_line(run.pk, "INFO", f"Retention: {kept} of {snapshot.copies} sets are kept, {removed} removed.")
    return warnings


def _remove_set(run_id: int, store: Store, by_run: int) -> int:
    """Remove the files of one set and return 1; 0 where they lie at another destination and are not touched."""
    files = list(BackupFile.objects.filter(run_id=run_id, removed_at__isnull=True))
    here = [file for file in files if _is_here(file, store)]
    if len(here) < len(files):
        return 0
    for file in here:
        store.delete(file.directory, file.name)
        with suppress(StoreError):
            store.delete(file.directory, manifest_name(file.name))
        BackupFile.objects.filter(pk=file.pk).update(removed_at=timezone.now())
    set_of = Run.objects.get(pk=run_id)
    Run.objects.filter(pk=run_id).update(set_removed_at=timezone.now())
    write_line(by_run, "INFO", f"Retention: removed the set of {_when(set_of.began)} ({len(files)} files).")
    return 1


def _is_here(file: BackupFile, store: Store) -> bool:
    """Tell whether ``file`` lies at this destination: a task may have been configured to another one since."""
    return store.full_path(file.directory, file.name) == file.path


def _when(moment: datetime) -> str:
    return f"{timezone.localtime(moment, timezone.get_default_timezone()):%Y-%m-%d %H:%M}"
