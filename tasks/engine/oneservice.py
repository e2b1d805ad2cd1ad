"""One service of a run: its archive, written, proven, and published."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from storage.base import Store, Upload
from storage.errors import AlreadyExists
from tasks.engine.archive import ArchiveResult, ArchiveWriter, verify_archive
from tasks.engine.asking import Asking
from tasks.engine.snapshot import Snapshot, scratch_directory, spool_path
from tasks.engine.spool import SpooledUpload
from tasks.naming import manifest_name, partial_name
from tasks.sources.base import Log, ServiceSpec, Survey


@dataclass
class Sealed:
    """An archive that is whole and proven under its partial name, with the manifest that goes beside it."""

    service: ServiceSpec
    survey: Survey
    name: str
    result: ArchiveResult
    archive: Upload
    manifest: Upload
    proof: str
    """What was compared, for the log."""
    written: tuple[datetime, datetime]
    """Between which moments of our clock the destination got the manifest."""

    def publish(self, take_back: Callable[[str], None]) -> str:
        """Give both their final names, the manifest first, so that no archive is ever without one; return the path.

        ``take_back`` removes the manifest by its name where somebody else's file has the archive's.
        """
        self.manifest.publish()
        try:
            return self.archive.publish()
        except AlreadyExists:
            take_back(manifest_name(self.name))
            raise

    def abort(self) -> None:
        """Remove what is still under a partial name."""
        self.archive.abort()
        self.manifest.abort()


@dataclass
class Writing:
    """Writes archives of one run. ``current`` is the archive in work, for the progress that another thread reports."""

    snapshot: Snapshot
    store: Store
    check: Callable[[], None]
    log: Log
    stack: ExitStack
    asking: Asking
    current: ArchiveWriter | None = None
    read_before: int = 0
    written_before: int = 0

    def progress(self) -> dict[str, int]:
        """Return bytes read from the source and written to the destination so far, over all services."""
        current = self.current
        return {
            "bytes_read": self.read_before + (current.source_bytes if current else 0),
            "bytes_written": self.written_before + (current.archive_bytes if current else 0),
        }

    def write(self, service: ServiceSpec, survey: Survey, checking: Callable[[], None]) -> Sealed:
        """Archive ``service``, prove it as the task chose to, and return it ready to be published.

        ``checking`` is called when a reading back begins. On any error nothing is left at the destination.
        """
        name = self.snapshot.archive_name(service, survey.version)
        archive = self._put(name, eager=True)
        beside: Upload | None = None
        try:
            beside = self._put(manifest_name(name), eager=False)
            result, written = self._fill(service, survey, name, archive, beside)
            proof = self._prove(archive, result, checking)
            return Sealed(service, survey, name, result, archive, beside, proof, written)
        except BaseException:
            archive.abort()
            if beside is not None:
                beside.abort()
            raise

    def _put(self, name: str, *, eager: bool) -> Upload:
        """Begin a file: in its place on this machine, or in the spool that an upload follows."""
        if self.store.in_place:
            return self._begin(self.store, name, 1)
        path = spool_path(self.snapshot.run_id, name)
        return SpooledUpload(path, lambda attempt: self._connect(name, attempt), self.check, self._warn, eager=eager)

    def _begin(self, store: Store, name: str, attempt: int) -> Upload:
        return store.put(self.snapshot.directory, name, partial_name(name, self.snapshot.run_id, attempt))

    def _connect(self, name: str, attempt: int) -> Upload:
        """Begin an upload on a connection of its own, so that a broken one is never used again."""
        store = self.snapshot.connect()
        self.stack.callback(store.close)
        return self._begin(store, name, attempt)

    def _warn(self, text: str) -> None:
        self.log("WARN", text)

    def _fill(
        self, service: ServiceSpec, survey: Survey, name: str, archive: Upload, beside: Upload
    ) -> tuple[ArchiveResult, tuple[datetime, datetime]]:
        """Return what was written, and between which moments the manifest beside it was brought to the destination."""
        scratch = scratch_directory()
        with ArchiveWriter(archive, check=self.check, scratch=scratch) as writer:
            self.current = writer
            try:
                facts = self._facts(service, survey)
                self.asking.add_to(writer, service)
                facts["source"] = self.snapshot.source.copy(service, survey, writer, self.log)
                facts |= self.asking.end(service)
                result = writer.finish(facts)
                counted = _Counted(beside)
                writer.write_manifest(counted, facts, name)
                began = timezone.now()
                beside.seal(counted.size)
                ended = timezone.now()
            finally:
                self.read_before += writer.source_bytes
                self.written_before += writer.archive_bytes
                self.current = None
        return result, (began, ended)

    def _facts(self, service: ServiceSpec, survey: Survey) -> dict[str, Any]:
        """Return what the manifest says about the archive as a whole."""
        snapshot = self.snapshot
        return {
            "data_source": snapshot.data_source,
            "task": snapshot.task_name,
            "run": snapshot.run_id,
            "cluster": snapshot.cluster,
            "service": service.name,
            "version": survey.version,
            "cluster_id": survey.cluster_id,
            "hot": survey.running,
            "executed_at": _iso(snapshot.started),
        }

    def _prove(self, archive: Upload, result: ArchiveResult, checking: Callable[[], None]) -> str:
        """Compare what the destination holds with what was written, and return what exactly was compared."""
        archive.seal(result.size)
        if not self.snapshot.reads_back:
            return (
                f"Size at the destination compared: {result.size:,} bytes as written. The SHA-256 is of what was sent; "
                "the task does not read archives back."
            )
        checking()
        with archive.reader() as reader:
            verify_archive(reader, sha256=result.sha256, check=self.check, scratch=scratch_directory())
        return "Read back and checked: archive and every member as written."


class _Counted:
    """Passes bytes on to an upload and counts them, for its seal."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self.upload.write(data)
        self.size += len(data)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
