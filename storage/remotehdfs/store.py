"""The store behind RemoteHDFS, over RPC or WebHDFS."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, BinaryIO, cast

from storage.base import Buffer, Entry, Space, Store, Upload
from storage.errors import BadPath, Corrupt, NoSpace, PathMissing, StoreError, StoreFault
from storage.remote import check_parts
from storage.remotehdfs.driver import Driver, Writer
from storage.remotehdfs.namenodes import explain, find
from storage.remotehdfs.target import WEBHDFS, Target

PIECE = 4 * 1024 * 1024
"""Bytes of one write."""
FULL_BELOW = 1 << 30
"""Bytes below which an HDFS counts as full once a write failed: as many a DataNode keeps free by default."""
# A NameNode takes no name with a colon.
_BAD_NAME = re.compile(r"[/\x00:]")


class CannotGoBack(StoreFault):
    """HDFS only appends: what was sent stays. The upload has to begin again."""

    code = "cannot-truncate"
    retryable = False


class HDFSStore(Store):
    """A directory of an HDFS. It is used by one thread; directories are 0700 and files 0600."""

    CONNECT_SECONDS = 10.0
    SILENCE_SECONDS = 30.0

    def __init__(self, target: Target) -> None:
        self.target = replace(target, connect=self.CONNECT_SECONDS, silence=self.SILENCE_SECONDS)
        self.driver = _drive(self.target)
        try:
            self._check_target()
        except BaseException:
            self.driver.close()
            raise

    def _check_target(self) -> None:
        """Raise ``PathMissing`` or ``BadPath`` unless the target is a directory; it is not made."""
        try:
            found = self.driver.info(self.target.path)
        except PathMissing as missing:
            raise PathMissing(
                f"{self.target.url(self.target.path)} does not exist.",
                cure=f"Make it: hdfs dfs -mkdir -p {self.target.path}",
                field="target_path",
            ) from missing
        if not found.is_directory:
            raise BadPath(
                f"{self.target.url(self.target.path)} is a file.", cure="Give a directory.", field="target_path"
            )

    def _path(self, *parts: str) -> str:
        check_parts(parts, _BAD_NAME)
        return "/".join((self.target.path, *parts))

    def free_space(self) -> Space | None:
        """Return the room left by disks, replication and quotas, or None where HDFS does not tell."""
        return self.driver.space()

    def put(self, directory: str, name: str, partial: str) -> Upload:
        """Begin a file; its directory is made where it is missing."""
        folder, final, hidden = self._path(directory), self._path(directory, name), self._path(directory, partial)
        self.driver.make_directory(folder)
        return HDFSUpload(self, hidden, final)

    def full_path(self, directory: str, name: str) -> str:
        """Return ``hdfs://nameservice/path``."""
        return self.target.url(self._path(directory, name))

    def directories(self) -> list[str]:
        """Return the names of the directories in the target directory."""
        return sorted(entry.name for entry in self.driver.entries(self.target.path) if entry.is_directory)

    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``."""
        try:
            found = self.driver.entries(self._path(directory))
        except PathMissing:
            return []
        return sorted(found, key=lambda entry: entry.name)

    def stat(self, directory: str, name: str) -> Entry:
        """Return the entry of a file."""
        return self.driver.info(self._path(directory, name))

    def open(self, directory: str, name: str) -> BinaryIO:
        """Open a file for reading."""
        return open_reader(self.driver, self._path(directory, name))

    def delete(self, directory: str, name: str) -> None:
        """Remove a file and, when it was the last one, its directory."""
        folder, path = self._path(directory), self._path(directory, name)
        self.driver.delete(path)
        with suppress(StoreError):
            self.driver.delete(folder)

    def close(self) -> None:
        """End the connection."""
        self.driver.close()


def _drive(target: Target) -> Driver:
    """Return a way to the HDFS; raise the reason where no NameNode is active."""
    found = find(target)
    reason = explain(found)
    if reason:
        raise reason
    # Each client is loaded only where it is used.
    if target.transport == WEBHDFS:
        from storage.remotehdfs.web import WebDriver

        return WebDriver(target, found)
    from storage.remotehdfs.native import RpcDriver

    return RpcDriver(target, found)


class HDFSUpload(Upload):
    """A file that grows in HDFS under its hidden name. At most one piece of it is held in memory."""

    def __init__(self, store: HDFSStore, partial: str, final: str) -> None:
        self._driver = store.driver
        self._target = store.target
        self._partial = partial
        self._final = final
        self._held = bytearray()
        self._sent = 0
        self._ended = False
        self._writer: Writer | None = self._driver.create(partial)

    def write(self, data: Buffer) -> None:
        """Write all of ``data``; raise ``NoSpace`` where a quota is used up or no DataNode has room."""
        view = memoryview(data).cast("B")
        while view:
            room = PIECE - len(self._held)
            self._held += view[:room]
            view = view[room:]
            if len(self._held) == PIECE:
                self._flush()

    def _flush(self) -> None:
        """Send what is held."""
        if self._held and self._writer:
            piece, self._held = self._held, bytearray()
            self._sent += len(piece)
            with self._explained():
                self._writer.write(piece)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell a full HDFS from other faults: a DataNode without room just ends the connection."""
        try:
            yield
        except StoreFault as fault:
            space = self._driver.space(quotas=False)
            if space is None or space.free >= FULL_BELOW:
                raise
            raise NoSpace(
                f"The DataNodes of {self._target.name_service} are full.",
                cure="Free space in that HDFS or keep fewer copies.",
            ) from fault

    def truncate(self, size: int) -> None:
        """Drop everything after ``size`` bytes, as long as it was not sent; raise ``CannotGoBack``."""
        if size < self._sent:
            raise CannotGoBack(
                f"{self._target.url(self._partial)} cannot be cut: HDFS only appends.", cure="Run the task again."
            )
        del self._held[size - self._sent :]

    def seal(self, size: int) -> None:
        """Complete the file and ask the NameNode for its size."""
        self._flush()
        if self._writer:
            with self._explained():
                self._writer.close()
            self._writer = None
        found = self._driver.info(self._partial).size
        if found != size:
            raise Corrupt(
                f"{self._target.url(self._final)} was not stored as it was written: {found} of {size} bytes.",
                cure="Check the HDFS: hdfs fsck.",
            )

    def reader(self) -> BinaryIO:
        """Open the file on its DataNodes; nothing of it is kept here."""
        return open_reader(self._driver, self._partial)

    def publish(self) -> str:
        """Rename, which HDFS does at once or not at all, and never over another file."""
        self._driver.rename(self._partial, self._final)
        self._ended = True
        return self._target.url(self._final)

    def abort(self) -> None:
        """Remove the partial file, also while it is open; where HDFS does not answer, the next run sweeps it."""
        if self._ended:
            return
        self._ended = True
        self._held.clear()
        if self._writer:
            self._writer.drop()
            self._writer = None
        with suppress(StoreError):
            self._driver.delete(self._partial)


class _Reader(io.RawIOBase):
    """A file of HDFS as it streams in; going elsewhere begins a new stream."""

    def __init__(self, driver: Driver, path: str, size: int) -> None:
        self._driver = driver
        self._path = path
        self._size = size
        self._at = 0
        self._chunks: Iterator[bytes] | None = None
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if not self._rest and self._at < self._size:
            if self._chunks is None:
                self._chunks = self._driver.chunks(self._path, self._at)
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset != self._at:
            self._drop()
            self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def _drop(self) -> None:
        chunks, self._chunks, self._rest = self._chunks, None, memoryview(b"")
        if chunks is not None:
            cast(Any, chunks).close()

    def close(self) -> None:
        self._drop()
        super().close()


def open_reader(driver: Driver, path: str) -> BinaryIO:
    """Open a file of HDFS from its beginning; raise ``PathMissing`` where there is none."""
    found = driver.info(path)
    if found.is_directory:
        raise BadPath(f"{path} is a directory.")
    return cast(BinaryIO, io.BufferedReader(_Reader(driver, path, found.size), PIECE))
