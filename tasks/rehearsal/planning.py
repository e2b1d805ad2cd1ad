"""From an unpacked archive to the order to rehearse it: which nodes, on which addresses, and what must not be seen."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.hosts import LocalHost
from tasks.rehearsal.configuration import rewrite, rpc_endpoint
from tasks.rehearsal.hosting import Standing, Unpacked, Unplannable, settle
from tasks.rehearsal.outside import ROOT
from tasks.rehearsal.plan import Login, Plan, ScratchNode
from tasks.sources.iotdb_properties import read

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IDENTITIES = ("data/confignode/system/confignode-system.properties", "data/datanode/system/system.properties")


__all__ = ["Given", "Unplannable", "make_plan", "node_facts"]


@dataclass(frozen=True)
class Given:
    """What the worker gives: ``hidden`` are places that nobody inside shall see, besides those that were recorded."""

    lib: str
    java: str
    logins: tuple[Login, ...]
    hidden: tuple[str, ...]
    heap_mb: int
    seconds: int


def node_facts(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a manifest says of the nodes of its service. Raises Unplannable."""
    nodes = facts.get("source", {}).get("nodes", [])
    if not nodes or not all(_NAME.fullmatch(str(node.get("name", ""))) for node in nodes):
        raise Unplannable("its manifest does not tell the nodes of the service")
    if not any(node.get("data_node") for node in nodes) or not any(node.get("config_node") for node in nodes):
        raise Unplannable("it holds no ConfigNode together with a DataNode, and neither starts alone")
    return list(nodes)


def make_plan(scratch: str, facts: Mapping[str, Any], given: Given) -> Plan:
    """Return the order to start what was unpacked into ``scratch``, whose configurations are rewritten.

    Raises Unplannable, OSError.
    """
    nodes: list[Unpacked] = []
    elsewhere: list[str] = []
    for fact in node_facts(facts):
        home = os.path.join(scratch, fact["name"])
        if os.path.realpath(home) != home or not os.path.isdir(home):
            raise Unplannable(f"it holds no directory of its node {fact['name']}")
        configured = rewrite(home)
        nodes.append(Unpacked(fact, home, configured.settings | _identity(home)))
        elsewhere += [fact.get("home", ""), *fact.get("directories", {}).values(), *configured.elsewhere]
    standing = settle(nodes)
    return Plan(
        scratch=scratch,
        lib=given.lib,
        java=given.java,
        nodes=tuple(_node(node, host, standing) for node, host in zip(nodes, standing.host_of, strict=True)),
        hosts=standing.hosts,
        names=standing.names,
        hidden=_hidden([*given.hidden, *elsewhere]),
        keep=_kept(given),
        logins=given.logins,
        heap_mb=given.heap_mb,
        seconds=given.seconds,
    )


def _node(node: Unpacked, host: int, standing: Standing) -> ScratchNode:
    """Return a node to start; one that takes Sessions everywhere is asked at an address of its host."""
    name, port = rpc_endpoint(node.known)
    if len(standing.hosts) > 1 and name == "127.0.0.1":
        name = standing.hosts[host][0]
    fact = node.fact
    return ScratchNode(fact["name"], node.home, bool(fact["config_node"]), bool(fact["data_node"]), host, name, port)


def _identity(home: str) -> dict[str, str]:
    """Return what the nodes wrote of themselves at their first start; it counts more than their configuration."""
    found: dict[str, str] = {}
    for name in _IDENTITIES:
        found |= read(LocalHost(), os.path.join(home, name)) or {}
    return found


def _hidden(places: Sequence[str]) -> tuple[str, ...]:
    real = {os.path.realpath(place) for place in places if place.startswith("/")}
    return tuple(sorted(place for place in real if place != "/" and os.path.isdir(place)))


def _kept(given: Given) -> tuple[str, ...]:
    """Return what has to be seen even where a hidden directory holds it: Python, this console's code, Java, jars."""
    java_home = os.path.dirname(os.path.dirname(given.java))
    kept: Iterable[str] = (given.lib, java_home, sys.prefix, sys.base_prefix, str(ROOT))
    return tuple(dict.fromkeys(os.path.realpath(place) for place in kept))
