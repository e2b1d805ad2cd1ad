"""Ports of an IoTDB for tests: two processes of one test run never take the same ones."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping

from tests.servers.iotdb_jars import Unavailable

PORTS = {
    "cn_internal_port": 10710,
    "cn_consensus_port": 10720,
    "dn_rpc_port": 6667,
    "dn_internal_port": 10730,
    "dn_mpp_data_exchange_port": 10740,
    "dn_schema_region_consensus_port": 10750,
    "dn_data_region_consensus_port": 10760,
}


def share_of_offsets() -> range:
    """Return the offsets of this process: two of one test run never take the same one."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return range(200, 20000, 7)[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


def free_offset() -> int:
    """Return an offset at which all seven ports are free; below the ports the kernel hands out by itself."""
    for offset in random.sample(share_of_offsets(), 200):
        if not busy_ports({name: port + offset for name, port in PORTS.items()}):
            return offset
    raise Unavailable("no free set of seven ports")


def busy_ports(ports: Mapping[str, int]) -> list[int]:
    """Return those ports on which something listens (the server takes the wildcard address)."""
    busy = []
    for port in ports.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                busy.append(port)
    return busy
