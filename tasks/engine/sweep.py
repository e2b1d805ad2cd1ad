"""Removing what a run that ended badly left behind: partial files, and files that were never proven."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

from storage.base import Store
from storage.errors import ConsoleError, PathMissing
from storage.registry import get_path_type
from tasks.engine.record import write_line
from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupFile, Run
from tasks.naming import manifest_name, partial_owner
from tasks.states import Kind, RunState

log = logging.getLogger(__name__)
_SPOOLED = re.compile(r"run-(\d+)-")
# The first line of a manifest holds the hash of its archive; longer ones are not ours.
_HEAD = 1 << 20


def sweep_run(run_id: int) -> None:
    """Remove the leftovers of one run that has ended; what cannot be removed now is tried at the task's next run.

    A verified file is never touched. Errors of the destination end in the run's log, not in the caller.
    """
    run = Run.objects.select_related("task").get(pk=run_id)
    parameters = run.parameters
    if run.state == RunState.RUNNING:
        return
    for left in Path(scratch_directory()).glob(f"run-{run_id}-*"):
        _remove(left)
    if run.kind != Kind.BACKUP or not parameters or run.task is None:
        return
    try:
        path_type = get_path_type(parameters["path_type"])
        with path_type.connect(parameters["destination"], run.task.secrets()) as store:
            for file in BackupFile.objects.filter(run=run, verified_at__isnull=True):
                _sweep_unproven(file, store)
            sweep_partials(store, parameters["directory"])
    except ConsoleError as error:
        write_line(run_id, "WARN", f"What the run left behind could not be removed yet. {error}")


def sweep_task(task_id: int, store: Store, directory: str) -> int:
    """Remove what earlier runs of a task left at a destination, before a new one writes; return how many files.

    This is the second chance: the destination may have been away when the run ended, or the one who swept was lost.
    Raises errors of the destination.
    """
    unproven = BackupFile.objects.filter(run__task_id=task_id, verified_at__isnull=True)
    for file in unproven.exclude(run__state=RunState.RUNNING):
        _sweep_unproven(file, store)
    return sweep_partials(store, directory)


def sweep_spool() -> int:
    """Remove the spool files on this machine of runs that are no longer running, and return how many."""
    removed = 0
    for left in Path(scratch_directory()).iterdir():
        match = _SPOOLED.match(left.name)
        if match and not _is_running(int(match.group(1))):
            _remove(left)
            removed += 1
    return removed


def _remove(left: Path) -> None:
    """Remove a file of a run from the spool, or a directory into which a set was unpacked for a rehearsal."""
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def sweep_partials(store: Store, directory: str) -> int:
    """Remove the partial files in ``directory`` whose runs are no longer running, and return how many."""
    removed = 0
    for entry in store.list(directory):
        owner = partial_owner(entry.name)
        if owner is None or _is_running(owner):
            continue
        store.delete(directory, entry.name)
        log.info("removed the partial file %s of run %s", entry.name, owner)
        removed += 1
    return removed


def _is_running(run_id: int) -> bool:
    return Run.objects.filter(pk=run_id, state=RunState.RUNNING).exists()


def _sweep_unproven(file: BackupFile, store: Store) -> None:
    """Remove a file that got its final name, or may have got it, but was never recorded as verified."""
    if store.full_path(file.directory, file.name) != file.path:
        # It lies at a destination that the task had before, and stays on record.
        return
    if _is_proven_of_another(file):
        pass
    elif _is_ours(file, store):
        store.delete(file.directory, file.name)
        store.delete(file.directory, manifest_name(file.name))
    elif _manifest_is_ours(file, store):
        store.delete(file.directory, manifest_name(file.name))
    file.delete()


def _is_proven_of_another(file: BackupFile) -> bool:
    return BackupFile.objects.filter(path=file.path, verified_at__isnull=False, removed_at__isnull=True).exists()


def _is_ours(file: BackupFile, store: Store) -> bool:
    """Tell whether the file under the recorded name is the one that the run wrote."""
    try:
        return store.stat(file.directory, file.name).size == file.size
    except PathMissing:
        return False


def _manifest_is_ours(file: BackupFile, store: Store) -> bool:
    """Tell whether the manifest under the recorded name is that of our archive: it gets its name first."""
    head = b""
    try:
        with store.open(file.directory, manifest_name(file.name)) as manifest:
            while len(head) < _HEAD and b"\n" not in head and (piece := manifest.read(_HEAD)):
                head += piece
    except PathMissing:
        return False
    return f'"sha256":"{file.sha256}"'.encode() in head.partition(b"\n")[0]
