"""HDFS by RPC: the addresses of the form are exactly what a client of an HA pair is configured with.

No process that forks later may connect: its children would not end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from hdfs_native import AsyncClient, FileStatus, WriteOptions

from storage.base import Buffer, Entry, Space
from storage.errors import PathMissing, Unreachable
from storage.remotehdfs.faults import FAULTS, java_class, translate
from storage.remotehdfs.loop import IDENTITY, Loop, without_foreign_settings
from storage.remotehdfs.namenodes import NameNodes, reason_now
from storage.remotehdfs.rpc import NotRpc, RpcRefused, ask, figure, inner, text
from storage.remotehdfs.space import Quota, room, with_parents
from storage.remotehdfs.target import Target

T = TypeVar("T")

# Hadoop's class of the client that tries one NameNode after the other.
_PROXY = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
CLEANING_SECONDS = 5.0


def configuration(target: Target, addresses: list[str]) -> dict[str, str]:
    """Return the settings of a client of the NameService; times in milliseconds.

    A DataNode that fails is not replaced within a pipeline: small clusters have no other, and HDFS makes the missing
    replica by itself afterwards.
    """
    service = target.name_service
    names = [f"nn{number}" for number in range(1, len(addresses) + 1)]
    settings = {
        "fs.defaultFS": f"hdfs://{service}",
        "dfs.nameservices": service,
        f"dfs.ha.namenodes.{service}": ",".join(names),
        f"dfs.client.failover.proxy.provider.{service}": _PROXY,
        "dfs.client.failover.max.attempts": "30",
        "dfs.client.failover.sleep.base.millis": "250",
        "dfs.client.failover.sleep.max.millis": "2000",
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        "dfs.client.socket-timeout": str(int(target.silence * 1000)),
    }
    for name, address in zip(names, addresses, strict=True):
        settings[f"dfs.namenode.rpc-address.{service}.{name}"] = target.host_port(address)
    return settings


class RpcDriver:
    """HDFS through the RPC ports of NameNodes and DataNodes."""

    def __init__(self, target: Target, found: NameNodes) -> None:
        self.broken = False
        self.target = target
        self._found = found
        IDENTITY.take(target.user, target.connect)
        try:
            with without_foreign_settings():
                # A port in the address would mean one NameNode without failover.
                self._client = AsyncClient(f"hdfs://{target.name_service}", config=configuration(target, found.usable))
            self._loop = Loop()
        except BaseException:
            IDENTITY.leave()
            raise
        self._closed = False

    def run(self, call: Coroutine[Any, Any, T], path: str) -> T:
        """Wait for a call that concerns ``path``; a broken connection is given seconds only."""
        try:
            return self._loop.run(call, CLEANING_SECONDS if self.broken else self.target.silence)
        except FAULTS as fault:
            error = translate(fault, self.target, path)
            if isinstance(error, Unreachable) and not self.broken:
                self.broken = True
                raise reason_now(self.target) or error from fault
            raise error from fault

    def info(self, path: str) -> Entry:
        """Return what is at ``path``."""
        return _entry(path.rpartition("/")[2], self.run(self._client.get_file_info(path), path))

    def entries(self, path: str) -> list[Entry]:
        """Return what is in a directory."""
        return [_entry(item.path.rpartition("/")[2], item) for item in self.run(self._listed(path), path)]

    async def _listed(self, path: str) -> list[FileStatus]:
        return [item async for item in self._client.list_status(path)]

    def make_directory(self, path: str) -> None:
        """Make a directory for its owner only."""
        self.run(self._client.mkdirs(path, 0o700, False), path)

    def create(self, path: str) -> RpcWriter:
        """Begin a new file for its owner only."""
        options = WriteOptions(permission=0o600, overwrite=False, create_parent=False)
        return RpcWriter(self, path, self.run(self._client.create(path, options), path))

    def chunks(self, path: str, offset: int) -> Iterator[bytes]:
        """Return the bytes of a file from ``offset`` on."""
        reader = self.run(self._client.read(path), path)
        left = len(reader) - offset
        if left <= 0:
            return
        stream = reader.read_range_stream(offset, left)
        while left > 0:
            data = self.run(_next(stream), path)
            if not data:
                return
            left -= len(data)
            yield data

    def rename(self, source: str, target: str) -> None:
        """Rename; a rename whose answer got lost is looked up."""
        try:
            self.run(self._client.rename(source, target, False), target)
        except Unreachable:
            if not self._arrived(source, target):
                raise

    def _arrived(self, source: str, target: str) -> bool:
        """Tell whether a rename took place: it is not sent twice, but may have been done."""
        with suppress(Unreachable):
            try:
                self.info(source)
            except PathMissing:
                with suppress(PathMissing):
                    return not self.info(target).is_directory
        return False

    def delete(self, path: str) -> bool:
        """Remove a file or an empty directory."""
        return self.run(self._removed(path), path)

    async def _removed(self, path: str) -> bool:
        try:
            return await self._client.delete(path, False)
        except RuntimeError as fault:
            if java_class(fault) == "PathIsNotEmptyDirectoryException":
                return False
            raise

    def space(self) -> Space | None:
        """Ask the active NameNode itself; the client package cannot."""
        for address in self._found.usable:
            with suppress(OSError, NotRpc, RpcRefused):
                stats = self._ask(address, "getFsStats")
                return room(figure(stats, 1), figure(stats, 3), self._replication(address), self._quotas(address))
        return None

    def _ask(self, address: str, method: str, body: bytes = b"") -> dict[int, int | bytes]:
        return ask(address, self.target.rpc_port, method, body, self.target.user, self.target.connect)

    def _replication(self, address: str) -> int:
        with suppress(OSError, NotRpc, RpcRefused):
            return figure(inner(self._ask(address, "getServerDefaults"), 1), 4)
        return 0

    def _quotas(self, address: str) -> list[Quota]:
        """Return the quotas on the target directory and above it, as far as the user may see them."""
        found = []
        for path in with_parents(self.target.path):
            with suppress(OSError, NotRpc, RpcRefused):
                usage = inner(self._ask(address, "getQuotaUsage", text(1, path)), 1)
                found.append(Quota(limit=figure(usage, 4), consumed=figure(usage, 3)))
        return found

    def close(self) -> None:
        """End the loop; connections end with the client."""
        if not self._closed:
            self._closed = True
            self._loop.close()
            IDENTITY.leave()


class RpcWriter:
    """A file that is written block by block to its DataNodes.

    It is never used as a context: leaving one would complete a file that was cut short.
    """

    def __init__(self, driver: RpcDriver, path: str, inner: Any) -> None:
        self._driver = driver
        self._path = path
        self._inner = inner

    def write(self, data: Buffer) -> None:
        """Write all of ``data``."""
        self._driver.run(self._inner.write(data), self._path)

    def close(self) -> None:
        """Complete the file at the NameNode."""
        self._driver.run(self._inner.close(), self._path)

    def drop(self) -> None:
        """Forget the file; its lease goes with its removal."""
        self._inner = None


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    async for data in stream:
        return bytes(data)
    return b""


def _entry(name: str, found: FileStatus) -> Entry:
    modified = datetime.fromtimestamp(found.modification_time / 1000, UTC)
    return Entry(name, found.length, modified, found.isdir)
