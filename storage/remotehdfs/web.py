"""HDFS by WebHDFS, with the ``hdfs`` package: for clusters whose RPC ports cannot be reached.

The NameNode sends the client on to DataNodes by their host names, which this machine has to resolve and reach.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from hdfs import InsecureClient  # type: ignore[import-untyped]
from hdfs.util import HdfsError  # type: ignore[import-untyped]

from storage.base import Buffer, Entry, Space
from storage.errors import AlreadyExists, BadPath, PathMissing, StoreError, Unreachable
from storage.remotehdfs.driver import arrived
from storage.remotehdfs.faults import FAULTS, java_class, translate
from storage.remotehdfs.namenodes import NameNodes, reason_now, session
from storage.remotehdfs.space import Quota, room, with_parents
from storage.remotehdfs.target import Target

# It tells of every question, which is not for the log of a run.
logging.getLogger("hdfs").setLevel(logging.WARNING)

T = TypeVar("T")

CHUNK = 1024 * 1024
_DEPTH = 2
_LOOK = 0.05
_GRACE = 5.0
# A writer that nobody writes to and nobody ends is given up.
_FORGOTTEN_SECONDS = 900.0
# The package would look for the newest file in the place of these letters.
_MARKER = "#LATEST"


class WebDriver:
    """HDFS through the HTTP ports of NameNodes and DataNodes."""

    def __init__(self, target: Target, found: NameNodes) -> None:
        if _MARKER in target.path:
            raise BadPath(f"{target.path} has {_MARKER} in it.", cure="Give another path.", field="target_path")
        self.broken = False
        self.target = target
        self._found = found
        self._session = session()
        addresses = found.usable
        # The package tries one NameNode after the other, each for the whole time.
        self._client = self._connect(target.connect, target.silence / len(addresses))
        # Its first figure also limits the sending of the body, and the answer comes when the last block is stored.
        self._sender = self._connect(target.silence, target.silence)

    def _connect(self, *timeouts: float) -> Any:
        urls = ";".join(f"http://{self.target.host_port(address)}" for address in self._found.usable)
        return InsecureClient(urls, user=self.target.user, timeout=timeouts, session=session())

    def call(self, path: str, action: Callable[[], T]) -> T:
        """Do something that concerns ``path``."""
        try:
            return action()
        except FAULTS as fault:
            raise self.told(fault, path) from fault

    def told(self, fault: BaseException, path: str) -> StoreError:
        """Return the console's word for ``fault``; of a lost connection, what the NameNodes say."""
        error = translate(fault, self.target, path)
        if isinstance(error, Unreachable) and not self.broken:
            self.broken = True
            return reason_now(self.target) or error
        return error

    def info(self, path: str) -> Entry:
        """Return what is at ``path``."""
        return _entry(path.rpartition("/")[2], self.call(path, lambda: self._client.status(path)))

    def entries(self, path: str) -> list[Entry]:
        """Return what is in a directory."""
        return [_entry(name, found) for name, found in self.call(path, lambda: self._client.list(path, status=True))]

    def make_directory(self, path: str) -> None:
        """Make a directory for its owner only."""
        self.call(path, lambda: self._client.makedirs(path, permission="700"))

    def create(self, path: str) -> WebWriter:
        """Begin a new file for its owner only, and wait until it is there."""
        with suppress(PathMissing):
            self.info(path)
            raise AlreadyExists(f"{self.target.url(path)} is there already.", cure="Run the task again.")
        writer = WebWriter(self, self._sender, path)
        until = time.monotonic() + self.target.silence + _GRACE
        while time.monotonic() < until:
            writer.check()
            with suppress(PathMissing):
                self.info(path)
                return writer
            time.sleep(_LOOK)
        writer.drop()
        raise self.told(TimeoutError(), path)

    def chunks(self, path: str, offset: int) -> Iterator[bytes]:
        """Return the bytes of a file from ``offset`` on."""
        try:
            with self._client.read(path, offset=offset, chunk_size=CHUNK) as stream:
                yield from stream
        except FAULTS as fault:
            raise self.told(fault, path) from fault

    def rename(self, source: str, target: str) -> None:
        """Rename; HDFS refuses to overwrite without saying why, and an answer may get lost."""
        try:
            self._client.rename(source, target)
        except FAULTS as fault:
            if arrived(self, source, target):
                return
            with suppress(PathMissing):
                self.info(target)
                raise AlreadyExists(
                    f"{self.target.url(target)} is there already and is not overwritten.", cure="Run the task again."
                ) from fault
            raise self.told(fault, target) from fault

    def delete(self, path: str) -> bool:
        """Remove a file or an empty directory."""
        try:
            return bool(self._client.delete(path))
        except HdfsError as fault:
            if java_class(fault) == "PathIsNotEmptyDirectoryException":
                return False
            raise self.told(fault, path) from fault
        except FAULTS as fault:
            raise self.told(fault, path) from fault

    def space(self, quotas: bool = True) -> Space | None:
        """Ask for it; older servers do not tell."""
        stats = self._ask("GETSTATUS", "/", "FsStatus")
        if not stats:
            return None
        paths = with_parents(self.target.path) if quotas else []
        defaults = self._ask("GETSERVERDEFAULTS", "/", "FsServerDefaults")
        found = [
            Quota(limit=int(usage.get("spaceQuota", -1)), consumed=int(usage.get("spaceConsumed", 0)))
            for usage in (self._ask("GETQUOTAUSAGE", path, "QuotaUsage") for path in paths)
        ]
        replication = int(defaults.get("replication", 0))
        return room(int(stats.get("capacity", 0)), int(stats.get("remaining", 0)), replication, found)

    def _ask(self, operation: str, path: str, key: str) -> dict[str, Any]:
        """Return an answer that the package has no method for, empty where there is none."""
        for address in self._found.usable:
            url = f"http://{self.target.host_port(address)}/webhdfs/v1{requests.utils.quote(path)}"
            with suppress(requests.RequestException, ValueError):
                params = {"op": operation, "user.name": self.target.user}
                answer = self._session.get(url, params=params, timeout=self.target.connect)
                if answer.ok and isinstance(found := answer.json().get(key), dict):
                    return found
        return {}

    def close(self) -> None:
        """End the connections."""
        for one in (self._session, self._client._session, self._sender._session):
            one.close()


class WebWriter:
    """A file whose bytes a thread sends on as one request."""

    def __init__(self, driver: WebDriver, client: Any, path: str) -> None:
        self._driver = driver
        self._path = path
        self._pieces: queue.Queue[bytes | bytearray | None] = queue.Queue(_DEPTH)
        self._fault: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._send, args=(client,), name="webhdfs", daemon=True)
        self._thread.start()

    def _send(self, client: Any) -> None:
        try:
            client.write(self._path, data=self._queued(), overwrite=False, permission="600")
        except BaseException as fault:
            self._fault = fault

    def _queued(self) -> Iterator[bytes | bytearray]:
        while (piece := self._pieces.get(timeout=_FORGOTTEN_SECONDS)) is not None:
            yield piece
        if self._dropped:
            raise ConnectionAbortedError

    def check(self) -> None:
        """Raise what the thread met."""
        if self._fault is not None:
            raise self._driver.told(self._fault, self._path) from self._fault

    def write(self, data: Buffer) -> None:
        """Hand ``data`` to the thread."""
        self._hand(bytes(data))

    def _hand(self, piece: bytes | None) -> None:
        """Wait for room; the thread's own limits end the wait where the server is silent."""
        until = time.monotonic() + self._driver.target.silence + _GRACE
        while True:
            self.check()
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=_LOOK)
                return
            if time.monotonic() > until:
                raise self._driver.told(TimeoutError(), self._path)

    def close(self) -> None:
        """End the request and wait for its answer, which says that the file is complete."""
        self._hand(None)
        self._thread.join(self._driver.target.silence + _GRACE)
        self.check()
        if self._thread.is_alive():
            raise self._driver.told(TimeoutError(), self._path)

    def drop(self) -> None:
        """Cut the request short; nobody waits for the thread, whose own limits end it."""
        self._dropped = True
        with suppress(queue.Empty):
            while True:
                self._pieces.get_nowait()
        with suppress(queue.Full):
            self._pieces.put_nowait(None)


def _entry(name: str, found: dict[str, Any]) -> Entry:
    modified = datetime.fromtimestamp(int(found["modificationTime"]) / 1000, UTC)
    return Entry(name, int(found["length"]), modified, found["type"] == "DIRECTORY")
