"""The parts of the form that follow what is chosen, zones, copies, and the way without script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from storage.registry import all_path_types, get_path_type
from tasks.forms.task import CreateForm
from tasks.models import BackupTask, Cluster, Node, Service
from tests.conftest import Login, MakeTask
from tests.web.taskform_kit import NEW, NOW, SFTP, refused, text_of, values


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """The clock stands still."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def client(login: Login, cluster: Cluster, service: Service) -> Client:
    """A Backup Administrator on a console with one cluster."""
    Node.objects.create(service=service, name="node1", home="/opt/iotdb")
    return login("Backup Administrator")


@pytest.fixture
def all_on_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer all five path types, as with a store for each."""
    for path_type in all_path_types():
        monkeypatch.setattr(type(path_type), "available", True)


# --- Without script -------------------------------------------------------------------------------------------------
def test_show_fields_changes_the_fields_and_judges_nothing(
    client: Client, cluster: Cluster, all_on_offer: None
) -> None:
    response = client.post(NEW, values(cluster, name="", path_type="CIFS", copies=12, show_fields="1"))
    page = response.content.decode()
    assert "<title>Create" in page and "is-invalid" not in page
    assert 'name="username"' in page and 'value="445"' in page
    assert 'value="12"' in page
    assert not BackupTask.objects.exists()


def test_ok_with_fields_of_another_path_type_asks_for_the_right_ones(
    client: Client, cluster: Cluster, all_on_offer: None
) -> None:
    page = refused(client, values(cluster, path_type="NFS"))
    assert "Fill in the fields of NFS below." in page
    assert 'name="shared_path"' in page
    assert "The task was not saved: 1 field needs a change" in page


# --- Parts that follow what is chosen ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["LocalDir", "NFS", "RemoteHDFS", "CIFS", "SFTP"])
def test_the_fields_of_a_path_type(client: Client, cluster: Cluster, all_on_offer: None, name: str) -> None:
    query: dict[str, Any] = {
        "path_type": name,
        "cluster": cluster.pk,
        "copies": 9,
        "password": "s3cret",
        "server_ip": "10.1.1.1",
    }
    page = client.get("/backups/new/destination/", query).content.decode()
    own = get_path_type(name).form_class.base_fields
    assert set(re.findall(r'<(?:input|select|textarea)[^>]*name="(\w+)"', page)) == {*own, "shown_type"}
    assert 'value="9"' in page
    assert "10.1.1.1" not in page and "s3cret" not in page


def test_ip_mode_follows_the_network_of_the_cluster(client: Client, all_on_offer: None) -> None:
    six = Cluster.objects.create(name="six", ip_mode="ipv6")
    query: dict[str, Any] = {"path_type": "NFS", "cluster": six.pk}
    page = client.get("/backups/new/destination/", query).content.decode()
    assert '<option value="ipv6" selected>' in page
    assert "Set from the network of six." in page
    page = client.get("/backups/new/services/", query).content.decode()
    assert '<option value="ipv6" selected>' in page and "hx-swap-oob" in page


def test_the_services_follow_the_cluster(client: Client) -> None:
    other = Cluster.objects.create(name="other")
    for name in ("IoTDB", "IoTDB-1"):
        Service.objects.create(cluster=other, name=name)
    query: dict[str, Any] = {"cluster": other.pk, "path_type": "LocalDir"}
    page = client.get("/backups/new/services/", query).content.decode()
    assert "All 2 services: IoTDB, IoTDB-1" in page
    assert "0 nodes. Add a node to IoTDB, IoTDB-1 under Clusters" in page
    assert "id_ip_mode" not in page


def next_runs(client: Client, **query: Any) -> str:
    """Return the text of the next runs for what stands in the form."""
    base = {
        "mode": "periodic",
        "zone": "Europe/Berlin",
        "started": "2026-11-24T02:00",
        "period": 8,
        "period_unit": "hours",
    }
    response = client.get("/backups/new/next-runs/", {**base, **query})
    assert response.status_code == 200
    return text_of(response)


def test_the_next_three_runs_of_an_edited_schedule(client: Client) -> None:
    page = next_runs(client)
    assert page.split("Europe/Berlin")[1].strip() == (
        "Tue 2026-11-24 02:00 in 17 h 18 min Tue 2026-11-24 10:00 in 1 day 1 h Tue 2026-11-24 18:00 in 1 day 9 h"
    )


@pytest.mark.parametrize("query", [{"started": ""}, {"period": "0"}, {"period": "x"}, {"period_unit": "weeks"}])
def test_an_unfinished_schedule_has_no_next_runs(client: Client, query: dict[str, str]) -> None:
    assert "Fill in Started and Period to see when the task runs." in next_runs(client, **query)


def test_a_manual_task_runs_by_hand(client: Client) -> None:
    assert "By hand: the task runs when somebody chooses Back Up Now." in next_runs(client, mode="manual")


# --- Zones ----------------------------------------------------------------------------------------------------------
def test_started_is_in_the_viewers_zone_and_both_zones_are_named(client: Client, cluster: Cluster) -> None:
    client.cookies["zone"] = "Asia/Tokyo"
    page = client.get(NEW).content.decode()
    assert 'value="2026-11-23T17:00"' in page
    assert "in Asia/Tokyo." in page and "in the zone of the server, Europe/Berlin." in page
    assert "On the server’s clock (Europe/Berlin) the first is Mon 2026-11-23 09:00." in text_of(client.get(NEW))
    client.post(NEW, values(cluster, zone="Asia/Tokyo"))
    assert BackupTask.objects.get().started == datetime(2026, 11, 24, 2, tzinfo=ZoneInfo("Asia/Tokyo"))


def test_a_zone_that_became_known_meanwhile_does_not_move_the_start(client: Client, cluster: Cluster) -> None:
    client.cookies["zone"] = "America/New_York"
    client.post(NEW, values(cluster, zone="Europe/Berlin"))
    assert BackupTask.objects.get().started == datetime(2026, 11, 24, 2, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2027-03-28T02:30", datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),
        ("2027-10-31T02:30", datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),
    ],
    ids=["skipped in spring", "twice in autumn"],
)
def test_a_start_within_the_change_of_clocks(client: Client, cluster: Cluster, typed: str, meant: datetime) -> None:
    client.post(NEW, values(cluster, started=typed))
    assert BackupTask.objects.get().started == meant


# --- Copy -----------------------------------------------------------------------------------------------------------
def test_a_copy_is_a_form_for_a_new_task(client: Client, make_task: MakeTask, all_on_offer: None) -> None:
    destination = {name: SFTP[name] for name in ("ip_mode", "server_ip", "port", "username", "shared_path")}
    task = make_task("plant-sftp", path_type="SFTP", destination=destination, copies=9, rehearse_after_days=31)
    task.set_secrets({"password": "s3cret"})
    task.save()
    make_task("plant-sftp-copy")
    page = client.get(reverse("task-copy", args=[task.pk])).content.decode()
    assert 'value="plant-sftp-copy-2"' in page
    for value in ("10.20.4.18", "iotdb-backup", "/srv/backup/iotdb", "9", "31"):
        assert f'value="{value}"' in page
    assert "s3cret" not in page and "passwords are not copied" in page
    assert f'action="{NEW}"' in page


def test_a_copy_of_a_long_name_keeps_to_the_limit(client: Client, make_task: MakeTask) -> None:
    task = make_task("x" * 64)
    page = client.get(reverse("task-copy", args=[task.pk])).content.decode()
    name = re.search(r'name="name" value="([^"]+)"', page)
    assert name and name.group(1) == "x" * 57 + "-copy"


def test_a_viewer_does_not_come_here(viewer: User, cluster: Cluster) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(NEW).status_code == 403
    assert client.post(NEW, values(cluster)).status_code == 403
    assert not BackupTask.objects.exists()


def test_the_fields_of_path_types_and_task_have_names_of_their_own() -> None:
    own = set(CreateForm.base_fields) | {"version", "shown_type", "show_fields", "keep_editing"}
    for path_type in all_path_types():
        assert not own & set(path_type.form_class.base_fields), path_type.name
