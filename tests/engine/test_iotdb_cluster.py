"""Three ConfigNodes and three DataNodes in one archive, taken under DDL, and restored together."""

from __future__ import annotations

import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.sources import NodeSpec, ServiceSpec
from tests.engine.iotdb_source_kit import back_up, settled, wipe
from tests.engine.iotdb_writers import first_values
from tests.servers import iotdb_cluster
from tests.servers.iotdb import IoTDB, require
from tests.servers.iotdb_metadata import create_metadata, inventory
from tests.unit.source_home import Journal

pytestmark = pytest.mark.server


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[list[Path]]:
    """Three scratch homes; their preallocated logs are removed at once."""
    require()
    yield [tmp_path / f"node{number}" for number in (1, 2, 3)]
    shutil.rmtree(tmp_path, ignore_errors=True)


def service_of(servers: list[IoTDB]) -> ServiceSpec:
    nodes = [NodeSpec(one.home.name, str(one.home), True, True, "127.0.0.1", one.rpc_port) for one in servers]
    return ServiceSpec("plant", "IoTDB", tuple(nodes))


def unpack_all(archive: Path, homes: list[Path]) -> None:
    for home in homes:
        wipe(home)
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.name != "MANIFEST.json"]
        tar.extractall(homes[0].parent, members, filter="fully_trusted")


class Series:
    """A thread that creates series and remembers when each was acknowledged."""

    def __init__(self, server: IoTDB) -> None:
        self.acknowledged: list[tuple[float, str]] = []
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Series:
        self._server.execute("CREATE DATABASE root.hot")
        self._thread.start()
        time.sleep(2)
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def _run(self) -> None:
        session = self._server.session()
        while not self._stop.is_set():
            name = f"root.hot.d{len(self.acknowledged) % 20}.s{len(self.acknowledged)}"
            session.execute_non_query_statement(f"CREATE TIMESERIES {name} WITH datatype=INT64")
            self.acknowledged.append((time.time(), name))
            time.sleep(0.02)
        session.close()


def test_a_cluster_of_three_comes_back_from_one_archive(homes: list[Path], tmp_path: Path) -> None:
    servers = iotdb_cluster.form(homes)
    try:
        create_metadata(servers[0])
        base = inventory(servers[0], data=False)
        journal = Journal()
        with Series(servers[1]) as series:
            began = time.time()
            facts = back_up(service_of(servers), tmp_path / "hot.tar.gz", journal)
        assert [node["name"] for node in facts["nodes"]] == ["node1", "node2", "node3"]
        roles = [part["role"] for part in facts["parts"] if part["role"] != "Node"]
        assert roles == sorted(roles), "a DataNode was copied before a ConfigNode"
        iotdb_cluster.stop(servers)

        unpack_all(tmp_path / "hot.tar.gz", homes)
        servers = iotdb_cluster.start_together(homes)
        after = settled(servers[2], lambda found: not lost(base, found))
        assert lost(base, after) == {}
        session = servers[0].session()
        have = first_values(session, "SHOW TIMESERIES root.hot.**")
        session.close()
        kept = [(when, name in have) for when, name in series.acknowledged]
        assert kept[0][0] < began
        assert all(is_kept for when, is_kept in kept if when < began), "acknowledged before the copy, and lost"
        assert [one for _, one in kept] == sorted((one for _, one in kept), reverse=True), "a gap"
        new = "CREATE TIMESERIES root.hot.after.s WITH datatype=INT32"
        servers[1].execute(new, "INSERT INTO root.hot.after(time, s) VALUES(1, 1)")
    finally:
        iotdb_cluster.stop(servers)


def lost(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, set[str]]:
    missing = {key: set(lines) - set(after.get(key, [])) for key, lines in before.items()}
    return {key: lines for key, lines in missing.items() if lines}
