"""Which nodes of a service stand on which host of a rehearsal, and which addresses and names each host has.

All nodes share one host, with all addresses on its loopback, unless two have the same port: they were on different
hosts, and IoTDB listens on the wildcard address. Then nodes that share an address share a host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.rehearsal.configuration import Places, places
from tasks.rehearsal.network import name_address

_PORT = re.compile(r"(?:cn|dn)_\w*port")
_OWN = {"config_node": ("cn_internal_address",), "data_node": ("dn_rpc_address", "dn_internal_address")}


class Unplannable(Exception):
    """An archive from which no service can be started here; the text says why."""


@dataclass(frozen=True)
class Unpacked:
    """A node in its scratch home: what the manifest says of it, and its properties and identity together."""

    fact: Mapping[str, Any]
    home: str
    known: Mapping[str, str]

    @property
    def own(self) -> Places:
        """The addresses and names that are its own, and not those of its peers."""
        wanted = {name for role, names in _OWN.items() if self.fact.get(role) for name in names}
        return places([{name: value for name, value in self.known.items() if name in wanted}])

    @property
    def ports(self) -> set[str]:
        """The ports that it listens on."""
        prefixes = [prefix for prefix, role in (("cn", "config_node"), ("dn", "data_node")) if self.fact.get(role)]
        return {
            port
            for name, port in self.known.items()
            if _PORT.fullmatch(name) and name[:2] in prefixes and port.isdecimal()
        }


@dataclass(frozen=True)
class Standing:
    """Hosts by their addresses, pairs of name and address, and for each node the number of its host."""

    hosts: tuple[tuple[str, ...], ...]
    names: tuple[tuple[str, str], ...]
    host_of: tuple[int, ...]


def settle(nodes: Sequence[Unpacked]) -> Standing:
    """Return where the nodes stand. Raises Unplannable where two of one host have the same port."""
    if not _clash(nodes):
        wanted = places([node.known for node in nodes])
        names = tuple((name, name_address(number, True)) for number, name in enumerate(sorted(wanted.names)))
        return Standing((tuple(sorted(wanted.addresses)),), names, (0,) * len(nodes))
    groups = _groups(nodes)
    for group in groups:
        if clash := _clash([nodes[number] for number in group]):
            raise Unplannable(clash)
    return _apart(nodes, groups)


def _apart(nodes: Sequence[Unpacked], groups: Sequence[Sequence[int]]) -> Standing:
    hosts: list[tuple[str, ...]] = []
    names: list[tuple[str, str]] = []
    for group in groups:
        own = [nodes[number].own for number in group]
        addresses = sorted({address for place in own for address in place.addresses})
        for name in sorted({name for place in own for name in place.names}):
            names.append((name, name_address(len(names), False)))
            addresses.append(names[-1][1])
        if not addresses:
            name = nodes[group[0]].fact["name"]
            raise Unplannable(f"its node {name} has the ports of another one and no address of its own")
        hosts.append(tuple(addresses))
    host_of = {number: host for host, group in enumerate(groups) for number in group}
    return Standing(tuple(hosts), tuple(names), tuple(host_of[number] for number in range(len(nodes))))


def _groups(nodes: Sequence[Unpacked]) -> list[list[int]]:
    """Return the numbers of nodes that share an address or a name, in the order of the first of each."""
    groups: list[tuple[set[str], list[int]]] = []
    for number, node in enumerate(nodes):
        own = node.own.addresses | node.own.names
        mine = [group for group in groups if group[0] & own]
        groups = [group for group in groups if not group[0] & own]
        groups.append((set(own).union(*(group[0] for group in mine)), sorted([*sum((g[1] for g in mine), []), number])))
    return sorted(group[1] for group in groups)


def _clash(nodes: Sequence[Unpacked]) -> str:
    """Return which two nodes have the same port, as the end of a sentence; empty where none have."""
    taken: dict[str, str] = {}
    for node in nodes:
        for port in sorted(node.ports):
            other = taken.setdefault(port, node.fact["name"])
            if other != node.fact["name"]:
                return f"its nodes {other} and {node.fact['name']} both have port {port} on the same host"
    return ""
