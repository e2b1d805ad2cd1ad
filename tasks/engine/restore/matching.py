"""Whether a set fits a cluster: every difference as one sentence with its cure. Pure: values in, values out.

IoTDB insists on the ids, addresses and ports that it recorded at its first start: a ConfigNode goes back to them, a
DataNode dies (tried on 2.0.1-beta). What the target does not tell, because it is wiped or damaged, is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.engine.restore.target import CONFIG, DATA, Found
from tasks.sources.iotdb_running import PORTS

_ADDRESS = {CONFIG: "cn_internal_address", DATA: "dn_internal_address"}
_ID = {CONFIG: "config_node_id", DATA: "data_node_id"}


@dataclass(frozen=True)
class NodeOfSet:
    """What the archive says of one node."""

    name: str
    roles: tuple[str, ...]
    config_identity: Mapping[str, str]
    data_identity: Mapping[str, str]
    home: str = ""
    directories: Mapping[str, str] = field(default_factory=dict)

    def identity(self, role: str) -> Mapping[str, str]:
        """What the role had recorded of itself."""
        return self.config_identity if role == CONFIG else self.data_identity


@dataclass(frozen=True)
class ServiceOfSet:
    """What an archive says of its service; ``facts`` are those of the data source in its manifest."""

    name: str
    version: str
    cluster_id: str
    nodes: tuple[NodeOfSet, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> ServiceOfSet:
        """Return it from the facts of a manifest. Raises KeyError, TypeError where these are of another kind."""
        nodes = tuple(
            NodeOfSet(
                node["name"],
                tuple(role for role, key in ((CONFIG, "config_node"), (DATA, "data_node")) if node[key]),
                node["config_identity"],
                node["data_identity"],
                node["home"],
                node["directories"],
            )
            for node in facts["nodes"]
        )
        return cls(facts["service"], facts["version"], facts["cluster_id"], nodes)


@dataclass
class Match:
    """Which node of the set goes to which of the cluster, what stands in the way, and what is worth a line."""

    pairs: list[tuple[NodeOfSet, Found]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def words(self) -> str:
        """Return how many nodes of each role were matched."""
        counts = {role: sum(role in node.roles for node, _ in self.pairs) for role in (CONFIG, DATA)}
        parts = [f"{count} {role}{'' if count == 1 else 's'}" for role, count in counts.items() if count]
        return f"{' and '.join(parts)} match."


def match(service: ServiceOfSet, found: Sequence[Found], cluster: str, live_version: str = "") -> Match:
    """Hold a service of a set against the nodes of the cluster's one. ``live_version`` is what a server said."""
    result = Match()
    _pair(service, found, cluster, result)
    for node, one in result.pairs:
        result.problems += _roles(node, one)
        result.problems += _version(service, one, live_version)
        result.problems += _cluster(service, one, cluster)
        for role in node.roles:
            result.problems += _identity(node, one, role)
    if not live_version and not any(one.version for _, one in result.pairs):
        result.notes.append(
            f"The version of IoTDB on {cluster} is not known, so it could not be compared with {service.version}."
        )
    if not any(one.cluster_id for _, one in result.pairs):
        result.notes.append(f"{cluster} tells no cluster id, so it could not be compared with {service.cluster_id}.")
    return result


def completed(found: Found, node: NodeOfSet) -> Found:
    """Return what is known of a node with what it has lost itself filled in from the set.

    Without property files the directories are those of the set, below the home that the node has here.
    """
    layout = found.layout
    if not layout.configured:
        directories = {name: _moved(path, node.home, layout.home) for name, path in node.directories.items()}
        layout = replace(layout, directories={**layout.directories, **directories})
    return replace(
        found,
        layout=layout,
        config_identity=found.config_identity or node.config_identity,
        data_identity=found.data_identity or node.data_identity,
    )


def _moved(path: str, home: str, to: str) -> str:
    return to + path[len(home) :] if path == home or path.startswith(home.rstrip("/") + "/") else path


def _pair(service: ServiceOfSet, found: Sequence[Found], cluster: str, result: Match) -> None:
    """Find for each node its counterpart: by name, else by what both have recorded of themselves."""
    left = {one.target.name: one for one in found}
    unnamed = []
    for node in service.nodes:
        if node.name in left:
            result.pairs.append((node, left.pop(node.name)))
        else:
            unnamed.append(node)
    for node in unnamed:
        twin = next((one for one in left.values() if _same(node, one)), None)
        if twin is None:
            result.problems.append(
                f"The set holds node {node.name}, which {cluster} does not have. Add it on the page of the cluster."
            )
            continue
        del left[twin.target.name]
        result.pairs.append((node, twin))
        result.notes.append(f"Node {node.name} of the set is {twin.target.name} here: the same address and port.")
    result.problems += [
        f"The set holds nothing of node {name} of {cluster}. Choose a set that holds all its nodes, or take it out."
        for name in left
    ]


def _same(node: NodeOfSet, found: Found) -> bool:
    """Tell whether two nodes have the same roles and the same address and first port in each of them."""
    return node.roles == found.target.roles and all(
        _own(found, role, name) == {node.identity(role).get(name, "")}
        for role in node.roles
        for name in (_ADDRESS[role], next(iter(PORTS[role])))
    )


def _own(found: Found, role: str, name: str) -> set[str]:
    """Return what a target says of one of its properties: what it recorded and what it is configured to be."""
    values = {found.identity(role).get(name, ""), found.layout.settings.get(name, "").strip()}
    return values - {""}


def _roles(node: NodeOfSet, found: Found) -> Iterator[str]:
    if node.roles != found.target.roles:
        yield (
            f"Node {found.target.name} is {' and '.join(found.target.roles)} here, and {' and '.join(node.roles)} in "
            "the set. Correct its role on the page of the cluster."
        )


def _version(service: ServiceOfSet, found: Found, live: str) -> Iterator[str]:
    version = live or found.version
    if version and version != service.version:
        yield (
            f"Node {found.target.name} has IoTDB {version}, the set is of {service.version}. Restore it with the "
            "version that it was made with."
        )


def _cluster(service: ServiceOfSet, found: Found, cluster: str) -> Iterator[str]:
    if found.cluster_id and service.cluster_id and found.cluster_id != service.cluster_id:
        yield (
            f"Node {found.target.name} belongs to the cluster with the id {found.cluster_id}, the set is of "
            f"{service.cluster_id}. Choose a set of {cluster}."
        )


def _identity(node: NodeOfSet, found: Found, role: str) -> Iterator[str]:
    identity = node.identity(role)
    recorded = found.identity(role).get(_ID[role], "")
    if recorded and identity.get(_ID[role], recorded) != recorded:
        yield (
            f"{role} {found.target.name} has the id {recorded}, in the set it has {identity[_ID[role]]}. "
            "Check which node of the set it is."
        )
    for name in (_ADDRESS[role], *PORTS[role]):
        wanted = identity.get(name, "")
        for value in sorted(_own(found, role, name) - {wanted}) if wanted else ():
            yield (
                f"{role} {found.target.name}: {name} is {value} here and {wanted} in the set. IoTDB cannot be "
                "restored at other addresses or ports; set it back."
            )
