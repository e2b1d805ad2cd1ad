"""A real IoTDB under DDL whose home is read over a real sshd, restored by tar and compared."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import sources
from tasks.hosts import connect
from tasks.sources import NodeSpec, ServiceSpec
from tasks.sources.iotdb_running import roles_running
from tasks.sources.iotdb_survey import open_layout
from tests.engine.iotdb_source_kit import back_up, unpack, wipe
from tests.engine.iotdb_writers import Writers, drop_short, require_acknowledged, require_base
from tests.servers.iotdb import IoTDB, require
from tests.servers.iotdb_metadata import create_metadata, inventory
from tests.servers.sshaccounts import Accounts, accounts, openssh
from tests.unit.source_home import Journal

__all__ = ["accounts", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]
SOURCE = sources.get("iotdb-metadata")


@pytest.fixture
def far_home(accounts: Accounts) -> Iterator[Path]:
    """A home where the account of SSH may read, as a server with the usual mask leaves it."""
    require()
    path = accounts.room / "iotdb"
    path.mkdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def far(accounts: Accounts, server: IoTDB) -> ServiceSpec:
    spec = accounts.spec(accounts.shell)
    return ServiceSpec(
        "plant", "IoTDB", (NodeSpec("node1", str(server.home), True, True, "127.0.0.1", server.rpc_port, spec),)
    )


def running(service: ServiceSpec) -> dict[str, bool]:
    (node,) = service.nodes
    with connect(node.host, node.name) as host:
        return roles_running(node, open_layout(host, node), host)


def test_a_hot_copy_over_ssh_under_ddl_loses_nothing_that_was_acknowledged(
    accounts: Accounts, far_home: Path, tmp_path: Path
) -> None:
    server = IoTDB.start(far_home)
    try:
        create_metadata(server)
        before = inventory(server, data=False)
        service = far(accounts, server)
        assert running(service) == {"ConfigNode": True, "DataNode": True}
        writers = Writers(server)
        writers.start()
        copies = []
        for number in range(2):
            server.execute("CREATE DATABASE root.short", "CREATE TIMESERIES root.short.d.s WITH datatype=INT32")
            journal, began = Journal(), time.time()
            facts = back_up(service, tmp_path / f"hot{number}.tar.gz", journal)
            assert facts["nodes"][0]["running"]
            assert any(part["files"] for part in facts["parts"] if part["part"] == "schema regions")
            copies.append((tmp_path / f"hot{number}.tar.gz", began))
            drop_short(server)
        writers.stop()
        server.stop(kill=True)
        assert running(service) == {"ConfigNode": False, "DataNode": False}
        shutil.copytree(far_home / "data", tmp_path / "data")
        for archive, began in copies:
            shutil.rmtree(far_home / "data")
            shutil.copytree(tmp_path / "data", far_home / "data")
            wipe(far_home)
            unpack(archive, far_home)
            server = IoTDB.start(far_home)
            require_acknowledged(server, writers.acknowledged, began)
            require_base(server, before)
            server.stop(kill=True)
    finally:
        server.stop(kill=True)
        shutil.rmtree(tmp_path, ignore_errors=True)
