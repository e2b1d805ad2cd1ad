"""What the store of HDFS needs of a way to it; there are two, RPC and WebHDFS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from storage.base import Buffer, Entry, Space
from storage.errors import PathMissing


class Writer(Protocol):
    """A file that is being written. Every method raises an error of ``storage.errors`` within the time limits."""

    def write(self, data: Buffer) -> None:
        """Write all of ``data``, which the caller may change afterwards."""

    def close(self) -> None:
        """Bring the rest to the DataNodes and complete the file."""

    def drop(self) -> None:
        """Write no more and wait for nobody; the file stays as it is."""


class Driver(Protocol):
    """Operations on absolute paths of HDFS. Every method raises an error of ``storage.errors`` within the limits."""

    broken: bool
    """A server stopped answering; what only cleans up is then tried for a short time."""

    def info(self, path: str) -> Entry:
        """Return what is at ``path``; raise ``PathMissing``."""

    def entries(self, path: str) -> list[Entry]:
        """Return what is in a directory; raise ``PathMissing``."""

    def make_directory(self, path: str) -> None:
        """Make a directory whose parent exists, for its owner only; one that is there is no error."""

    def create(self, path: str) -> Writer:
        """Begin a new file for its owner only; raise ``AlreadyExists``."""

    def chunks(self, path: str, offset: int) -> Iterator[bytes]:
        """Return the bytes of a file from ``offset`` on."""

    def rename(self, source: str, target: str) -> None:
        """Rename; raise ``AlreadyExists`` rather than overwrite."""

    def delete(self, path: str) -> bool:
        """Remove a file or an empty directory and tell whether it was there."""

    def space(self, quotas: bool = True) -> Space | None:
        """Return the room left for single copies of files, with or without quotas; None where it is not told."""

    def close(self) -> None:
        """End all connections, waiting for nobody."""


def arrived(driver: Driver, source: str, target: str) -> bool:
    """Tell whether a rename took place whose answer got lost: the source is gone and the target is a file."""
    try:
        driver.info(source)
    except PathMissing:
        with suppress(PathMissing):
            return not driver.info(target).is_directory
    return False
