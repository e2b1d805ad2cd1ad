"""Archives of a set within reach: read in their place on this machine, or fetched from their destination first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings

from storage.base import Store
from storage.errors import Corrupt, NoSpace, PathMissing, StoreFault
from tasks.engine.archive import Damage, Listing, Verified, verify_archive
from tasks.engine.archive.manifest import parse_head, split_lines
from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupFile
from tasks.naming import manifest_name
from tasks.units import format_size

_PIECE = 1 << 20  # bytes
Count = Callable[[int], None]
ANOTHER = "Choose another set."


@dataclass(frozen=True)
class Recorded:
    """What is on record of an archive; None for a size or a hash that is not, as of a set that was only found."""

    service: str
    directory: str
    name: str
    size: int | None
    sha256: str | None

    @classmethod
    def of(cls, file: BackupFile) -> Recorded:
        """Return what is on record of an archive of a run."""
        return cls(file.service, file.directory, file.name, file.size, file.sha256)

    @classmethod
    def listed(cls, file: Mapping[str, Any]) -> Recorded:
        """Return what a restoration task says of an archive."""
        size = int(file.get("size") or 0) or None
        return cls(file["service"], file["directory"], file["name"], size, file.get("sha256") or None)


@dataclass(frozen=True)
class Archive:
    """An archive on this machine, to be read as often as need be. ``path`` is how people know it."""

    recorded: Recorded
    path: str
    _here: Path

    @property
    def size(self) -> int:
        """Its size in bytes."""
        assert self.recorded.size is not None  # ``known`` looked
        return self.recorded.size

    def open(self) -> BinaryIO:
        """Begin to read, each time anew."""
        return self._here.open("rb")

    def verify(self, listing: Listing, check: Callable[[], None], count: Count = lambda size: None) -> Verified:
        """Prove every byte and every member; ``count`` hears of what was read. Raises Corrupt that names the file."""
        try:
            with self.open() as reader:
                counted = cast(BinaryIO, Counted(reader, count))
                return verify_archive(counted, sha256=self.recorded.sha256, check=check, listing=listing)
        except Corrupt as error:
            raise Corrupt(f"{self.path}: {error.message[:1].lower()}{error.message[1:]}", cure=error.cure) from error


class Counted:
    """Passes on what is read and tells how much that was."""

    def __init__(self, reader: BinaryIO, count: Count) -> None:
        self._reader = reader
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        """Read as the reader does."""
        data = self._reader.read(size)
        self._count(len(data))
        return data


def known(store: Store, recorded: Recorded) -> Recorded:
    """Return the record with the size as it is at ``store``, and the hash from the manifest beside where it lacks.

    Raises Corrupt where the archive is not there or has another size than the recorded one, and errors of the
    destination.
    """
    path = store.full_path(recorded.directory, recorded.name)
    try:
        size = store.stat(recorded.directory, recorded.name).size
    except PathMissing as error:
        raise Corrupt(f"{path} is not there any more.", cure=ANOTHER) from error
    if recorded.size not in (None, size):
        raise Corrupt(f"{path} has {size:,} of {recorded.size:,} bytes.", cure=ANOTHER)
    return replace(recorded, size=size, sha256=recorded.sha256 or _hash_beside(store, recorded))


def fetch(store: Store, recorded: Recorded, copy: Path, check: Callable[[], None], count: Count) -> Archive:
    """Return an archive that is ``known``; where it lies elsewhere, it is copied to ``copy``, which must not exist.

    ``count`` hears of each piece that is copied. Raises StoreFault, and errors of the destination.
    """
    directory, name, path = recorded.directory, recorded.name, store.full_path(recorded.directory, recorded.name)
    if store.in_place:
        return Archive(recorded, path, Path(path))
    try:
        handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb", buffering=0) as spool, store.open(directory, name) as reader:
            while piece := reader.read(_PIECE):
                check()
                spool.write(piece)
                count(len(piece))
    except OSError as error:
        raise StoreFault(f"{path} cannot be fetched: {error.strerror or type(error).__name__}.") from error
    return Archive(recorded, path, copy)


def look_for_room(need: int, who: str) -> None:
    """Refuse what needs more bytes than this machine has to spare; ``who`` begins the sentence. Raises NoSpace."""
    free = shutil.disk_usage(scratch_directory()).free
    if free - need < settings.FREE_SPACE_FLOOR:
        raise NoSpace(
            f"The disk of this machine that holds {settings.DATA_DIR} has {format_size(free)} free. {who} "
            f"{format_size(need)} there, and {format_size(settings.FREE_SPACE_FLOOR)} have to stay free.",
            cure="Free space there, or lower FREE_SPACE_FLOOR_MB.",
        )


def _hash_beside(store: Store, recorded: Recorded) -> str | None:
    """Return the hash that the manifest beside an archive has on its first line; None where there is no such thing."""
    try:
        with store.open(recorded.directory, manifest_name(recorded.name)) as reader:
            head = parse_head(next(split_lines(iter(lambda: reader.read(_PIECE), b"")), b""))
    except (PathMissing, Damage):
        return None
    return str(head.archive["sha256"]) if head.archive else None
