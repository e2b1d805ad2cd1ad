"""What a run finds out besides: a host key that changed, a clock that differs. A destination of the test's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage import registry
from storage.base import Entry
from storage.errors import HostKeyChanged, StoreFault
from tasks import alarms, services
from tasks.audit import CONSOLE
from tasks.engine import spool
from tasks.engine.watches import clocks
from tasks.models import Alarm, BackupTask, Node, Run
from tasks.services.tasks import TaskDraft
from tasks.sources.base import Survey
from tasks.sources.iotdb_metadata import IoTDBMetadata
from tasks.states import Mode, Reach, RunState, Severity
from tests.engine.kit import check_now, log_of, run_now
from tests.engine.remote import FaultyRemote, FaultyStore

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
OLD, NEW = "ssh-ed25519 SHA256:old", "ssh-ed25519 SHA256:new"
SERVER = {"server_ip": "192.0.2.7", "port": 22, "host_key": OLD}


@pytest.fixture
def remote(tmp_path: Path, storage_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> FaultyRemote:
    """A destination on another host, with nothing planned to go wrong."""
    path_type = FaultyRemote(tmp_path / "far-away")
    registry.all_path_types()
    monkeypatch.setitem(registry._TYPES, path_type.name, path_type)
    monkeypatch.setattr(spool, "PAUSES", (0.0, 0.0))
    return path_type


@pytest.fixture
def far(make_task: Any, remote: FaultyRemote) -> BackupTask:
    """A task that stores there."""
    task: BackupTask = make_task("far", path_type="Faulty", destination=dict(SERVER))
    return task


def changed(host: str = "192.0.2.7", port: int = 22) -> HostKeyChanged:
    return HostKeyChanged("The host key has changed.", cure="Find out why.", host_key=NEW, host=host, port=port)


def raised(code: str = "host-key-changed") -> list[str]:
    return list(alarms.uncleared().filter(code=code).values_list("subject", flat=True))


# --- Host keys -------------------------------------------------------------------------------------------------------
def test_a_changed_key_fails_the_run_and_raises_the_alarm_until_a_good_run(
    far: BackupTask, remote: FaultyRemote
) -> None:
    remote.faults["connect"] = [changed()]
    run = run_now(far)
    assert (run.state, run.error_code) == (RunState.FAILED, "host-key-changed"), log_of(run)
    alarm = alarms.uncleared().get()
    assert (alarm.code, alarm.subject, alarm.severity) == ("host-key-changed", f"task {far.pk}", Severity.MAJOR)
    assert (alarm.cause, alarm.cure, alarm.place) == ("The host key has changed.", "Find out why.", "far")
    assert (alarm.cluster, alarm.link) == (far.cluster, f"/backups/{far.pk}/history/")
    assert run_now(far).state == RunState.SUCCESSFUL
    assert raised() == []


def test_other_faults_say_nothing_of_the_key(far: BackupTask, remote: FaultyRemote) -> None:
    remote.faults["connect"] = [StoreFault("No.")]
    assert run_now(far).state == RunState.FAILED
    remote.faults["connect"] = [changed("192.0.2.99")]
    assert run_now(far).state == RunState.FAILED
    assert raised() == [], "nothing of the run pins a key of that server"


def test_a_check_of_a_set_finds_it_as_well(far: BackupTask, remote: FaultyRemote) -> None:
    run = run_now(far)
    remote.faults["connect"] = [changed()]
    assert check_now(run).state == RunState.FAILED
    assert raised() == [f"task {far.pk}"]
    assert check_now(run).state == RunState.SUCCESSFUL
    assert raised() == []


def test_every_node_that_pins_the_key_is_told_of(far: BackupTask, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = {"reach": Reach.SSH, "ssh_address": "192.0.2.8", "ssh_port": 2222, "host_key": OLD, "home": "/opt/iotdb"}
    other = Node.objects.create(service=node.service, name="n2", **ssh)
    Node.objects.create(service=node.service, name="n3", **ssh | {"host_key": NEW})

    def refuse(*args: Any) -> None:
        raise changed("192.0.2.8", 2222)

    with monkeypatch.context() as patched:
        patched.setattr(IoTDBMetadata, "survey", refuse)
        assert run_now(far).state == RunState.FAILED
    assert raised() == [f"node {other.pk}"]
    alarm = alarms.uncleared().get()
    assert (alarm.place, alarm.link) == ("n2", f"/clusters/{far.cluster_id}/")
    # Whoever confirms the new key is believed at once; whoever deletes the node as well.
    other.host_key = NEW
    services.save_node(CONSOLE, other, {"password": "x"})
    assert raised() == []
    alarms.raise_alarm("host-key-changed", f"node {other.pk}", cause="x")
    services.delete_node(CONSOLE, other)
    assert raised() == []


def test_a_node_that_a_good_run_has_reached_is_in_order(far: BackupTask, node: Node) -> None:
    ssh = {"reach": Reach.SSH, "ssh_address": "192.0.2.8", "home": "/opt/iotdb"}
    elsewhere = Node.objects.create(service=node.service.cluster.services.create(name="IoTDB-1"), name="n2", **ssh)
    BackupTask.objects.filter(pk=far.pk).update(all_services=False)
    far.services.set([node.service])
    alarms.raise_alarm("host-key-changed", f"node {elsewhere.pk}", cause="x")
    assert run_now(far).state == RunState.SUCCESSFUL
    assert raised() == [f"node {elsewhere.pk}"], "the run has nothing to do with that service"


def test_who_confirms_the_new_key_on_the_task_is_believed(far: BackupTask, remote: FaultyRemote) -> None:
    run = run_now(far)
    alarms.raise_alarm("host-key-changed", f"task {far.pk}", cause="x")
    far.refresh_from_db()
    same = TaskDraft("far", far.cluster, Mode.MANUAL, "Faulty", 9, destination=dict(SERVER))
    far = services.configure_task(CONSOLE, far, far.version, same, NOW)
    assert raised() == [f"task {far.pk}"], "more copies say nothing of the key"
    confirmed = TaskDraft("far", far.cluster, Mode.MANUAL, "Faulty", 9, destination=SERVER | {"host_key": NEW})
    services.configure_task(CONSOLE, far, far.version, confirmed, NOW)
    assert raised() == []
    assert run.parameters["destination"]["host_key"] == OLD


# --- Clocks ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How far the clock of the destination is ahead, to be changed by the test."""
    by = [timedelta(0)]
    real = FaultyStore.stat

    def stat(self: FaultyStore, directory: str, name: str) -> Entry:
        found = real(self, directory, name)
        return Entry(found.name, found.size, found.modified + by[0], found.is_directory)

    monkeypatch.setattr(FaultyStore, "stat", stat)
    return by


def test_the_clock_of_a_destination_is_told_by_the_file_just_written(
    far: BackupTask, ahead: list[timedelta], settings: Any
) -> None:
    settings.HOST_NAME = "mgmt-1"
    assert run_now(far).state == RunState.SUCCESSFUL
    assert raised("clock-drift") == []
    for seconds, side in ((-3600, "behind"), (120, "ahead of")):
        ahead[0] = timedelta(seconds=seconds)
        run = run_now(far)
        assert run.state == RunState.SUCCESSFUL, log_of(run)
        alarm = alarms.uncleared().get()
        assert (alarm.code, alarm.subject, alarm.severity) == ("clock-drift", f"task {far.pk}", Severity.MINOR)
        assert alarm.cause.startswith("The clock of 192.0.2.7 is ")
        assert alarm.cause.endswith(f"{side} that of mgmt-1 (limit 30 s).")
        assert alarm.link == f"/backups/{far.pk}/verify/"
    ahead[0] = timedelta(seconds=20)
    run_now(far)
    assert raised("clock-drift") == []


def test_a_destination_that_does_not_tell_says_nothing(far: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Entry:
        raise StoreFault("No.")

    alarms.raise_alarm("clock-drift", f"task {far.pk}", cause="x")
    monkeypatch.setattr(FaultyStore, "stat", refuse)
    assert run_now(far).state == RunState.SUCCESSFUL
    assert raised("clock-drift") == [f"task {far.pk}"]


def test_the_limit_is_a_setting(far: BackupTask, ahead: list[timedelta], settings: Any) -> None:
    settings.CLOCK_DRIFT = timedelta(hours=1)
    ahead[0] = timedelta(minutes=50)
    run_now(far)
    assert raised("clock-drift") == []


def test_the_clock_of_a_node_is_told_by_its_survey(
    far: BackupTask, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"node1": 47.2}
    real = IoTDBMetadata.survey
    Node.objects.filter(pk=node.pk).update(ssh_address="192.0.2.8")

    def survey(self: IoTDBMetadata, *args: Any) -> Survey:
        return replace(real(self, *args), clocks=dict(clock))

    monkeypatch.setattr(IoTDBMetadata, "survey", survey)
    run_now(far)
    alarm = alarms.uncleared().get()
    assert (alarm.subject, alarm.place, alarm.link) == (f"node {node.pk}", "node1", f"/clusters/{far.cluster_id}/")
    assert "The clock of node node1 (192.0.2.8) is 47 s ahead of that of" in alarm.cause
    clock["node1"] = -29.0
    run_now(far)
    assert raised("clock-drift") == []


def test_a_node_that_is_unknown_meanwhile_is_passed_over(far: BackupTask) -> None:
    clocks.of_nodes(far.cluster_id, "IoTDB", {"gone": 900.0}, NOW)
    assert not Alarm.objects.exists()
    assert not Run.objects.exists()
