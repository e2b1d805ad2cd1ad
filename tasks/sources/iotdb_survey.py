"""What a copy of the metadata of an IoTDB service would hold, and what stands in the way of one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from tasks.errors import HomeMissing, KeepsChanging, NothingToBackUp
from tasks.hosts.base import Host
from tasks.sources.base import NodeSpec, ServiceSpec, Survey, nothing
from tasks.sources.iotdb_groups import Group, Part, copy_order, groups_of
from tasks.sources.iotdb_properties import Layout, read_layout
from tasks.sources.iotdb_running import is_running
from tasks.sources.listing import Entry, Vanished, is_directory, printable, reading, unreadable
from tasks.sources.seqlock import PAUSE, TRIES, is_gone, list_group, refusals
from tasks.sources.sites import Site, reached

SIMPLE = "SimpleConsensus"
UNKNOWN = "unknown"


@dataclass
class Amount:
    """Files of a part, their bytes, names among them that tell of metadata, and sentences on what is left out."""

    files: int = 0
    bytes: int = 0
    proof: bool = False
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself: version and cluster id (empty where unknown), and its recorded identity."""

    site: Site
    version: str
    cluster_id: str
    config_identity: dict[str, str]
    data_identity: dict[str, str]

    @property
    def node(self) -> NodeSpec:
        """The node."""
        return self.site.node

    @property
    def layout(self) -> Layout:
        """Where its directories are."""
        return self.site.layout

    @property
    def simple_consensus(self) -> bool:
        """Whether the ConfigNode keeps its metadata in the way that loses it at a restart."""
        return SIMPLE in self.config_identity.get("config_node_consensus_protocol_class", "")


def open_layout(host: Host, node: NodeSpec) -> Layout:
    """Return the layout of a node's home. Raises HomeMissing, Unreadable, and errors of the connection."""
    shown = printable(node.home)
    try:
        found = is_directory(host, node.home)
        if found:
            host.scan(node.home)
            return read_layout(host, node.home)
    except OSError as error:
        raise unreadable(host, node.name, error.filename or node.home, error) from error
    where = "this host" if host.spec.reach == "local" else host.spec.address
    raise HomeMissing(
        f"The IoTDB home {shown} of node {node.name} is not there, or is not a directory.",
        cure=f"Correct the IoTDB home of the node, or mount its file system on {where}.",
    )


def read_facts(site: Site) -> NodeFacts:
    """Return what a node says of itself. Raises Unreadable, and errors of the connection."""
    host, node, layout = site
    try:
        config = layout.config_identity(host) if node.config_node else {}
        data = layout.data_identity(host) if node.data_node else {}
    except OSError as error:
        raise unreadable(host, node.name, error.filename or node.home, error) from error
    version = config.get("iotdb_version") or data.get("iotdb_version") or ""
    return NodeFacts(site, version, data.get("cluster_id", ""), config, data)


def measure(host: Host, part: Part, check: Callable[[], None] = nothing) -> Amount:
    """Return what a part holds now. Raises Unreadable for the first file that may not be read, KeepsChanging."""
    amount = Amount()
    for group in _steady_groups(host, part):
        check()
        entries = _steady_list(host, group)
        _require_readable(host, group, entries, check)
        for entry in entries:
            if entry.kind == "file":
                amount.files += 1
                amount.bytes += entry.size
                amount.proof = amount.proof or _is_proof(part, entry.name)
            elif entry.kind == "refused":
                amount.refused += refusals(group, [entry])
    return amount


def _steady_groups(host: Host, part: Part) -> list[Group]:
    try:
        with reading(host, part.node, part.path):
            return groups_of(host, part)
    except Vanished:
        return []


def _steady_list(host: Host, group: Group) -> list[Entry]:
    for _ in range(TRIES):
        try:
            return list_group(host, group)
        except Vanished:
            if is_gone(host, group):
                return []
            time.sleep(PAUSE)
    raise KeepsChanging(
        f"{printable(group.path)} on node {group.part.node} changed at each of {TRIES} attempts to list it.",
        cure="Run the task again when fewer databases and regions are created, dropped or moved.",
    )


def _require_readable(host: Host, group: Group, entries: list[Entry], check: Callable[[], None]) -> None:
    def files() -> Iterator[str]:
        for entry in entries:
            check()
            if entry.kind == "file":
                yield os.path.join(group.path, entry.name)

    for path in host.forbidden(files()):
        raise unreadable(host, group.part.node, path, PermissionError())


def _is_proof(part: Part, name: str) -> bool:
    """A ConfigNode without a log or a snapshot, or a DataNode without its identity, holds no metadata."""
    if part.role == "ConfigNode":
        return part.label == "consensus" and name.startswith(("current/log_", "sm/"))
    return part.role == "DataNode" and name == "system.properties"


def survey(service: ServiceSpec, check: Callable[[], None] = nothing) -> Survey:
    """Return what a copy would hold; ``check`` may raise what ends the run.

    Raises HomeMissing, Unreadable, NothingToBackUp, KeepsChanging, and errors of ``storage.errors`` for a machine that
    cannot be reached.
    """
    if not service.nodes:
        raise NothingToBackUp(
            f"The service {service.name} of cluster {service.cluster} has no nodes.",
            cure="Add its nodes on the page of the cluster.",
        )
    with reached(service.nodes) as machines:
        facts = [read_facts(Site(host, node, open_layout(host, node))) for host, node in machines]
        hosts = {node.name: host for host, node in machines}
        parts = copy_order((known.node, known.layout) for known in facts)
        amounts = [(part, measure(hosts[part.node], part, check)) for part in parts]
        for known in facts:
            _require_metadata(known, amounts)
        warnings = [sentence for _, amount in amounts for sentence in amount.refused]
        return Survey(
            version=next((known.version for known in facts if known.version), UNKNOWN),
            cluster_id=next((known.cluster_id for known in facts if known.cluster_id), ""),
            bytes=sum(amount.bytes for _, amount in amounts),
            files=sum(amount.files for _, amount in amounts),
            running=any(is_running(*known.site) for known in facts),
            warnings=(*warnings, *_disagreements(facts), *(line for known in facts for line in doubts(known))),
            clocks={name: ahead for name, host in hosts.items() if (ahead := host.ahead()) is not None},
        )


def _require_metadata(known: NodeFacts, amounts: Iterable[tuple[Part, Amount]]) -> None:
    node = known.node
    proven = {part.role for part, amount in amounts if part.node == node.name and amount.proof}
    for role, wanted, directory in (
        ("ConfigNode", node.config_node, known.layout.directories["cn_consensus_dir"]),
        ("DataNode", node.data_node, known.layout.directories["dn_system_dir"]),
    ):
        if wanted and role not in proven:
            raise NothingToBackUp(
                f"Node {node.name} holds no metadata of a {role} in {printable(directory)}.",
                cure="Correct the role or the IoTDB home of the node; start IoTDB once if it is new.",
            )


def doubts(known: NodeFacts) -> list[str]:
    """Return sentences on what makes a copy of this node doubtful although it can be made."""
    node, sentences = known.node, []
    if known.simple_consensus:
        sentences.append(
            f"The ConfigNode {node.name} uses SimpleConsensus, which loses metadata when it is restarted "
            "(seen on IoTDB 2.0.1-beta). Use RatisConsensus for config_node_consensus_protocol_class."
        )
    if not known.version:
        sentences.append(f"The version of IoTDB on node {node.name} is not known: no property file names it.")
    if not known.layout.configured:
        sentences.append(f"Node {node.name} has no iotdb-system.properties: the default directories were used.")
    for role, wanted, name in (
        ("ConfigNode", node.config_node, "cn_system_dir"),
        ("DataNode", node.data_node, "dn_system_dir"),
    ):
        if not wanted and _is_there(known.site.host, known.layout.directories[name]):
            sentences.append(
                f"Node {node.name} has the directory of a {role}, but not that role in the console. It is not copied."
            )
    return sentences


def _is_there(host: Host, path: str) -> bool:
    """Whether a directory is seen; one that may not be looked at is none of a backup's business."""
    with suppress(OSError):
        return is_directory(host, path)
    return False


def _disagreements(facts: list[NodeFacts]) -> list[str]:
    sentences = []
    for what, values in (
        ("versions of IoTDB", {known.version for known in facts if known.version}),
        ("cluster ids", {known.cluster_id for known in facts if known.cluster_id}),
    ):
        if len(values) > 1:
            sentences.append(f"The nodes of this service have different {what}: {', '.join(sorted(values))}.")
    return sentences
