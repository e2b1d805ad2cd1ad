"""A small tree with the names of an IoTDB home, and an archive that remembers what it was given."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.archive import Attributes, FileShrank, Member
from tasks.hosts import LocalHost
from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_copy import copy_metadata
from tasks.sources.iotdb_properties import read_layout
from tasks.sources.sites import Site

CONFIG_GROUP = "data/confignode/consensus/47474747-4747-4747-4747-000000000000"
SCHEMA_GROUP = "data/datanode/consensus/schema_region/47474747-4747-4747-4747-00020000000"
FILES = {
    "conf/iotdb-system.properties": "cluster_name=defaultCluster\n",
    f"{CONFIG_GROUP}/current/log_0-40": "closed log",
    f"{CONFIG_GROUP}/current/log_inprogress_41": "open log",
    f"{CONFIG_GROUP}/current/raft-meta": "term",
    f"{CONFIG_GROUP}/sm/1_40/cluster_schema.bin": "snapshot",
    f"{CONFIG_GROUP}/in_use.lock": "77@host",
    "data/confignode/system/confignode-system.properties": "iotdb_version=2.0.1-beta\nconfig_node_id=0\n",
    f"{SCHEMA_GROUP}0/current/log_inprogress_0": "schema log",
    f"{SCHEMA_GROUP}0/current/raft-meta": "term",
    f"{SCHEMA_GROUP}0/sm/1_9/mtree.snapshot": "tree",
    f"{SCHEMA_GROUP}3/current/log_inprogress_0": "schema log 3",
    "data/datanode/consensus/data_region/1_2/1_configuration.dat": "region",
    "data/datanode/consensus/.iotdb-lock": "78",
    "data/datanode/system/system.properties": "iotdb_version=2.0.1-beta\ncluster_id=c-1\n",
    "data/datanode/system/schema/root.a/0/tlog.txt": "tags",
    "data/datanode/system/schema/root.b/3/tlog.txt": "more tags",
    "data/datanode/system/pipe/receiver/0/chunk.tsfile": "received",
    "data/datanode/data/sequence/root.a/2/1.tsfile": "time series",
    "data/datanode/wal/root.a-2/_0.wal": "time series",
    "ext/udf/install/functions.jar": "jar",
    "logs/log_all.log": "log",
}


def make_home(home: Path) -> Path:
    """Write the tree and return its root."""
    for name, text in FILES.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return home


def node_of(home: Path, name: str = "n1", *, config_node: bool = True, data_node: bool = True) -> NodeSpec:
    """Return a node whose RPC port nobody listens on."""
    return NodeSpec(name, str(home), config_node, data_node, "127.0.0.1", 1)


def laid_out(*nodes: NodeSpec) -> list[Site]:
    """Return the nodes with what their property files say."""
    host = LocalHost()
    return [Site(host, node, read_layout(host, node.home)) for node in nodes]


@dataclass
class Recorder:
    """An archive that keeps names and contents; ``before`` and ``after`` are called with each member's name."""

    before: Callable[[str], None] = lambda name: None
    after: Callable[[str], None] = lambda name: None
    broken: bool = False
    entries: list[tuple[str, Any]] = field(default_factory=list)
    rollbacks: int = 0
    stopped: BaseException | None = None

    @property
    def names(self) -> list[str]:
        """Names of the files, in their order."""
        return [name for name, content in self.entries if isinstance(content, bytes)]

    @property
    def contents(self) -> dict[str, Any]:
        """Contents of files by name, targets of links, None for directories."""
        return dict(self.entries)

    def check(self) -> None:
        """Raise what a test wants raised."""
        if self.stopped is not None:
            raise self.stopped

    def add_directory(self, name: str, stat: Attributes) -> None:
        """Remember a directory."""
        self.entries.append((name, None))

    def add_symlink(self, name: str, target: str, stat: Attributes) -> None:
        """Remember a link."""
        self.entries.append((name, target))

    def add_file(self, name: str, fd: int) -> Member:
        """Read a file as the real archive does."""
        size = os.fstat(fd).st_size
        self.before(name)
        content = os.pread(fd, size, 0)
        return self._add(name, content, size)

    def add_stream(self, name: str, read: Callable[[int], bytes], size: int, about: Attributes) -> Member:
        """Read a stream as the real archive does."""
        self.before(name)
        content = b""
        while len(content) < size and (part := read(size - len(content))):
            content += part
        return self._add(name, content, size)

    def _add(self, name: str, content: bytes, size: int) -> Member:
        if len(content) < size:
            raise FileShrank(name)
        self.entries.append((name, content))
        self.after(name)
        return Member(name, size, "", 0, 0)

    def checkpoint(self) -> int:
        """Remember where we are."""
        return len(self.entries)

    def rollback(self, checkpoint: int) -> None:
        """Forget what came after."""
        self.rollbacks += 1
        del self.entries[checkpoint:]


@dataclass
class Journal:
    """A log that keeps its lines."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, level: str, text: str) -> None:
        self.lines.append((level, text))

    def at(self, level: str) -> list[str]:
        """Return the texts of one level."""
        return [text for known, text in self.lines if known == level]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a node that is both a ConfigNode and a DataNode."""
    return make_home(tmp_path / "home")


@pytest.fixture
def pauses() -> list[float]:
    """How long the copy paused, in seconds."""
    return []


def copy(archive: Recorder, journal: Journal, pauses: list[float], *nodes: NodeSpec) -> None:
    """Copy the metadata of ``nodes``; what it pauses is noted and not waited for."""
    copy_metadata(laid_out(*nodes), archive, journal, pauses.append)


def once(name: str, action: Callable[[], object]) -> Callable[[str], None]:
    """Return a hook that acts the first time that this member is met."""
    left = [action]

    def hook(member: str) -> None:
        if member == name and left:
            left.pop()()

    return hook
