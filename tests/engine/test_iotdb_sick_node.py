"""A cluster of three of which one node is gone is asked through those that are left."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tasks.iotdb.base import Account, Endpoint, Health
from tasks.iotdb.client import ask_health
from tests.servers import iotdb_cluster
from tests.servers.iotdb import ROOT_PASSWORD, require

pytestmark = pytest.mark.server


def test_a_node_that_is_gone_is_named_by_those_that_are_left(tmp_path: Path) -> None:
    require()
    servers = iotdb_cluster.form([tmp_path / f"node{number}" for number in (1, 2, 3)])
    try:
        endpoints = [Endpoint("127.0.0.1", server.rpc_port) for server in servers]
        account = Account("root", ROOT_PASSWORD)
        servers[0].execute("CREATE DATABASE root.a", "CREATE TIMESERIES root.a.d.s WITH datatype=INT32")
        well = ask_health(account, endpoints, seconds=60)
        assert (well.well, well.series, len(well.nodes)) == (True, 1, 6), well.words

        servers[0].kill("datanode")
        sick = _as_soon_as_it_shows(account, endpoints)
        gone = [node for node in sick.nodes if node.status != "Running"]
        assert [node.kind for node in gone] == ["DataNode"], sick.words
        assert f"DataNode {gone[0].number} ({gone[0].address}) is {gone[0].status}" in sick.words
        assert "5 of 6 nodes Running" in sick.words
        assert sick.version
    finally:
        iotdb_cluster.stop(servers)
        shutil.rmtree(tmp_path, ignore_errors=True)


def _as_soon_as_it_shows(account: Account, endpoints: list[Endpoint]) -> Health:
    """The ConfigNode takes a while to miss the heartbeats of a node."""
    end = time.monotonic() + 120
    while (health := ask_health(account, endpoints, seconds=60)).well or not health.nodes:
        assert time.monotonic() < end, health.words
        time.sleep(2)
    return health
