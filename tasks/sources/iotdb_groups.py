"""What belongs to the metadata of IoTDB, in which order it is copied, and what is left out.

The order is what makes a copy of a running server safe (tried on IoTDB 2.0.1-beta by mixing copies taken before and
after a new database): a ConfigNode that is older than the DataNodes merely lacks the new database; one that is newer
names regions that nobody has, and even counting series fails. A DataNode whose system directory is older than its
consensus groups does not start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.hosts.base import Host
from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_properties import Layout
from tasks.sources.listing import is_directory, leads_to_directory

LOCKS = frozenset({"in_use.lock", ".iotdb-lock"})
_RECEIVED = re.compile(r"data/(confignode|datanode)/system/pipe/(.+/)?receiver/.+", re.DOTALL)
_GROUP_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{4}([0-9a-f]{8})")
_REGIONS = ("schema_region", "data_region")


@dataclass(frozen=True)
class Part:
    """A directory of one node that is copied as a step of the order.

    ``member`` is its canonical place below the node's name in the archive, wherever ``path`` really is.
    ``split`` makes each directory in it a group of its own; else the whole is one group. ``skip`` names entries of
    the directory that other parts copy. An ``optional`` part is not worth a line in the log where it is empty.
    """

    node: str
    role: Literal["ConfigNode", "DataNode", "Node"]
    label: str
    path: str
    member: str
    split: bool
    skip: tuple[str, ...] = ()
    optional: bool = False

    @property
    def title(self) -> str:
        """How the log calls it."""
        return f"{self.role} {self.node}: {self.label}"


@dataclass(frozen=True)
class Group:
    """Files that are consistent only together: one Ratis group, or one directory. ``deep`` includes what is below."""

    part: Part
    path: str
    member: str
    deep: bool
    skip: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How the log calls it: the region's number in hexadecimal for a Ratis group, else the directory."""
        match = _GROUP_ID.fullmatch(os.path.basename(self.member))
        return match[1] if match else self.member


def config_parts(node: NodeSpec, layout: Layout) -> Iterator[Part]:
    """Yield the parts of a ConfigNode in their order."""
    place = layout.directories
    base = "data/confignode"
    yield Part(node.name, "ConfigNode", "consensus", place["cn_consensus_dir"], f"{base}/consensus", True)
    yield Part(node.name, "ConfigNode", "system", place["cn_system_dir"], f"{base}/system", False)


def data_parts(node: NodeSpec, layout: Layout) -> Iterator[Part]:
    """Yield the parts of a DataNode in their order."""
    consensus, base = layout.directories["dn_consensus_dir"], "data/datanode"
    for name, label in zip(_REGIONS, ("schema regions", "data regions"), strict=True):
        path = os.path.join(consensus, name)
        yield Part(node.name, "DataNode", label, path, f"{base}/consensus/{name}", True)
    yield Part(node.name, "DataNode", "other consensus", consensus, f"{base}/consensus", True, _REGIONS, True)
    yield Part(node.name, "DataNode", "system", layout.directories["dn_system_dir"], f"{base}/system", True)


def common_parts(node: NodeSpec, layout: Layout) -> Iterator[Part]:
    """Yield the parts that a node has whatever its role: jars of functions, triggers and pipes, and all of conf."""
    for kind, label in (("udf", "functions"), ("trigger", "triggers"), ("pipe", "pipe plugins")):
        path = layout.directories[f"{kind}_lib_dir"]
        yield Part(node.name, "Node", label, path, f"ext/{kind}", False, optional=True)
    yield Part(node.name, "Node", "configuration", layout.conf, "conf", False)


def copy_order(nodes: Iterable[tuple[NodeSpec, Layout]]) -> list[Part]:
    """Return all parts in the one order that is safe: every ConfigNode before any DataNode, jars and conf last."""
    held = list(nodes)
    parts = [part for node, layout in held if node.config_node for part in config_parts(node, layout)]
    parts += [part for node, layout in held if node.data_node for part in data_parts(node, layout)]
    return parts + [part for node, layout in held for part in common_parts(node, layout)]


def groups_of(host: Host, part: Part) -> list[Group]:
    """Return the groups that a part has now; none where its directory does not exist. Raises OSError.

    To be called when the part's turn has come: regions that were created meanwhile belong to the copy.
    """
    if not is_directory(host, part.path):
        return []
    if not part.split:
        return [Group(part, part.path, part.member, True)]
    children = [os.path.basename(path) for path in sorted(_directories(host, part.path))]
    groups = [Group(part, part.path, part.member, False, part.skip)]
    for name in children:
        if name not in part.skip:
            groups.append(Group(part, os.path.join(part.path, name), f"{part.member}/{name}", True))
    return groups


def regions_of(host: Host, node: NodeSpec, layout: Layout) -> set[str]:
    """Return the directories that regions have on a DataNode now: Ratis and IoT groups, and schema directories.

    A region that the copied ConfigNode names must be in the copied DataNode: where one of these directories goes
    away during a copy, a database was dropped, and the copy does not fit together. Raises OSError.
    """
    found: set[str] = set()
    if node.data_node:
        for name in _REGIONS:
            found.update(_directories(host, os.path.join(layout.directories["dn_consensus_dir"], name)))
        for database in _directories(host, os.path.join(layout.directories["dn_system_dir"], "schema")):
            found.update(_directories(host, database))
    return found


def _directories(host: Host, path: str) -> list[str]:
    try:
        found = host.scan(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    named = [(os.path.join(path, name), seen) for name, seen in found]
    return [below for below, seen in named if leads_to_directory(host, below, seen)]


def left_out(member: str) -> bool:
    """Whether a file or directory is never copied: locks, and what a pipe received from elsewhere.

    Only below ``system/pipe``: a database may be called ``receiver``.
    """
    return os.path.basename(member) in LOCKS or _RECEIVED.fullmatch(member) is not None


def grows(name: str) -> bool:
    """Whether a file is only ever appended to while the server runs, and may end in the middle of an entry."""
    base = os.path.basename(name)
    return base.startswith("log_inprogress") or base in ("mlog.bin", "tlog.txt")


def rank(name: str) -> int:
    """In a Ratis group the log (``current``) comes before the snapshots (``sm``).

    Logs are purged only after a newer snapshot, so that a copy in this order has no hole between the two.
    """
    top = name.split("/", 1)[0]
    return {"": 0, "current": 1, "sm": 2}.get(top, 3)
