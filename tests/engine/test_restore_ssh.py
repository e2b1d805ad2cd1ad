"""A node on another host: a real IoTDB under an account of its own, restored over a real sshd by sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.models import BackupTask, Node, Service
from tasks.states import Control, Reach, RunState
from tests.engine.iotdb_source_kit import settled
from tests.engine.kit import log_of, run_now
from tests.engine.restore_kit import SCHEMA, leftovers, picture, restore
from tests.servers.iotdb import ROOT_PASSWORD, require
from tests.servers.iotdb_jars import distribution
from tests.servers.iotdb_metadata import differences, inventory
from tests.servers.iotdb_scripts import ScriptedIoTDB
from tests.servers.openssh import PASSWORD
from tests.servers.sshaccounts import Accounts, accounts, openssh

__all__ = ["accounts", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def server(accounts: Accounts) -> Iterator[ScriptedIoTDB]:
    """A server in a home that only its own account may enter."""
    require()
    lib, home = accounts.room / "lib", accounts.closed / "iotdb"
    shutil.copytree(distribution(), lib)
    home.mkdir()
    server = ScriptedIoTDB.prepare(home, lib)
    server.account = accounts.iotdb
    subprocess.run(["chown", "-R", accounts.iotdb, home], check=True)
    subprocess.run(["chmod", "-R", "a+rX", lib], check=True)
    with server.serving():
        yield server
    shutil.rmtree(lib)


@pytest.fixture
def node(service: Service, server: ScriptedIoTDB, accounts: Accounts) -> Node:
    """The node, which is reached over SSH by an account that works as IoTDB's by sudo."""
    service.session_user = "root"
    service.set_secrets({"password": ROOT_PASSWORD})
    service.save()
    node = Node.objects.create(
        service=service,
        name="node1",
        home=str(server.home),
        rpc_host="127.0.0.1",
        rpc_port=server.rpc_port,
        control=Control.SCRIPTS,
        reach=Reach.SSH,
        ssh_address="127.0.0.1",
        ssh_port=accounts.server.port,
        ssh_user=accounts.free,
        host_key=accounts.server.fingerprint(),
        sudo_user=accounts.iotdb,
    )
    node.set_secrets({"password": PASSWORD})
    node.save()
    return node


def test_a_node_over_ssh_is_restored_in_its_place(
    server: ScriptedIoTDB, node: Node, task: BackupTask, storage_path: Path, accounts: Accounts
) -> None:
    run = run_now(task)
    assert run.good, log_of(run)
    before = inventory(server)
    server.end()
    shutil.rmtree(server.home / SCHEMA)
    run = restore(services.restore_from_run(CONSOLE, run, timezone.now()))
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert differences(before, settled(server, lambda found: not differences(before, found))) == []
    # Everything belongs to IoTDB's account, and what was there is beside it.
    owner = os.stat(server.home).st_uid
    assert {uid for _, uid, *_ in picture(server.home).values()} == {owner}
    assert len([name for name in leftovers(server.home) if ".pre-restore-" in Path(name).name]) >= 4
    text = log_of(run) + str(run.parameters) + str(run.steps)
    assert PASSWORD not in text
    assert ROOT_PASSWORD not in str(run.parameters.get("loss"))
