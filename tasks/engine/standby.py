"""The copy on the standby management node (seed, step 7: the standby node automatically synchronizes the files).

After a LocalDir set is published it is sent to the standby node by SFTP, read back there and compared. A copy that
failed is made up for at the task's next run; what retention removed here is removed there. None of this can make a run
fail: the set on the active node is proven by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.utils import timezone

from storage.base import Store
from storage.errors import ConsoleError, Corrupt, PathMissing
from storage.registry import get_path_type
from tasks import alarms
from tasks.engine import hostkeys
from tasks.engine.record import kept_sets
from tasks.engine.sweep import sweep_partials
from tasks.errors import RunEnded
from tasks.models import BackupFile, ManagementNodes
from tasks.naming import manifest_name, partial_name
from tasks.sources.base import Log
from tasks.units import format_size

CHUNK = 1 << 20


class _Gone(Exception):
    """A file that should be copied is no longer on the active node."""


@dataclass
class Standby:
    """Copies the sets of one task. ``check`` raises what ends a run; ``log`` writes to the run's log."""

    task_id: int
    run_id: int
    active: Store
    check: Callable[[], None]
    log: Log

    def synchronize(self) -> list[str]:
        """Bring the standby node to what the active one keeps, and return warnings."""
        nodes = ManagementNodes.objects.filter(pk=1).first()
        if nodes is None or not nodes.standby:
            return []
        address = nodes.standby.get("server_ip", "the standby node")
        try:
            with get_path_type("SFTP").connect(nodes.standby, nodes.secrets()) as store:
                alarms.clear(hostkeys.CODE, hostkeys.STANDBY, now=timezone.now())
                warnings = self._copy_missing(store, address)
                self._remove_gone(store)
        except RunEnded:
            raise
        except ConsoleError as error:
            hostkeys.met_at_standby(nodes, error, timezone.now())
            return [f"Copy on standby node {address} failed: {error} It is made up for at the next run."]
        return warnings

    def _copy_missing(self, store: Store, address: str) -> list[str]:
        """Copy every kept set that the standby node lacks, oldest first, so that the newest is its last word.

        A set that is no longer here does not keep the others from being copied; it gives a warning.
        """
        # The run's own set is proven and counts as soon as the run is recorded as ended.
        kept = [*kept_sets(self.task_id).values_list("pk", flat=True), self.run_id]
        missing = BackupFile.objects.filter(run_id__in=kept, removed_at__isnull=True, standby_at__isnull=True)
        files = list(missing.order_by("run_id", "pk"))
        for directory in {file.directory for file in files}:
            # What an earlier run left there when it was killed in the middle of a copy.
            sweep_partials(store, directory)
        warnings = []
        for file in files:
            try:
                self._copy(file, store)
            except _Gone as gone:
                warnings.append(f"{gone} It cannot be copied to standby node {address}.")
                continue
            BackupFile.objects.filter(pk=file.pk).update(standby_at=timezone.now())
            self.log("INFO", f"Copied {file.name} to standby node {address}: {format_size(file.size)}, read back.")
        return warnings

    def _copy(self, file: BackupFile, store: Store) -> None:
        """Copy the manifest and then the archive, so that no archive is ever there without one."""
        self._send(file.directory, manifest_name(file.name), None, store)
        self._send(file.directory, file.name, file.sha256, store)

    def _send(self, directory: str, name: str, sha256: str | None, store: Store) -> None:
        """Send one file unless it is there already; compare what arrived with what is here."""
        with self._open(directory, name) as source:
            size = self.active.stat(directory, name).size
            if _is_there(store, directory, name, size):
                return
            upload = store.put(directory, name, partial_name(name, self.run_id))
            try:
                digest = hashlib.sha256()
                for piece in _pieces(source):
                    self.check()
                    digest.update(piece)
                    upload.write(piece)
                upload.seal(size)
                with upload.reader() as arrived:
                    found = self._hash(arrived)
                if found != digest.hexdigest() or (sha256 is not None and found != sha256):
                    raise Corrupt(f"{name} did not arrive on the standby node as it was sent.")
                upload.publish()
            except BaseException:
                upload.abort()
                raise

    def _open(self, directory: str, name: str) -> BinaryIO:
        try:
            return self.active.open(directory, name)
        except PathMissing as error:
            raise _Gone(f"{self.active.full_path(directory, name)} is not there any more.") from error

    def _hash(self, reader: BinaryIO) -> str:
        digest = hashlib.sha256()
        for piece in _pieces(reader):
            self.check()
            digest.update(piece)
        return digest.hexdigest()

    def _remove_gone(self, store: Store) -> None:
        """Remove there what retention removed here; only files that a run of this task recorded are touched.

        The record of a copy may be missing: a worker may have been killed between the copy and its record.
        """
        gone = list(BackupFile.objects.filter(run__task_id=self.task_id, removed_at__isnull=False))
        there = {(one, entry.name) for one in {file.directory for file in gone} for entry in store.list(one)}
        for file in gone:
            names = (file.name, manifest_name(file.name))
            if file.standby_at is None and not any((file.directory, name) in there for name in names):
                continue
            for name in names:
                store.delete(file.directory, name)
            BackupFile.objects.filter(pk=file.pk).update(standby_at=None)


def _pieces(reader: BinaryIO) -> Iterator[bytes]:
    while piece := reader.read(CHUNK):
        yield piece


def _is_there(store: Store, directory: str, name: str, size: int) -> bool:
    """Tell whether a whole file of that name and size is there: a copy whose record was lost is not sent again."""
    try:
        return store.stat(directory, name).size == size
    except PathMissing:
        return False
