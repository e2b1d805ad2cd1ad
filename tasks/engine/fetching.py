"""Archives of a set within reach: read in their place on this machine, or fetched from their destination first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from storage.base import Store
from storage.errors import Corrupt, PathMissing, StoreFault
from tasks.engine.archive import Listing, Verified, verify_archive
from tasks.models import BackupFile

_PIECE = 1 << 20  # bytes


@dataclass(frozen=True)
class Archive:
    """An archive that can be read as often as need be; ``open`` begins anew. ``fetched`` has it on this machine."""

    file: BackupFile
    open: Callable[[], BinaryIO]

    def verify(self, listing: Listing, check: Callable[[], None]) -> Verified:
        """Prove every byte against the record. Raises Corrupt that names the file."""
        try:
            with self.open() as reader:
                return verify_archive(reader, sha256=self.file.sha256, check=check, listing=listing)
        except Corrupt as error:
            raise Corrupt(
                f"{self.file.path}: {error.message[:1].lower()}{error.message[1:]}", cure=error.cure
            ) from error


def fetch(
    store: Store, file: BackupFile, directory: Path, check: Callable[[], None], tell: Callable[[int], None]
) -> Archive:
    """Return an archive of the set that lies at ``store``; a copy is made in ``directory`` where it is elsewhere.

    ``tell`` hears of the bytes so far. Raises Corrupt where it is not there or has another size, and errors of the
    destination.
    """
    try:
        size = store.stat(file.directory, file.name).size
    except PathMissing as error:
        raise Corrupt(f"{file.path} is not there any more.") from error
    if size != file.size:
        raise Corrupt(f"{file.path} has {size:,} of {file.size:,} bytes.")
    if store.in_place:
        tell(size)
        return Archive(file, partial(store.open, file.directory, file.name))
    path = directory / file.name
    try:
        with store.open(file.directory, file.name) as reader, path.open("xb", buffering=0) as copy:
            while piece := reader.read(_PIECE):
                check()
                copy.write(piece)
                tell(copy.tell())
    except OSError as error:
        raise StoreFault(f"{file.path} cannot be fetched: {error.strerror or type(error).__name__}.") from error
    return Archive(file, lambda: path.open("rb"))
