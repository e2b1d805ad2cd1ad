"""Whether an IoTDB runs, found out without asking it and without disturbing it.

A running DataNode holds POSIX locks on ``.iotdb-lock`` and on ``in_use.lock`` of each schema group, a ConfigNode on
``in_use.lock`` of its group (seen on 2.0.1-beta). A lock that is there tells both ways, held or free. Only a role
without a lock file that can be asked (never started here, or a ConfigNode on SimpleConsensus) is judged by its ports.

SFTP tells nothing of locks: on another machine the kernel's tables of processes and ports are read instead.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from tasks.hosts.base import Host
from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_properties import Layout

MAIN_CLASSES = {
    "ConfigNode": "org.apache.iotdb.confignode.service.ConfigNode",
    "DataNode": "org.apache.iotdb.db.service.DataNode",
}
# With the defaults of IoTDB 1.0 to 2.0.
PORTS = {
    "ConfigNode": {"cn_internal_port": 10710, "cn_consensus_port": 10720},
    "DataNode": {
        "dn_rpc_port": 6667,
        "dn_internal_port": 10730,
        "dn_mpp_data_exchange_port": 10740,
        "dn_schema_region_consensus_port": 10750,
        "dn_data_region_consensus_port": 10760,
    },
}
_FLOCK = struct.Struct("@hhqqi4x")
_CONNECT_SECONDS = 0.5
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def lock_held(path: str) -> bool | None:
    """Return whether a process holds a lock on a file; None where there is no file or it cannot be asked."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        question = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        return bool(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, question))[0] != fcntl.F_UNLCK)
    except OSError:
        return None
    finally:
        os.close(fd)


def is_running(host: Host, node: NodeSpec, layout: Layout) -> bool:
    """Return whether a role that the node has runs. Raises errors of the connection only."""
    return any(roles_running(node, layout, host).values())


def roles_running(node: NodeSpec, layout: Layout, host: Host) -> dict[str, bool]:
    """Return for each role that the node has whether it runs.

    On this machine by locks, and where there are none that can be asked by the port; on another one by processes that
    name the home, and by the ports of the role. Raises errors of the connection only.
    """
    if host.spec.reach == "local":
        return {role: _role_runs(*signs) for role, signs in _local_signs(node, layout).items()}
    ports, commands = _seen(host)
    homes = {node.home, _resolved(host, node.home)}
    running = {}
    for role, wanted in ports_of(node, layout).items():
        by_port = _answers(node, wanted[:1]) if ports is None else bool(ports.intersection(wanted))
        running[role] = by_port or any(is_of(command, MAIN_CLASSES[role], homes) for command in commands)
    return running


def ports_of(node: NodeSpec, layout: Layout) -> dict[str, list[int]]:
    """Return the ports of each role that the node has, by its properties; that of the DataNode's RPC comes first."""
    wanted = {"ConfigNode": node.config_node, "DataNode": node.data_node}
    found = {}
    for role, defaults in PORTS.items():
        if wanted[role]:
            values = [layout.settings.get(name, "").strip() or str(port) for name, port in defaults.items()]
            found[role] = [int(value) for value in values if value.isdecimal()]
    return found


def _seen(host: Host) -> tuple[frozenset[int] | None, list[tuple[str, ...]]]:
    """Return what listens and what runs there; None and nothing where the account is not shown ``/proc``."""
    try:
        return host.listening_ports(), [process.command for process in host.processes()]
    except OSError:
        return None, []


def is_of(command: tuple[str, ...], main_class: str, homes: set[str]) -> bool:
    """Whether a command line is that of a role of this home, which its scripts name in properties of Java."""
    if main_class not in command:
        return False
    places = [place for word in command for place in (word.partition("=")[2] or word).split(":")]
    return any(f"{place}/".startswith(f"{home}/") for place in places for home in homes)


def _resolved(host: Host, path: str) -> str:
    try:
        return host.realpath(path)
    except OSError:
        return path


def _answers(node: NodeSpec, ports: list[int]) -> bool:
    return any(_listens(node.rpc_host or node.host.address, port) for port in ports)


def _local_signs(node: NodeSpec, layout: Layout) -> dict[str, tuple[list[str], list[tuple[str, int]]]]:
    """Return locks, and places to connect to, of each role that the node has."""
    place, settings = layout.directories, layout.settings
    signs = {}
    if node.config_node:
        address = settings.get("cn_internal_address", "127.0.0.1")
        where = _ports(address, settings.get("cn_internal_port", "10710"))
        signs["ConfigNode"] = (_locks(place["cn_consensus_dir"]), where)
    if node.data_node:
        locks = [os.path.join(place[name], ".iotdb-lock") for name in ("dn_system_dir", "dn_consensus_dir")]
        locks += _locks(os.path.join(place["dn_consensus_dir"], "schema_region"))
        address = node.rpc_host or settings.get("dn_rpc_address", "127.0.0.1")
        signs["DataNode"] = (locks, _ports(address, str(node.rpc_port or settings.get("dn_rpc_port", "6667"))))
    return signs


def _locks(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name, "in_use.lock") for name in sorted(os.listdir(directory))]
    except OSError:
        return []


def _ports(address: str, port: str) -> list[tuple[str, int]]:
    return [(_WILDCARDS.get(address, address), int(port))] if port.isdecimal() else []


def _role_runs(locks: list[str], ports: list[tuple[str, int]]) -> bool:
    answers = [held for held in map(lock_held, locks) if held is not None]
    return any(answers) if answers else any(_listens(*place) for place in ports)


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), _CONNECT_SECONDS).close()
    except (OSError, UnicodeError, OverflowError):
        return False
    return True
