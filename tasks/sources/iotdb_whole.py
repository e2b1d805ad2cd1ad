"""Whether an archive holds what IoTDB needs to start from it, judged by the names of its members and by its facts.

The list is that of ``reference/iotdb.md``, section 6; each entry was left out of a restore once, to see what happens:
without ``schema_region`` there are no series, without ``system/schema`` or the properties the DataNode does not start,
without ``data_region`` no data is found. What a running server was just about to create is no lack: a group without a
log, or a schema directory whose group came after the groups were copied, belongs to nothing that the copied ConfigNode
knows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_groups import Part, copy_order
from tasks.sources.iotdb_properties import DEFAULTS, Layout
from tasks.sources.listing import printable

_RATIS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{4}([0-9a-f]{8})")
_SIMPLE = re.compile(r"\d+_(\d+)")
_CONFIG = "data/confignode/consensus"
_SCHEMA = "data/datanode/consensus/schema_region"
_DATA = "data/datanode/consensus/data_region"
_REGION = re.compile(r"data/datanode/system/schema/[^/]+/(\d+)/")
_IDENTITIES = {
    "ConfigNode": "data/confignode/system/confignode-system.properties",
    "DataNode": "data/datanode/system/system.properties",
}


@dataclass
class _Group:
    """A consensus group: whether it holds a log or a snapshot, and the records that go with it."""

    logged: bool = False
    meta: bool = False
    configured: bool = False


@dataclass
class _Held:
    """What the archive holds of one node; ``counts`` are the files of each part, by its place below the node."""

    names: set[str] = field(default_factory=set)
    groups: dict[str, dict[str, _Group]] = field(default_factory=lambda: {_CONFIG: {}, _SCHEMA: {}, _DATA: {}})
    regions: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, name: str, parts: list[Part]) -> None:
        """Note a member by its name below the node; directories end with a slash."""
        if name in _IDENTITIES.values():
            self.names.add(name)
        if match := _REGION.match(name):
            self.regions.add(int(match[1]))
        for place, groups in self.groups.items():
            group, slash, inner = name.removeprefix(f"{place}/").partition("/")
            if name.startswith(f"{place}/") and slash:
                _note(groups.setdefault(group, _Group()), inner)
        if not name.endswith("/"):
            part = next((one for one in parts if name.startswith(f"{one.member}/") and not _skipped(one, name)), None)
            if part is not None:
                self.counts[part.label + part.role] += 1


def _note(group: _Group, inner: str) -> None:
    if inner.startswith("current/log_") or (inner.startswith("sm/") and not inner.endswith("/")):
        group.logged = True
    group.meta = group.meta or inner == "current/raft-meta"
    group.configured = group.configured or inner.endswith("configuration.dat")


def _skipped(part: Part, name: str) -> bool:
    return name.removeprefix(f"{part.member}/").split("/", 1)[0] in part.skip


def lacking(facts: Mapping[str, Any], members: Iterable[str]) -> list[str]:
    """Return one sentence for each thing that the archive should hold and does not; none where it is whole.

    ``facts`` are those that ``copy_metadata`` left in the manifest; ``members`` are the names in the archive.
    """
    nodes = {str(node["name"]): node for node in facts.get("nodes", ())}
    if not nodes:
        return ["Its manifest names no node."]
    held = {name: _Held() for name in nodes}
    parts = {name: _parts(node) for name, node in nodes.items()}
    for member in members:
        name, _, inner = member.partition("/")
        if name in held:
            held[name].take(inner, parts[name])
    # ConfigNodes keep what the whole service uses.
    said = [node.get("config_identity", {}).get("data_region_consensus_protocol_class", "") for node in nodes.values()]
    data_protocol = next(filter(None, said), "")
    sentences = []
    for name, node in nodes.items():
        found = [*_config_node(node, held[name]), *_data_node(node, held[name], data_protocol)]
        sentences += [f"{printable(name)}: {what}." for what in found]
    return sentences + _missing_files(facts, held)


def _parts(node: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a node as they stand in every archive, wherever its directories were."""
    spec = NodeSpec(str(node["name"]), "/", bool(node["config_node"]), bool(node["data_node"]))
    return copy_order([(spec, Layout("/", {name: f"/{place}" for name, place in DEFAULTS.items()}, {}, True))])


def _config_node(node: Mapping[str, Any], held: _Held) -> list[str]:
    if not node["config_node"]:
        return []
    groups = held.groups[_CONFIG]
    lacks = (
        [] if any(group.logged for group in groups.values()) else ["the ConfigNode has neither a log nor a snapshot"]
    )
    return lacks + _without_meta("ConfigNode", groups) + _without_identity("ConfigNode", held)


def _data_node(node: Mapping[str, Any], held: _Held, data_protocol: str) -> list[str]:
    if not node["data_node"]:
        return []
    schema, data = held.groups[_SCHEMA], held.groups[_DATA]
    lacks = _without_identity("DataNode", held) + _without_meta("schema region", schema)
    if held.regions and not schema:
        lacks.append("no consensus group of a schema region is there")
    for name, group in schema.items():
        number = _number(name)
        if group.logged and number is not None and number not in held.regions:
            lacks.append(f"system/schema has no directory of schema region {number}")
    if "IoTConsensus" in data_protocol and data and not any(group.configured for group in data.values()):
        lacks.append("no configuration of a data region is there")
    return lacks


def _without_meta(what: str, groups: Mapping[str, _Group]) -> list[str]:
    """A Ratis group with a log cannot be opened without its metadata; SimpleConsensus has none."""
    wrong = [
        name for name, group in sorted(groups.items()) if _RATIS.fullmatch(name) and group.logged and not group.meta
    ]
    return [f"raft-meta of the {what} group {printable(name)} is missing" for name in wrong]


def _without_identity(role: str, held: _Held) -> list[str]:
    path = _IDENTITIES[role]
    return [] if path in held.names else [f"{path} is missing"]


def _number(group: str) -> int | None:
    if match := _RATIS.fullmatch(group):
        return int(match[1], 16)
    match = _SIMPLE.fullmatch(group)
    return int(match[1]) if match else None


def _missing_files(facts: Mapping[str, Any], held: Mapping[str, _Held]) -> list[str]:
    """Hold the files of each part against the number that was copied."""
    sentences = []
    for part in facts.get("parts", ()):
        node, label, wanted = str(part["node"]), str(part["part"]), int(part["files"])
        found = held[node].counts[label + str(part["role"])] if node in held else 0
        # By its name a link looks like a file; those were not counted when they were copied.
        if found < wanted:
            sentences.append(f"{printable(node)}: {label} holds {found:,} of the {wanted:,} files that were copied.")
    return sentences
