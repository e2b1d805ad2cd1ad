"""A backup asks the real IoTDB that it copies: health, inventory, and what became of it since the run before."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasks import services
from tasks.audit import CONSOLE
from tasks.iotdb.document import read
from tasks.models import BackupTask, Node, Run, Service
from tasks.sources.iotdb_metadata import IoTDBMetadata
from tasks.states import RunState
from tests.engine.kit import files_below, log_of, members_of, run_now
from tests.patience import Stopwatch
from tests.servers.iotdb import ROOT_PASSWORD, IoTDB, require
from tests.servers.iotdb_metadata import counts, create_metadata, inventory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.server]


@pytest.fixture(scope="module", name="server")
def server_of_this_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IoTDB]:
    """A server with metadata of every kind; the last tests of this file damage and end it."""
    require()
    server = IoTDB.start(tmp_path_factory.mktemp("asked-home"))
    create_metadata(server)
    yield server
    server.stop(kill=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, service: Service, server: IoTDB) -> None:
    """Every test has a place for archives, and one node with the home of the server."""
    Node.objects.create(service=service, name="node1", home=str(server.home), rpc_port=server.rpc_port)


def give_account(service: Service, user: str = "root", password: str = ROOT_PASSWORD) -> None:
    service.session_user = user
    service.set_secrets({"password": password})
    service.save()


def facts_of(run: Run) -> dict[str, Any]:
    manifest = json.loads(Path(run.files.get().path + ".manifest.json").read_text())
    facts: dict[str, Any] = manifest["facts"]
    return facts


def test_without_an_account_the_backup_works_and_says_that_counts_are_unknown(task: BackupTask) -> None:
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert "INFO Counts are unknown: no IoTDB account is given for IoTDB." in log_of(run)
    assert (run.healthy, run.inventory, run.changes) == (None, {}, {})
    assert "inventory.json" not in members_of(run.files.get().path)
    assert not {"inventory", "health"} & facts_of(run).keys()


def test_with_an_account_the_inventory_lies_in_the_archive_and_with_the_run(
    task: BackupTask, service: Service, server: IoTDB, tmp_path: Path
) -> None:
    give_account(service)
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    file = run.files.get()
    assert members_of(file.path)[0] == "inventory.json"
    with tarfile.open(file.path) as tar:
        member = tar.extractfile("inventory.json")
        assert member is not None
        data = member.read()
    head, objects = read(data.splitlines())
    shown = counts(inventory(server, data=False))
    assert sum(one["type"] == "series" for one in objects) == shown["series"]
    assert (head.facts["cluster"], head.facts["service"], head.facts["run"]) == ("plant", "IoTDB", run.pk)
    (listed,) = [
        one
        for one in json.loads(Path(file.path + ".manifest.json").read_text())["members"]
        if one["name"] == "inventory.json"
    ]
    assert listed["sha256"] == hashlib.sha256(data).hexdigest()

    assert run.healthy is True
    assert run.inventory["IoTDB"]["counts"]["series"] == shown["series"]
    assert run.inventory["IoTDB"]["unsteady"] == {}
    assert run.changes == {}  # nothing to compare with
    facts = facts_of(run)
    assert facts["inventory"] == run.inventory["IoTDB"]
    assert (facts["health"]["before"]["well"], facts["health"]["after"]["well"]) == (True, True)
    assert "INFO plant IoTDB 2.0.1-beta: 2 of 2 nodes Running; COUNT TIMESERIES root.** answered in " in log_of(run)


def test_nothing_of_the_asking_stays_in_the_spool(task: BackupTask, service: Service, settings: Any) -> None:
    give_account(service)
    run = run_now(task)
    assert [name for name in files_below(settings.DATA_DIR / "spool") if name.startswith(f"run-{run.pk}-")] == []


def test_what_changed_since_the_run_before_is_told_and_a_loss_is_warned_of(
    task: BackupTask, service: Service, server: IoTDB
) -> None:
    give_account(service)
    first = run_now(task)
    server.execute("CREATE DATABASE root.fresh", "CREATE TIMESERIES root.fresh.d.s WITH datatype=INT32")
    second = run_now(task)
    assert second.state == RunState.SUCCESSFUL, log_of(second)
    series = first.inventory["IoTDB"]["counts"]["series"]
    databases = first.inventory["IoTDB"]["counts"]["databases"]
    assert second.changes["IoTDB"]["counts"]["series"] == [series, series + 1]
    assert second.changes["IoTDB"]["added"] == {"databases": ["root.fresh"]}
    assert f"INFO IoTDB since run {first.pk}: +1 database, +1 series, +1 device." in log_of(second)

    server.execute("DELETE DATABASE root.fresh")
    third = run_now(task)
    assert third.state == RunState.WARNINGS
    assert third.changes["IoTDB"]["counts"]["databases"] == [databases + 1, databases]
    warning = f"IoTDB since run {second.pk}: The database root.fresh is gone; it held 1 series."
    assert f"WARN {warning}" in log_of(third)
    assert warning in third.reason
    assert third.healthy is True

    fourth = run_now(task)
    assert fourth.changes == {"IoTDB": {}}
    assert f"INFO IoTDB since run {third.pk}: No change." in log_of(fourth)


def test_what_changes_while_the_copy_is_made_is_unsteady(
    task: BackupTask, service: Service, server: IoTDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_account(service)
    real = IoTDBMetadata.copy

    def copy(self: IoTDBMetadata, *words: Any) -> dict[str, Any]:
        server.execute("CREATE TIMESERIES root.plant1.later.s WITH datatype=INT32")
        return real(self, *words)

    monkeypatch.setattr(IoTDBMetadata, "copy", copy)
    summary = run_now(task).inventory["IoTDB"]
    series = summary["counts"]["series"]
    of_plant = summary["series_of"]["root.plant1"]
    assert summary["unsteady"]["series"] == series + 1
    assert summary["unsteady"]["series of root.plant1"] == of_plant + 1
    assert "users" not in summary["unsteady"]


def test_a_wrong_password_is_a_warning_and_the_files_are_saved(task: BackupTask, service: Service) -> None:
    give_account(service, password="Wrong-4711")
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert run.files.exists()
    assert run.healthy is False
    assert run.inventory == {}
    assert "refuses the user root or the password" in run.reason
    assert "4711" not in log_of(run) + run.reason + json.dumps([facts_of(run), run.parameters])


def test_a_password_whose_key_is_lost_is_a_warning_and_the_files_are_saved(task: BackupTask, service: Service) -> None:
    give_account(service)
    Service.objects.filter(pk=service.pk).update(sealed_secrets="v1.00000000.AAAA")
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert run.files.exists()
    assert "IoTDB cannot be asked: The stored password cannot be decrypted" in run.reason
    assert run.healthy is None


def test_a_stop_while_iotdb_is_asked_ends_the_run_at_once(
    task: BackupTask, service: Service, storage_path: Path
) -> None:
    """A listener that never answers stands for a server that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        Node.objects.update(rpc_port=silent.getsockname()[1])
        give_account(service)
        began = Stopwatch()
        run = _stopped_while_running(task)
    assert run.state == RunState.STOPPED
    assert began.seconds < 30
    assert files_below(storage_path) == []


def _stopped_while_running(task: BackupTask) -> Run:
    from threading import Timer

    from django.db import connection

    from tasks.engine import kinds
    from tests.engine.kit import begin

    lease = begin(task)

    def stop() -> None:
        from django.utils import timezone

        Run.objects.filter(pk=lease.run_id).update(stop_requested_at=timezone.now(), stop_requested_by="anna")
        connection.close()

    timer = Timer(2, stop)
    timer.start()
    kinds.execute(lease)
    timer.join()
    return Run.objects.get(pk=lease.run_id)


def test_check_of_a_service_says_health_and_counts(service: Service, server: IoTDB) -> None:
    give_account(service)
    health, counted = services.check_service(CONSOLE, service)
    assert (health.level, health.what) == ("ok", "Health")
    assert health.detail.startswith("IoTDB 2.0.1-beta: 2 of 2 nodes Running; ")
    series = counts(inventory(server, data=False))["series"]
    assert f", {series:,} series, " in counted.detail


# --- From here on the server is ended and damaged -------------------------------------------------------------------
def test_a_server_whose_data_node_is_dead_is_backed_up_with_a_warning(
    task: BackupTask, service: Service, server: IoTDB
) -> None:
    give_account(service)
    _forget_the_most(server)
    server.kill("datanode")
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert run.files.exists()
    assert run.healthy is False
    assert f"127.0.0.1:{server.rpc_port} cannot be reached" in run.reason


def test_a_server_that_is_stopped_is_copied_cold_without_a_warning(
    task: BackupTask, service: Service, server: IoTDB
) -> None:
    give_account(service)
    server.stop(kill=True)
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert "INFO IoTDB of IoTDB is stopped: a cold copy. Counts are unknown." in log_of(run)
    assert (run.healthy, run.inventory) == (None, {})
    assert facts_of(run)["version"] == "2.0.1-beta"


def test_a_server_that_says_running_and_lost_its_schema_is_found_out(
    task: BackupTask, service: Service, server: IoTDB
) -> None:
    """SHOW CLUSTER says Running with every schema region missing; only the count of series tells."""
    give_account(service)
    shutil.rmtree(server.home / "data/datanode/consensus/schema_region")
    server.launch()
    server.wait(240, counts=False)
    run = run_now(task)
    assert run.state == RunState.WARNINGS, log_of(run)
    assert run.files.exists()
    assert run.healthy is False
    assert "2 of 2 nodes Running" in run.reason
    assert "COUNT TIMESERIES root.** was not answered" in run.reason
    assert "series" not in run.inventory["IoTDB"]["counts"]
    assert run.inventory["IoTDB"]["counts"]["users"] == 3


def _forget_the_most(server: IoTDB) -> None:
    """What is asked of a region that is lost takes the server six seconds a statement: leave little to ask for."""
    server.execute("DELETE DATABASE root.windfarm")
    with closing(server.table_session()) as session:
        session.execute_non_query_statement("DROP DATABASE metering")
