"""The nodes of a cluster as a restoration works with them: values from the inventory, and what is found on them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.engine.snapshot import node_spec
from tasks.hosts import Host
from tasks.models import Node, Service
from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_properties import Layout
from tasks.sources.iotdb_running import PORTS
from tasks.states import Control

CONFIG, DATA = "ConfigNode", "DataNode"
_JAR = re.compile(r"iotdb-(?:server|confignode|consensus)-(\d[\w.+-]*)\.jar")


@dataclass(frozen=True)
class Target:
    """A node of the cluster. ``commands`` are those of a person's own, by ``stop DataNode`` and the like."""

    pk: int
    service: str
    spec: NodeSpec
    control: str = Control.HAND
    commands: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The node's name."""
        return self.spec.name

    @property
    def roles(self) -> tuple[str, ...]:
        """The node's roles, in the order in which they are started."""
        has = ((CONFIG, self.spec.config_node), (DATA, self.spec.data_node))
        return tuple(role for role, there in has if there)

    @property
    def by_hand(self) -> bool:
        """Whether a person stops and starts its IoTDB."""
        return self.control == Control.HAND


@dataclass(frozen=True)
class Found:
    """What a node says of itself; the parts are empty where its metadata is wiped or damaged.

    ``libraries`` is the version of the jars in its ``lib``, ``conf`` whether it has property files.
    """

    target: Target
    layout: Layout
    config_identity: Mapping[str, str]
    data_identity: Mapping[str, str]
    libraries: str = ""

    @property
    def version(self) -> str:
        """The version of IoTDB that would be started there; empty where nothing tells."""
        identities = (self.config_identity, self.data_identity)
        return self.libraries or next((one["iotdb_version"] for one in identities if one.get("iotdb_version")), "")

    @property
    def cluster_id(self) -> str:
        """The id of the cluster that the node belongs to; empty where it is not known."""
        return self.data_identity.get("cluster_id", "")

    def identity(self, role: str) -> Mapping[str, str]:
        """What the role wrote of itself at its first start."""
        return self.config_identity if role == CONFIG else self.data_identity

    def ports(self, role: str) -> tuple[int, ...]:
        """The ports that the role listens on, as configured, else as recorded, else the defaults."""
        known = {**self.identity(role), **self.layout.settings}
        texts = {name: known.get(name, "").strip() for name in PORTS[role]}
        return tuple(int(texts[name]) if texts[name].isdecimal() else port for name, port in PORTS[role].items())


def targets_of(service: Service) -> list[Target]:
    """Return the nodes of a service by name."""
    return [target_of(node) for node in service.nodes.order_by("name")]


def target_of(node: Node) -> Target:
    """Return a node as a restoration works with it."""
    commands = {
        f"stop {DATA}": node.stop_data_node,
        f"stop {CONFIG}": node.stop_config_node,
        f"start {CONFIG}": node.start_config_node,
        f"start {DATA}": node.start_data_node,
    }
    return Target(node.pk, node.service.name, node_spec(node), node.control, commands)


def libraries_of(host: Host, home: str) -> str:
    """Return the version in the names of the jars of a home; empty where there are none, or several."""
    try:
        names = [name for name, _ in host.scan(os.path.join(home, "lib"))]
    except OSError:
        return ""
    versions = {match[1] for name in names if (match := _JAR.fullmatch(name))}
    return versions.pop() if len(versions) == 1 else ""


def exists(host: Host, path: str) -> bool:
    """Tell whether a name is there, whatever it is. Raises OSError where that cannot be told."""
    try:
        host.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def walk(host: Host, root: str) -> Iterator[tuple[str, int]]:
    """Yield every name below ``root`` with its mode, links not followed. Raises OSError."""
    pending = [root]
    while pending:
        directory = pending.pop()
        for name, seen in host.scan(directory):
            path = os.path.join(directory, name)
            yield path, seen.mode
            if stat.S_ISDIR(seen.mode):
                pending.append(path)
