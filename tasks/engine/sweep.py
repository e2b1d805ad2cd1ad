"""Removing what a run that ended badly left behind: partial files, and files that were never proven."""

from __future__ import annotations

import logging
from pathlib import Path

from storage.base import Store
from storage.errors import ConsoleError, PathMissing
from storage.registry import get_path_type
from tasks.engine.record import write_line
from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupFile, Run
from tasks.naming import manifest_name, partial_owner
from tasks.states import RunState

log = logging.getLogger(__name__)


def sweep_run(run_id: int) -> None:
    """Remove the leftovers of one run that has ended; what cannot be removed now is tried at the task's next run.

    A verified file is never touched. Errors of the destination end in the run's log, not in the caller.
    """
    run = Run.objects.select_related("task").get(pk=run_id)
    parameters = run.parameters
    if run.state == RunState.RUNNING or not parameters:
        return
    for left in Path(scratch_directory()).glob(f"run-{run_id}-*"):
        left.unlink(missing_ok=True)
    try:
        path_type = get_path_type(parameters["path_type"])
        with path_type.connect(parameters["destination"], run.task.secrets()) as store:
            sweep_unproven(run, store)
            sweep_partials(store, parameters["directory"])
    except ConsoleError as error:
        write_line(run_id, "WARN", f"What the run left behind could not be removed yet. {error}")


def sweep_unproven(run: Run, store: Store) -> None:
    """Remove the files of ``run`` that got their final name but were never recorded as verified."""
    for file in BackupFile.objects.filter(run=run, verified_at__isnull=True):
        if _is_ours(file, store):
            store.delete(file.directory, file.name)
            store.delete(file.directory, manifest_name(file.name))
        file.delete()


def _is_ours(file: BackupFile, store: Store) -> bool:
    """Tell whether the file under the recorded name is the one that the run wrote."""
    try:
        return store.stat(file.directory, file.name).size == file.size
    except PathMissing:
        return False


def sweep_partials(store: Store, directory: str) -> int:
    """Remove the partial files in ``directory`` whose runs are no longer running, and return how many."""
    removed = 0
    for entry in store.list(directory):
        owner = partial_owner(entry.name)
        if owner is None or Run.objects.filter(pk=owner, state=RunState.RUNNING).exists():
            continue
        store.delete(directory, entry.name)
        log.info("removed the partial file %s of run %s", entry.name, owner)
        removed += 1
    return removed
