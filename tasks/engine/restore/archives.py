"""The archives of a set on this machine: fetched, proven, and what they say of themselves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from storage.base import Store
from storage.errors import Corrupt, NoSpace, PathMissing
from storage.registry import get_path_type
from tasks.engine.archive import Damage, Listing, verify_archive
from tasks.engine.archive.manifest import parse_head, split_lines
from tasks.engine.restore.matching import ServiceOfSet
from tasks.engine.snapshot import scratch_directory, spool_path
from tasks.iotdb.base import Summary
from tasks.models import Restoration
from tasks.naming import manifest_name
from tasks.units import format_size

_CHUNK = 1 << 18

Check = Callable[[], None]
Count = Callable[[int], None]


@dataclass
class Archive:
    """One archive of the set. ``facts`` are those of its manifest, known once it is verified."""

    service: str
    name: str
    path: Path
    size: int
    sha256: str | None
    listing: Listing
    facts: dict[str, Any] = field(default_factory=dict)
    members: int = 0
    source_bytes: int = 0

    @property
    def of_set(self) -> ServiceOfSet:
        """What the archive says of its service and its nodes. Raises Corrupt where that is not known."""
        try:
            return ServiceOfSet.of(self.facts["source"])
        except (KeyError, TypeError) as error:
            raise Corrupt(f"{self.name} does not say which nodes it is of.", cure="Choose another set.") from error

    def listed(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the manifest says of each member."""
        return (json.loads(line) for line in self.listing.lines())

    @property
    def summary(self) -> Summary | None:
        """The inventory that was taken with the set; None where nobody could be asked then."""
        stored = self.facts.get("inventory")
        return Summary.of(stored) if isinstance(stored, dict) else None


class Fetching:
    """Brings the archives of a restoration here and proves them; ``count`` is told of bytes that were read."""

    def __init__(self, restoration: Restoration, run_id: int, check: Check, count: Count, stack: ExitStack) -> None:
        self.restoration = restoration
        self.run_id = run_id
        self.check = check
        self.count = count
        self.stack = stack

    def fetch(self) -> list[Archive]:
        """Return the archives, read where they lie on this machine, else copied to the spool.

        Raises NoSpace, PathMissing, and errors of the destination.
        """
        path_type = get_path_type(self.restoration.path_type)
        with path_type.connect_to_read(self.restoration.destination, self.restoration.secrets()) as store:
            files = [self._known(store, file) for file in self.restoration.files]
            if not store.in_place:
                self._look_for_room(sum(file["size"] for file in files))
            return [self._fetch(store, file) for file in files]

    def verify(self, archive: Archive) -> None:
        """Prove every byte and every member; raise Corrupt."""
        with archive.path.open("rb") as reader:
            counted: Any = _Counted(reader, self.count)
            found = verify_archive(
                counted,
                sha256=archive.sha256,
                check=self.check,
                scratch=scratch_directory(),
                listing=archive.listing,
            )
        archive.facts, archive.members = found.facts, found.members
        archive.size, archive.sha256, archive.source_bytes = found.size, found.sha256, found.source_bytes

    def _known(self, store: Store, file: Mapping[str, Any]) -> dict[str, Any]:
        """Return a file with its size as it is there; and its hash, from the manifest beside it where it is not known.

        Raises PathMissing, Corrupt where the size is not the recorded one.
        """
        directory, name = file["directory"], file["name"]
        size = store.stat(directory, name).size
        recorded = file.get("size")
        if recorded and int(recorded) != size:
            path = store.full_path(directory, name)
            raise Corrupt(f"{path} has {size:,} of {int(recorded):,} bytes.", cure="Choose another set.")
        return {**file, "size": size, "sha256": file.get("sha256") or _hash_beside(store, directory, name)}

    def _look_for_room(self, need: int) -> None:
        free = shutil.disk_usage(scratch_directory()).free
        if free - need < settings.FREE_SPACE_FLOOR:
            raise NoSpace(
                f"The disk of this machine that holds {settings.DATA_DIR} has {format_size(free)} free. The set needs "
                f"{format_size(need)} there, and {format_size(settings.FREE_SPACE_FLOOR)} have to stay free.",
                cure="Free space there, or lower FREE_SPACE_FLOOR_MB.",
            )

    def _fetch(self, store: Store, file: Mapping[str, Any]) -> Archive:
        directory, name = file["directory"], file["name"]
        if store.in_place:
            path = Path(store.full_path(directory, name))
        else:
            path = spool_path(self.run_id, name)
            self._download(store, directory, name, path)
        listing = self.stack.enter_context(Listing(scratch_directory()))
        return Archive(file["service"], name, path, file["size"], file["sha256"], listing)

    def _download(self, store: Store, directory: str, name: str, path: Path) -> None:
        self.stack.callback(path.unlink, missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as spool, store.open(directory, name) as reader:
            while chunk := reader.read(_CHUNK):
                self.check()
                spool.write(chunk)
                self.count(len(chunk))


class _Counted:
    """Passes on what is read and tells how much that was."""

    def __init__(self, reader: Any, count: Count) -> None:
        self._reader = reader
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        data: bytes = self._reader.read(size)
        self._count(len(data))
        return data


def _hash_beside(store: Store, directory: str, name: str) -> str | None:
    """Return the hash that the manifest beside an archive has on its first line; None where there is no such thing."""
    try:
        with store.open(directory, manifest_name(name)) as reader:
            head = parse_head(next(split_lines(iter(lambda: reader.read(_CHUNK), b"")), b""))
    except (PathMissing, Damage):
        return None
    return str(head.archive["sha256"]) if head.archive else None
