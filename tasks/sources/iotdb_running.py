"""Whether an IoTDB runs, found out without asking it and without disturbing it.

A running DataNode holds POSIX locks on ``.iotdb-lock`` and on ``in_use.lock`` of each schema group, a ConfigNode on
``in_use.lock`` of its group (seen on 2.0.1-beta). A lock that is there tells both ways, held or free. Only a role
without a lock file that can be asked (never started here, or a ConfigNode on SimpleConsensus) is judged by its ports.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator

from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_properties import Layout

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


def is_running(node: NodeSpec, layout: Layout) -> bool:
    """Return whether a role that the node has runs. Never raises for what it finds."""
    return any(_role_runs(paths, ports) for paths, ports in _roles(node, layout))


def _roles(node: NodeSpec, layout: Layout) -> Iterator[tuple[list[str], list[tuple[str, int]]]]:
    place, settings = layout.directories, layout.settings
    if node.config_node:
        address = settings.get("cn_internal_address", "127.0.0.1")
        yield _locks(place["cn_consensus_dir"]), _ports(address, settings.get("cn_internal_port", "10710"))
    if node.data_node:
        locks = [os.path.join(place[name], ".iotdb-lock") for name in ("dn_system_dir", "dn_consensus_dir")]
        locks += _locks(os.path.join(place["dn_consensus_dir"], "schema_region"))
        address = node.rpc_host or settings.get("dn_rpc_address", "127.0.0.1")
        yield locks, _ports(address, str(node.rpc_port or settings.get("dn_rpc_port", "6667")))


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
