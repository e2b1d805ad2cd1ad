"""HDFS by RPC: the addresses of the form are exactly what a client of an HA pair is configured with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from storage.base import Buffer, Entry, Space
from storage.errors import StoreError, Unreachable
from storage.remotehdfs.driver import arrived
from storage.remotehdfs.faults import FAULTS, java_class, translate
from storage.remotehdfs.namenodes import NameNodes, reason_now
from storage.remotehdfs.process import Child
from storage.remotehdfs.rpc import NotRpc, RpcRefused, ask, figure, inner, text
from storage.remotehdfs.space import Quota, room, with_parents
from storage.remotehdfs.target import Target

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
    """HDFS through the RPC ports of NameNodes and DataNodes, in a process of its own."""

    def __init__(self, target: Target, found: NameNodes) -> None:
        self.broken = False
        self.target = target
        self._found = found
        self._child: Child | None = None

    def run(self, name: str, *words: Any, data: Buffer = b"", path: str = "") -> tuple[Any, bytes]:
        """Make a call that concerns ``path``, else its first word; after a lost connection it is given seconds only."""
        path = path or str(words[0])
        limit = CLEANING_SECONDS if self.broken else self.target.silence
        try:
            return self._process(limit).call(name, *words, data=data, seconds=limit)
        except FAULTS as fault:
            error = translate(fault, self.target, path)
            if isinstance(error, Unreachable) and not self.broken:
                self.broken = True
                raise reason_now(self.target) or error from fault
            raise error from fault

    def _process(self, limit: float) -> Child:
        """Return the process, a new one where it was ended at a limit."""
        if self._child is None or not self._child.alive:
            self._child = Child(self.target.user)
            # A port in the address would mean one NameNode without failover.
            url = f"hdfs://{self.target.name_service}"
            self._child.call("connect", url, configuration(self.target, self._found.usable), seconds=limit)
        return self._child

    def info(self, path: str) -> Entry:
        """Return what is at ``path``."""
        return _entry(self.run("info", path)[0])

    def entries(self, path: str) -> list[Entry]:
        """Return what is in a directory."""
        return [_entry(item) for item in self.run("entries", path)[0]]

    def make_directory(self, path: str) -> None:
        """Make a directory for its owner only."""
        self.run("make_directory", path)

    def create(self, path: str) -> RpcWriter:
        """Begin a new file for its owner only."""
        return RpcWriter(self, path, self.run("create", path)[0])

    def chunks(self, path: str, offset: int) -> Iterator[bytes]:
        """Return the bytes of a file from ``offset`` on."""
        stream, _ = self.run("read", path, offset)
        try:
            while data := self.run("chunk", stream, path=path)[1]:
                yield data
        finally:
            if not self.broken:
                self.run("forget", stream, path=path)

    def rename(self, source: str, target: str) -> None:
        """Rename; a rename whose answer got lost is looked up."""
        try:
            self.run("rename", source, target, path=target)
        except Unreachable:
            if not self._arrived(source, target):
                raise

    def _arrived(self, source: str, target: str) -> bool:
        """Tell whether a rename took place: it is not sent twice, but may have been done."""
        with suppress(Unreachable):
            return arrived(self, source, target)
        return False

    def delete(self, path: str) -> bool:
        """Remove a file or an empty directory."""
        try:
            return bool(self.run("delete", path)[0])
        except StoreError as error:
            if java_class(error.__cause__ or error) == "PathIsNotEmptyDirectoryException":
                return False
            raise

    def space(self, quotas: bool = True) -> Space | None:
        """Ask the active NameNode itself; the client package cannot."""
        for address in self._found.usable:
            with suppress(OSError, NotRpc, RpcRefused):
                stats = self._ask(address, "getFsStats")
                found = self._quotas(address) if quotas else []
                return room(figure(stats, 1), figure(stats, 3), self._replication(address), found)
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
        """End the process, which ends the connections."""
        if self._child:
            if self.broken:
                self._child.kill()
            else:
                self._child.close()


class RpcWriter:
    """A file that is written block by block to its DataNodes.

    The package's writer is never used as a context: leaving one would complete a file that was cut short.
    """

    def __init__(self, driver: RpcDriver, path: str, number: int) -> None:
        self._driver = driver
        self._path = path
        self._number = number

    def write(self, data: Buffer) -> None:
        """Write all of ``data``."""
        self._driver.run("write", self._number, data=data, path=self._path)

    def close(self) -> None:
        """Complete the file at the NameNode."""
        self._driver.run("complete", self._number, path=self._path)

    def drop(self) -> None:
        """Forget the file; its lease goes with its removal."""
        if not self._driver.broken:
            with suppress(StoreError):
                self._driver.run("forget", self._number, path=self._path)


def _entry(facts: dict[str, Any]) -> Entry:
    modified = datetime.fromtimestamp(facts["modified"] / 1000, UTC)
    return Entry(facts["name"], facts["size"], modified, facts["directory"])
