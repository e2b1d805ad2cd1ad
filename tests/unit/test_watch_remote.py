"""ALM-12057: what counts as a task that sends metadata to another host, when it is looked for, and when it clears."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from storage.addresses import is_own
from tasks import alarms, services
from tasks.audit import CONSOLE
from tasks.engine import dispatch
from tasks.engine.watches import remote
from tasks.models import Alarm, BackupTask, Cluster, Node, Pulse, Service
from tasks.states import Mode, Severity
from tests.conftest import MakeTask

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Addresses for documentation (RFC 5737, RFC 3849): no machine has them.
FAR = {"server_ip": "192.0.2.7", "port": 22}


@pytest.fixture
def plant(cluster: Cluster, service: Service) -> Cluster:
    """A cluster that has been registered for a day, with its service IoTDB."""
    Cluster.objects.filter(pk=cluster.pk).update(created_at=NOW - DAY)
    cluster.refresh_from_db()
    return cluster


@pytest.fixture
def periodic(make_task: MakeTask) -> MakeTask:
    """Return a function that makes a periodic task that sends to another host."""

    def make(name: str = "", **fields: Any) -> BackupTask:
        values = {"mode": Mode.PERIODIC, "path_type": "SFTP", "destination": FAR, "started": NOW + DAY}
        return make_task(name, **(values | {"next_run_at": NOW + DAY, "expected_at": NOW + DAY} | fields))

    return make


def lacking(now: datetime = NOW) -> list[Alarm]:
    """Look anew, and return the alarms."""
    Pulse.objects.filter(name=remote._PULSE).delete()
    remote.watch(now)
    return list(alarms.uncleared().filter(code="no-remote-task").select_related("cluster"))


def test_a_cluster_without_any_task_is_named_with_the_service_that_lacks_one(plant: Cluster) -> None:
    [alarm] = lacking()
    assert (alarm.severity, alarm.subject, alarm.place) == (Severity.MAJOR, f"cluster {plant.pk}", "plant")
    assert alarm.cluster == plant
    assert alarm.cause == "No periodic task sends the IoTDB metadata of the service IoTDB to another host."
    assert alarm.cure == "Create a periodic task of plant with path type NFS, RemoteHDFS, CIFS or SFTP."
    assert alarm.link == f"/backups/?cluster={plant.pk}"
    assert alarms.ALARMS[alarm.code].number == "12057"


@pytest.mark.parametrize(
    ("path_type", "destination"),
    [
        ("SFTP", FAR),
        ("CIFS", {"server_ip": "2001:db8::7", "port": 445}),
        ("NFS", {"server_ip": "192.0.2.7", "shared_path": "/export"}),
        ("RemoteHDFS", {"active_ip": "127.0.0.1", "standby_ip": "192.0.2.8", "rpc_port": 8020}),
    ],
)
def test_every_path_type_to_another_host_counts(
    plant: Cluster, periodic: MakeTask, path_type: str, destination: dict[str, Any]
) -> None:
    periodic(path_type=path_type, destination=destination)
    assert lacking() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"path_type": "LocalDir", "destination": {}}, ""),
        ({"mode": Mode.MANUAL}, ""),
        ({"destination": {"server_ip": "127.0.0.1", "port": 22}}, "off sends to 127.0.0.1, which is this machine."),
        ({"destination": {"server_ip": "192.0.2.9"}}, "off sends to 192.0.2.9, which is a host of the cluster itself."),
        ({"suspended": True, "next_run_at": None, "expected_at": None}, "off is suspended."),
        ({"expected_at": NOW - DAY}, "off has never succeeded."),
        ({"path_type": "Floppy"}, ""),
        ({"deleted_at": NOW}, ""),
    ],
)
def test_what_does_not_count_is_named(
    plant: Cluster, service: Service, periodic: MakeTask, fields: dict[str, Any], words: str
) -> None:
    node = {"reach": "ssh", "ssh_address": "192.0.2.9", "ssh_user": "iotdb", "home": "/opt/iotdb"}
    Node.objects.create(service=service, name="n1", **node)
    periodic("off", **fields)
    [alarm] = lacking()
    assert (
        alarm.cause
        == f"No periodic task sends the IoTDB metadata of the service IoTDB to another host. {words}".strip()
    )
    assert ("put right what is said" in alarm.cure) == bool(words)


def test_one_that_succeeded_once_counts_also_while_it_is_overdue(plant: Cluster, periodic: MakeTask) -> None:
    periodic(expected_at=NOW - DAY, last_success_at=NOW - 2 * DAY)
    assert lacking() == []


def test_each_service_needs_one(plant: Cluster, service: Service, periodic: MakeTask) -> None:
    other, third = (Service.objects.create(cluster=plant, name=name) for name in ("IoTDB-1", "IoTDB-2"))
    periodic("one", all_services=False).services.set([service, third])
    [alarm] = lacking()
    assert "of the service IoTDB-1 to another host" in alarm.cause
    periodic("two", all_services=False).services.set([other])
    assert lacking() == []
    BackupTask.objects.filter(name="one").update(suspended=True)
    [alarm] = lacking()
    assert "of the services IoTDB, IoTDB-2 to another host. one is suspended." in alarm.cause
    for number in range(5):
        periodic(f"more-{number}", suspended=True)
    [renewed] = lacking(NOW + HOUR)
    assert renewed.cause.endswith("more-1 is suspended. 3 more tasks do not count either.")
    assert (renewed.pk, renewed.renewed_at) != (alarm.pk, alarm.renewed_at)


# --- When ------------------------------------------------------------------------------------------------------------
def raised() -> list[str]:
    return list(alarms.uncleared().filter(code="no-remote-task").values_list("subject", flat=True))


def test_it_is_looked_for_once_an_hour_and_cleared_by_the_next_tick(plant: Cluster, periodic: MakeTask) -> None:
    task = periodic()
    dispatch.tick(NOW)
    services.delete_task(CONSOLE, task, NOW + MINUTE)
    dispatch.tick(NOW + 59 * MINUTE)
    assert raised() == []
    dispatch.tick(NOW + HOUR)
    assert raised() == [f"cluster {plant.pk}"]
    periodic("again")
    dispatch.tick(NOW + HOUR + MINUTE)
    assert raised() == []


def test_a_cluster_that_was_just_registered_is_left_in_peace_for_an_hour(plant: Cluster) -> None:
    Cluster.objects.filter(pk=plant.pk).update(created_at=NOW - 59 * MINUTE)
    assert lacking() == []
    assert len(lacking(NOW + MINUTE)) == 1


def test_a_clock_that_was_set_back_does_not_keep_it_from_being_looked_for(plant: Cluster) -> None:
    Pulse.beat(remote._PULSE, NOW + 365 * DAY)
    remote.watch(NOW)
    assert raised() == [f"cluster {plant.pk}"]


def test_a_cluster_that_is_deleted_takes_its_alarm_along(plant: Cluster) -> None:
    lacking()
    services.delete_cluster(CONSOLE, plant)
    assert not Alarm.objects.exists()


def test_hundreds_of_clusters_are_told_of_tick_by_tick(plant: Cluster) -> None:
    clusters = Cluster.objects.bulk_create(Cluster(name=f"c{number}") for number in range(130))
    Cluster.objects.update(created_at=NOW - DAY)
    Service.objects.bulk_create(Service(cluster=one, name="IoTDB") for one in clusters)
    remote.watch(NOW)
    assert len(raised()) == 100
    remote.watch(NOW + MINUTE)
    assert len(raised()) == 131
    with CaptureQueriesContext(connection) as captured:
        remote.watch(NOW + 2 * MINUTE)
    assert len(captured) <= 9, [query["sql"][:150] for query in captured]


# --- Addresses -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "0.0.0.0", "::ffff:127.0.0.1", "LOCALHOST"]
)
def test_own_addresses(address: str) -> None:
    assert is_own(address)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "backup.example.org", ""])
def test_addresses_of_others(address: str) -> None:
    assert not is_own(address)
