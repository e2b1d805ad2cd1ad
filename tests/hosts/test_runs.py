"""Runs of a task whose nodes are on this machine and on another: one archive, or none and the reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.sftp.link import Link
from tasks.models import BackupTask, Node, Service
from tasks.states import Reach, RunState
from tests.engine.kit import files_below, log_of, members_of, run_now
from tests.patience import Stopwatch
from tests.servers.openssh import PASSWORD
from tests.servers.sshaccounts import Accounts, accounts, openssh
from tests.storage.faults import frozen
from tests.unit.source_home import make_home

__all__ = ["accounts", "frozen", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def far(openssh: Any) -> Any:
    """What is frozen."""
    return type("Far", (), {"server": openssh})


@pytest.fixture
def far_node(service: Service, accounts: Accounts) -> Iterator[Node]:
    """A DataNode on the server, in a home that only the IoTDB account may enter."""
    home = make_home(accounts.closed / "home")
    for path in [home, *home.rglob("*")]:
        shutil.chown(path, accounts.iotdb, accounts.iotdb)
    node = Node.objects.create(
        service=service,
        name="a-far",
        config_node=False,
        home=str(home),
        reach=Reach.SSH,
        ssh_address="127.0.0.1",
        ssh_port=accounts.server.port,
        ssh_user=accounts.asked,
        host_key=accounts.server.fingerprint(),
        sudo_user=accounts.iotdb,
    )
    node.set_secrets({"password": PASSWORD})
    node.save()
    yield node
    shutil.rmtree(home)


@pytest.fixture
def both(node: Node, far_node: Node, make_task: Any, storage_path: Path) -> BackupTask:
    """A task of a service with a ConfigNode here and a DataNode there."""
    Node.objects.filter(pk=node.pk).update(data_node=False)
    task: BackupTask = make_task()
    return task


def test_nodes_of_two_machines_are_backed_up_into_one_archive(both: BackupTask) -> None:
    run = run_now(both)
    assert run.state in (RunState.SUCCESSFUL, RunState.WARNINGS), log_of(run)
    names = members_of(run.files.get().path)
    config = [index for index, name in enumerate(names) if name.startswith("node1/data/confignode/")]
    data = [index for index, name in enumerate(names) if name.startswith("a-far/data/datanode/")]
    assert config and data and max(config) < min(data)
    assert PASSWORD not in str(vars(run)) + log_of(run)


def test_a_run_ends_with_the_node_and_the_reason_when_the_host_key_changed(
    both: BackupTask, far_node: Node, storage_path: Path
) -> None:
    Node.objects.filter(pk=far_node.pk).update(host_key=f"ssh-ed25519 SHA256:{'A' * 43}")
    run = run_now(both)
    assert run.state == RunState.FAILED
    assert "Node a-far: The host key of 127.0.0.1" in log_of(run)
    assert "Nothing was sent to it." in log_of(run)
    assert files_below(storage_path) == []


def test_a_run_ends_when_the_machine_of_a_node_freezes(
    both: BackupTask,
    storage_path: Path,
    frozen: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Link, "SILENCE", 1.5)
    monkeypatch.setattr(Link, "CONNECT", 1.5)
    frozen()
    begun = Stopwatch()
    run = run_now(both)
    assert run.state == RunState.FAILED
    assert "Node a-far: 127.0.0.1 port" in log_of(run)
    assert begun.seconds < 20
    assert files_below(storage_path) == []
