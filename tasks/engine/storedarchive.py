"""One archive at its destination, held against its record, its manifests, and what its data source needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from storage.base import Store
from storage.errors import Corrupt, PathMissing, StoreFault
from tasks import sources
from tasks.engine.archive import Damage, Listing, Totals, Verified, verify_archive
from tasks.engine.archive.manifest import CHUNK, member_lines, name_of, parse_head, split_lines
from tasks.engine.fetching import Counted
from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupFile
from tasks.naming import manifest_name


def _chunks(reader: BinaryIO, check: Callable[[], None]) -> Iterator[bytes]:
    while chunk := reader.read(CHUNK):
        check()
        yield chunk


class StoredArchive:
    """Reads one archive of a set of ``data_source``, and says what is wrong with it.

    ``count`` is told of the bytes that are read; ``check`` may raise what ends the run.
    """

    def __init__(
        self, file: BackupFile, data_source: str, store: Store, count: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        self.file = file
        self.data_source = data_source
        self.store = store
        self.count = count
        self.check = check

    def problems(self) -> list[str]:
        """Return sentences on what is wrong, none where nothing is. Raises errors of the destination."""
        file = self.file
        try:
            size = self.store.stat(file.directory, file.name).size
            if size != file.size:
                return [f"{file.path} has {size:,} of {file.size:,} bytes."]
            return self._read()
        except PathMissing:
            return [f"{file.path} is not there any more."]
        except Corrupt as error:
            return [f"{file.path}: {error.message[:1].lower() + error.message[1:]}"]
        except OSError as error:
            raise StoreFault(f"{file.path} cannot be read: {error.strerror or type(error).__name__}.") from error

    def _read(self) -> list[str]:
        file = self.file
        with Listing(scratch_directory()) as listing:
            with self.store.open(file.directory, file.name) as reader:
                counted = cast(BinaryIO, Counted(reader, self.count))
                found = verify_archive(counted, sha256=file.sha256, check=self.check, listing=listing)
            return [*self._facts(found), *self._lacking(found, listing), *self._beside(found, listing)]

    def _facts(self, found: Verified) -> Iterator[str]:
        """Hold the manifest against the record."""
        for label, key, recorded in (
            ("the version", "version", self.file.version),
            ("the cluster id", "cluster_id", self.file.cluster_id),
            ("the service", "service", self.file.service),
        ):
            value = str(found.facts.get(key, ""))
            if value[:64] != recorded:
                said = f"{label} in its manifest is {value or 'empty'}, on record is {recorded or 'none'}"
                yield f"{self.file.path}: {said}."

    def _lacking(self, found: Verified, listing: Listing) -> Iterator[str]:
        """Hold the members against what the data source needs to start from them."""
        source = sources.get(self.data_source)
        for sentence in source.lacking(found.facts.get("source", {}), (name_of(line) for line in listing.lines())):
            yield f"{self.file.path}: {sentence}"

    def _beside(self, found: Verified, listing: Listing) -> Iterator[str]:
        """Hold the manifest beside the archive against the one inside, line by line."""
        name = manifest_name(self.file.name)
        path = self.store.full_path(self.file.directory, name)
        try:
            with self.store.open(self.file.directory, name) as reader:
                difference = self._difference(reader, found, listing)
        except PathMissing:
            difference = "is not there any more"
        except Damage as damage:
            difference = f"is damaged: {damage}"
        if difference:
            yield f"{path} {difference}."

    def _difference(self, reader: BinaryIO, found: Verified, listing: Listing) -> str:
        """Return in which way the manifest beside the archive differs; empty where it does not."""
        lines = split_lines(_chunks(reader, self.check))
        head = parse_head(next(lines, b""))
        if head.archive != {"name": self.file.name, "size": found.size, "sha256": found.sha256}:
            return "names another archive"
        if (head.facts, head.totals) != (found.facts, Totals(found.members, found.files, found.source_bytes)):
            return "says something else about the archive than the manifest inside"
        inside = listing.lines()
        for line in member_lines(lines):
            if line != next(inside, b""):
                return f"is not that of the archive (at {name_of(line)})"
        return "lacks members of the archive" if next(inside, b"") else ""
