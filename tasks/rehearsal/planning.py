"""From an unpacked archive to the order to rehearse it: which nodes, on which addresses, and what must not be seen."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.rehearsal.configuration import places, rewrite, rpc_endpoint
from tasks.rehearsal.outside import ROOT
from tasks.rehearsal.plan import Login, Plan, ScratchNode
from tasks.sources.iotdb_properties import read

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IDENTITIES = ("data/confignode/system/confignode-system.properties", "data/datanode/system/system.properties")
_PORT = re.compile(r"(?:cn|dn)_\w*port")


class Unplannable(Exception):
    """An archive from which no service can be started here; the text says why."""


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
    nodes, said, elsewhere = [], [], []
    ports: dict[str, str] = {}
    for fact in node_facts(facts):
        home = os.path.join(scratch, fact["name"])
        if os.path.realpath(home) != home or not os.path.isdir(home):
            raise Unplannable(f"it holds no directory of its node {fact['name']}")
        configured = rewrite(home)
        known = configured.settings | _identity(home)
        _apart(fact, known, ports)
        host, port = rpc_endpoint(known)
        nodes.append(ScratchNode(fact["name"], home, bool(fact["config_node"]), bool(fact["data_node"]), host, port))
        said.append(known)
        elsewhere += [fact.get("home", ""), *fact.get("directories", {}).values(), *configured.elsewhere]
    wanted = places(said)
    return Plan(
        scratch=scratch,
        lib=given.lib,
        java=given.java,
        nodes=tuple(nodes),
        addresses=tuple(sorted(wanted.addresses)),
        names=tuple(sorted(wanted.names)),
        hidden=_hidden([*given.hidden, *elsewhere]),
        keep=_kept(given),
        logins=given.logins,
        heap_mb=given.heap_mb,
        seconds=given.seconds,
    )


def _identity(home: str) -> dict[str, str]:
    """Return what the nodes wrote of themselves at their first start; it counts more than their configuration."""
    found: dict[str, str] = {}
    for name in _IDENTITIES:
        found |= read(os.path.join(home, name)) or {}
    return found


def _apart(fact: Mapping[str, Any], known: Mapping[str, str], ports: dict[str, str]) -> None:
    """Refuse two nodes on the same port: they were on different hosts, and listen on the wildcard address."""
    prefixes = [prefix for prefix, role in (("cn", "config_node"), ("dn", "data_node")) if fact[role]]
    for name, port in known.items():
        if _PORT.fullmatch(name) and name[:2] in prefixes and port.isdecimal():
            other = ports.setdefault(port, fact["name"])
            if other != fact["name"]:
                raise Unplannable(
                    f"its nodes {other} and {fact['name']} both have port {port}, as on different hosts, and a "
                    "rehearsal starts all nodes of a service in one place"
                )


def _hidden(places: Sequence[str]) -> tuple[str, ...]:
    real = {os.path.realpath(place) for place in places if place.startswith("/")}
    return tuple(sorted(place for place in real if place != "/" and os.path.isdir(place)))


def _kept(given: Given) -> tuple[str, ...]:
    """Return what has to be seen even where a hidden directory holds it: Python, this console's code, Java, jars."""
    java_home = os.path.dirname(os.path.dirname(given.java))
    kept: Iterable[str] = (given.lib, java_home, sys.prefix, sys.base_prefix, str(ROOT))
    return tuple(dict.fromkeys(os.path.realpath(place) for place in kept))
