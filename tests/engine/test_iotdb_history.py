"""What the pages say of sets that the pipeline made of a real IoTDB: the differences of two runs, and Salvage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import services
from tasks.audit import CONSOLE
from tasks.differences import of_run
from tasks.entries import Entry
from tasks.history import runs_of
from tasks.models import BackupTask, Node, Service
from tasks.states import RunState
from tests.engine.kit import log_of, run_now
from tests.servers.iotdb import ROOT_PASSWORD, IoTDB, require
from tests.servers.iotdb_metadata import create_metadata

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.server]


@pytest.fixture(scope="module", name="server")
def server_of_this_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IoTDB]:
    """A server with metadata of every kind."""
    require()
    server = IoTDB.start(tmp_path_factory.mktemp("history-home"))
    create_metadata(server)
    yield server
    server.stop(kill=True)


def test_two_runs_of_a_live_service_are_compared_and_salvaged(
    server: IoTDB, task: BackupTask, service: Service, storage_path: Path
) -> None:
    Node.objects.create(service=service, name="node1", home=str(server.home), rpc_port=server.rpc_port)
    service.session_user = "root"
    service.set_secrets({"password": ROOT_PASSWORD})
    service.save()
    first = run_now(task)
    server.execute("CREATE DATABASE root.added")
    server.execute("CREATE TIMESERIES root.added.d1.s1 WITH datatype=FLOAT")
    second = run_now(task)
    for run in (first, second):
        assert run.state in (RunState.SUCCESSFUL, RunState.WARNINGS), log_of(run)

    newest, oldest = (Entry(run) for run in runs_of(task))
    assert (newest.change, oldest.change) == ("+1 database, +1 series, +1 device", "First counts")
    shown = of_run(second)
    assert shown["before"] == first
    [iotdb] = shown["differences"]
    assert [(name.name, name.css) for group in iotdb.names for name in group.names] == [("root.added", "added")]
    assert [(line.label, line.change) for line in iotdb.series] == [("root.added", "+1")]

    text = "".join(services.salvage_set(CONSOLE, second, "IoTDB"))
    assert f"run {second.pk} of {task.name}" in text and "CREATE DATABASE root.added" in text
    assert "nothing vouches" not in text and "BROKEN OFF" not in text
    users = [line for line in text.splitlines() if "CREATE USER" in line]
    assert users and all(line.startswith("-- CREATE USER ") and line.endswith(" '?';") for line in users)
