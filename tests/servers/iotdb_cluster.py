"""A real cluster of several Apache IoTDB nodes on the loopback address, each with a home and ports of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.servers.iotdb import IoTDB
from tests.servers.iotdb_ports import free_offset

REPLICAS = {"schema_replication_factor": "2", "data_replication_factor": "2"}


def form(homes: list[Path], properties: Mapping[str, str] = REPLICAS) -> list[IoTDB]:
    """Start a ConfigNode and a DataNode in each home, one after the other, and return them as one healthy cluster."""
    servers: list[IoTDB] = []
    try:
        for home in homes:
            home.mkdir(parents=True, exist_ok=True)
            seed = {}
            if servers:
                address = f"127.0.0.1:{servers[0].properties['cn_internal_port']}"
                seed = {"cn_seed_config_node": address, "dn_seed_config_node": address}
            servers.append(IoTDB.start(home, free_offset(), {**properties, **seed}))
    except BaseException:
        stop(servers)
        raise
    return servers


def start_together(homes: list[Path], *, timeout: float = 300) -> list[IoTDB]:
    """Start all nodes of a cluster that was formed before: ConfigNodes need a majority of each other to serve."""
    servers = [IoTDB(home) for home in homes]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait(timeout)
    except BaseException:
        stop(servers)
        raise
    return servers


def stop(servers: list[IoTDB]) -> None:
    """Kill all nodes."""
    for server in servers:
        server.stop(kill=True)
