"""A real IoTDB restored through the verbs and the real worker code, started and stopped by scripts in its ``sbin``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine.restore import undo, wellness
from tasks.models import Alarm, BackupTask, Node, Restoration, Run, Service
from tasks.states import Control, RunState
from tests.engine.iotdb_source_kit import settled
from tests.engine.kit import log_of, run_now
from tests.engine.restore_kit import SCHEMA, no_way_back, restore, roll_back, steps_of
from tests.servers.iotdb import ROOT_PASSWORD, require
from tests.servers.iotdb_metadata import PASSWORDS, differences, inventory
from tests.servers.iotdb_scripts import ScriptedIoTDB

pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedIoTDB]:
    """A healthy server with metadata of every kind."""
    require()
    home = tmp_path / "iotdb"
    home.mkdir()
    with ScriptedIoTDB.prepare(home).serving() as server:
        yield server


@pytest.fixture
def node(service: Service, server: ScriptedIoTDB) -> Node:
    """Its node, with an account that may be asked."""
    service.session_user = "root"
    service.set_secrets({"password": ROOT_PASSWORD})
    service.save()
    return Node.objects.create(
        service=service,
        name="node1",
        home=str(server.home),
        rpc_host="127.0.0.1",
        rpc_port=server.rpc_port,
        control=Control.SCRIPTS,
    )


@pytest.fixture
def set_run(task: BackupTask, node: Node, storage_path: Path) -> Run:
    """A set of the running server."""
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    return run


def of(run: Run) -> Restoration:
    return services.restore_from_run(CONSOLE, run, timezone.now())


def back_as(server: ScriptedIoTDB, before: dict[str, list[str]]) -> list[str]:
    """Return what differs from before, pipes and triggers given a moment to come up."""
    return differences(before, settled(server, lambda found: not differences(before, found)))


def test_newer_metadata_is_said_to_be_lost_and_its_data_is_listed(server: ScriptedIoTDB, set_run: Run) -> None:
    before = inventory(server)
    server.execute(
        "CREATE DATABASE root.newer",
        "CREATE TIMESERIES root.newer.d.s WITH datatype=INT32",
        "INSERT INTO root.newer.d(time, s) VALUES(1, 1)",
        "CREATE USER charles 'Throwaway_3'",
        "FLUSH",
    )
    said: list[dict[str, Any]] = []
    run = restore(of(set_run), before=lambda: said.append(Run.objects.latest("pk").parameters["loss"]))
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert (said[0]["known"], said[0]["databases"]) == (True, ["root.newer"])
    assert said[0]["counts"]["users"] == ["Users", 4, 3]
    assert "The database that the set does not hold: root.newer." in " ".join(said[0]["sentences"])
    assert "counts equal" in run.reason
    assert any("root.newer" in line for line in run.parameters["orphans"])
    assert [line for line in run.parameters["orphans"] if "root.newer" not in line] == []
    assert back_as(server, before) == []
    for user, password in PASSWORDS.items():
        server.session(user, password).close()
    assert set(steps_of(run).values()) == {"done"}


def test_a_server_that_lost_its_schema_has_it_back(server: ScriptedIoTDB, set_run: Run) -> None:
    before = inventory(server)
    server.end()
    shutil.rmtree(server.home / SCHEMA)
    run = restore(of(set_run))
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert "What else is lost is not known" in " ".join(run.parameters["loss"]["sentences"])
    assert back_as(server, before) == []
    server.execute("CREATE DATABASE root.after", "CREATE TIMESERIES root.after.d.s WITH datatype=INT32")


def test_a_set_that_does_not_start_is_taken_back_and_the_server_serves(
    server: ScriptedIoTDB, set_run: Run, task: BackupTask, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inventory(server)
    server.end()
    schema, aside = server.home / "data/datanode/system/schema", server.home / "schema-aside"
    schema.rename(aside)
    bad = run_now(task)
    assert bad.good, log_of(bad)
    aside.rename(schema)
    server.begin()
    monkeypatch.setattr(wellness, "GONE_SECONDS", 10.0)
    _wait_longer_on_the_way_back(settings, monkeypatch)
    run = restore(of(bad))
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert back_as(server, before) == []
    assert not Alarm.objects.filter(code="restoration-unknown").exists()
    _unknown_until_rolled_back(server, of(bad), before)


def _wait_longer_on_the_way_back(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes up is not waited for as long as what does."""
    settings.RESTORE_START_SECONDS = 20
    real = undo.Undo.go

    def go(self: undo.Undo) -> str:
        settings.RESTORE_START_SECONDS = 240
        try:
            return real(self)
        finally:
            settings.RESTORE_START_SECONDS = 20

    monkeypatch.setattr(undo.Undo, "go", go)


def _unknown_until_rolled_back(server: ScriptedIoTDB, restoration: Restoration, before: dict[str, list[str]]) -> None:
    """The way back fails too; then its cause is put right, and somebody rolls back."""
    with no_way_back():
        run = restore(restoration)
    assert run.state == RunState.UNKNOWN, log_of(run)
    raised = Alarm.objects.get(code="restoration-unknown", cleared_at__isnull=True)
    assert raised.severity == "critical"
    back = roll_back(restoration)
    assert back.state == RunState.ROLLED_BACK, log_of(back)
    assert back_as(server, before) == []
    raised.refresh_from_db()
    assert raised.cleared_at is not None
