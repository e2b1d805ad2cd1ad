"""Create: what the form shows, what it refuses, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from storage.registry import all_path_types, get_path_type
from tasks.forms.task import CreateForm
from tasks.models import AuditEvent, BackupTask, Cluster, Node, Service
from tests.conftest import Login, MakeTask
from tests.web.taskform_kit import HOST_KEY, NEW, NOW, ONLY_FULL, SFTP, refused, text_of, values


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


# --- The page -------------------------------------------------------------------------------------------------------
def test_the_fields_stand_in_the_order_of_the_seed(client: Client) -> None:
    page = text_of(client.get(NEW))
    labels = [
        "Name", "Backup Object", "Mode", "Periodic", "Manual", "Started", "Period", "Hours", "Days", "Backup Policy",
        "Full backup at the first time and incremental backup subsequently", "Full backup every time",
        "Full backup once every n times", "Configuration", "Metadata and other data", "IoTDB", "Assign Service",
        "Service data", "Path Type", "LocalDir", "Maximum Number of Backup Copies", "OK",
    ]  # fmt: skip
    position = page.index("Create backup task Fields")
    for label in labels:
        position = page.index(label, position)


def test_metadata_can_only_be_backed_up_full_and_the_page_says_why(client: Client) -> None:
    page = client.get(NEW).content.decode()
    assert ONLY_FULL in page
    for value, closed in (("first-full", True), ("full", False), ("full-every-n", True)):
        radio = re.search(rf'<input type="radio" name="policy" value="{value}"[^>]*>', page)
        assert radio and ("disabled" in radio.group()) == closed


def test_only_path_types_that_can_run_are_on_offer(client: Client) -> None:
    select = re.search(r'<select[^>]*name="path_type".*?</select>', client.get(NEW).content.decode(), re.DOTALL)
    assert select
    offered = re.findall(r'<option value="([^"]+)"', select.group())
    assert offered == [path_type.name for path_type in all_path_types() if path_type.available]


def test_started_is_the_next_full_hour_and_the_next_runs_stand_beside_it(client: Client) -> None:
    response = client.get(NEW)
    assert 'value="2026-11-23T09:00"' in response.content.decode()
    page = text_of(response)
    assert "Mon 2026-11-23 09:00 in 18 min Tue 2026-11-24 09:00 in 1 day" in page
    assert page.count("2026-11-25 09:00") == 1


def test_localdir_shows_its_directory_and_the_room_there(client: Client, storage_path: Any) -> None:
    page = text_of(client.get(NEW))
    assert f"{storage_path}/LocalBackup/<Name>_<time of creation>/" in page
    assert re.search(r"[\d.]+ [kMGT]B free of [\d.]+ [kMGT]B on ", page)
    assert not storage_path.exists()


def test_a_cluster_can_be_chosen_by_the_address(client: Client) -> None:
    other = Cluster.objects.create(name="a-first-one")
    assert f'<option value="{other.pk}" selected>' in client.get(f"{NEW}?cluster={other.pk}").content.decode()


def test_without_a_cluster_the_page_says_to_register_one(login: Login, db: None) -> None:
    page = login("Backup Administrator").get(NEW).content.decode()
    assert "Register a cluster first" in page
    assert reverse("cluster-new") in page


def test_a_cluster_without_nodes_is_told_of(client: Client) -> None:
    other = Cluster.objects.create(name="empty")
    Service.objects.create(cluster=other, name="IoTDB")
    page = text_of(client.get(f"{NEW}?cluster={other.pk}"))
    assert "1 service, 0 nodes. Add a node to IoTDB under Clusters before the first run." in page


# --- Saving ---------------------------------------------------------------------------------------------------------
def test_a_periodic_task_is_created(client: Client, cluster: Cluster) -> None:
    response = client.post(NEW, values(cluster), follow=True)
    assert response.redirect_chain == [("/backups/", 302)]
    task = BackupTask.objects.get()
    assert (task.name, task.mode, task.period, task.period_unit, task.copies) == (
        "plant-daily",
        "periodic",
        1,
        "days",
        7,
    )
    assert task.started == datetime(2026, 11, 24, 2, tzinfo=ZoneInfo("Europe/Berlin"))
    assert task.next_run_at == task.started
    assert task.all_services and task.path_type == "LocalDir" and task.destination == {"read_back": False}
    assert (task.created_by, task.data_source) == ("backup-administrator", "iotdb-metadata")
    assert "Task plant-daily created." in text_of(response)
    assert "Its next run is Tue 2026-11-24 02:00 (Europe/Berlin)." in text_of(response)
    assert AuditEvent.objects.get(verb="create task").target == "plant-daily"


def test_a_manual_task_needs_no_schedule_and_ignores_one(client: Client, cluster: Cluster) -> None:
    data = values(cluster, mode="manual", started="nonsense", period="0", period_unit="weeks", policy="first-full")
    response = client.post(NEW, data, follow=True)
    task = BackupTask.objects.get()
    assert (task.mode, task.started, task.next_run_at) == ("manual", None, None)
    assert "Start it with Back Up Now." in text_of(response)


def test_some_services_are_assigned(client: Client, cluster: Cluster) -> None:
    second = Service.objects.create(cluster=cluster, name="IoTDB-1")
    client.post(NEW, values(cluster, assign="some", services=[second.pk]))
    task = BackupTask.objects.get()
    assert not task.all_services
    assert list(task.services.all()) == [second]


def test_services_that_are_ticked_do_not_count_when_all_are_meant(client: Client, cluster: Cluster) -> None:
    client.post(NEW, values(cluster, services=[cluster.services.get().pk]))
    task = BackupTask.objects.get()
    assert task.all_services and not task.services.exists()


def test_a_destination_on_a_server_is_stored_without_its_password(
    client: Client, cluster: Cluster, all_on_offer: None
) -> None:
    client.post(NEW, values(cluster, **SFTP))
    task = BackupTask.objects.get()
    assert task.destination == {
        "ip_mode": "ipv4",
        "server_ip": "10.20.4.18",
        "port": 22,
        "username": "iotdb-backup",
        "shared_path": "/srv/backup/iotdb",
        "host_key": HOST_KEY,
        "read_back": False,
    }
    assert task.secrets() == {"password": "s3cret"}
    assert "s3cret" not in str(AuditEvent.objects.values())


# --- What is refused ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Give the task a name."),
        ({"name": "a/b"}, "Use letters, digits, dot, underscore and hyphen only"),
        ({"name": "x" * 65}, "The name has 65 characters. Use at most 64."),
        ({"cluster": None}, "Choose the cluster that is backed up."),
        ({"cluster": 4711}, "The cluster is not registered any more. Choose another one."),
        ({"mode": "sometimes"}, "Choose Periodic or Manual."),
        ({"started": ""}, "Give the day and the time of the first start."),
        ({"started": "tomorrow"}, "Give day and time as 2026-11-24T02:00"),
        ({"started": "2026-02-30T02:00"}, "Give day and time as 2026-11-24T02:00"),
        ({"started": "9999-12-31T23:59"}, "Give a day of the years 2000 to 2099."),
        ({"started": "0001-01-01T00:00"}, "Give a day of the years 2000 to 2099."),
        ({"period": ""}, "Say after how many hours or days the task is started again."),
        ({"period": "0"}, "Give a period of at least 1."),
        ({"period": "1.5"}, "Give the period as a whole number."),
        ({"period": "3651"}, "Give a period of at most 3650 Days."),
        ({"period": "10000", "period_unit": "hours"}, "Give a period of at most 9999 Hours."),
        ({"period_unit": "weeks"}, "Choose Hours or Days."),
        ({"policy": "full-every-n"}, ONLY_FULL),
        ({"policy": "first-full"}, ONLY_FULL),
        ({"sources": None}, "Select what is backed up, for example IoTDB."),
        ({"assign": "some"}, "Choose at least one service, or choose All services."),
        ({"assign": "some", "services": ["4711"]}, "Choose services of the cluster that is backed up."),
        ({"path_type": ""}, "Choose where the backup files go."),
        ({"copies": "0"}, "Keep at least 1 backup file set."),
    ],
)
def test_a_wrong_value_is_named_with_its_cure(
    client: Client, cluster: Cluster, changes: dict[str, Any], message: str
) -> None:
    page = refused(client, values(cluster, **changes))
    assert page.count(message) >= 2, "in the summary and beside the field"
    assert "The task was not saved: 1 field needs a change" in page


def test_a_path_type_that_is_not_on_offer_is_refused(
    client: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_path_type("SFTP")), "available", False)
    page = refused(client, values(cluster, **SFTP))
    assert "SFTP is not on offer. Choose one of the list." in page


def test_services_of_another_cluster_are_refused(client: Client, cluster: Cluster) -> None:
    foreign = Service.objects.create(cluster=Cluster.objects.create(name="other"), name="IoTDB")
    page = refused(client, values(cluster, assign="some", services=[foreign.pk]))
    assert "Choose services of the cluster that is backed up." in page


def test_a_name_that_is_taken(client: Client, cluster: Cluster, make_task: MakeTask) -> None:
    make_task("plant-daily")
    page = refused(client, values(cluster))
    assert "Another task is already called plant-daily. Choose a different name." in page


def test_a_name_that_is_taken_between_check_and_insert(
    client: Client, cluster: Cluster, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_task("plant-daily")
    monkeypatch.setattr(CreateForm, "clean_name", lambda form: form.cleaned_data["name"])
    page = refused(client, values(cluster))
    assert '<a href="#id_name">Name: Another task is already called plant-daily.' in page


def test_errors_keep_what_was_typed_but_the_password(client: Client, cluster: Cluster, all_on_offer: None) -> None:
    page = refused(client, values(cluster, **SFTP | {"shared_path": "/", "server_ip": "fd12:20::18"}))
    assert "The task was not saved: 3 fields need a change" in page
    for typed in ("plant-daily", "fd12:20::18", "iotdb-backup", "2026-11-24T02:00"):
        assert f'value="{typed}"' in page
    assert "s3cret" not in page
    assert "Type the password again; it is not kept while the form has errors." in page
    assert "fd12:20::18 is an IPv6 address but IP Mode is IPv4. Change one of them." in page
    assert '<a href="#id_shared_path">' in page


def test_the_first_wrong_field_has_the_focus(client: Client, cluster: Cluster, all_on_offer: None) -> None:
    page = refused(client, values(cluster, **SFTP | {"shared_path": "/", "server_ip": "x"}))
    assert page.count("autofocus") == 1
    field = re.search(r'<input[^>]*name="server_ip"[^>]*>', page)
    assert field and "autofocus" in field.group() and 'aria-invalid="true"' in field.group()


def test_typed_markup_is_text(client: Client, cluster: Cluster) -> None:
    page = refused(client, values(cluster, name='"><script>alert(1)</script>'))
    assert "<script>alert" not in page


# --- Proof ----------------------------------------------------------------------------------------------------------
def test_sets_are_checked_every_week_unless_somebody_says_otherwise(client: Client, cluster: Cluster) -> None:
    page = client.get(NEW).content.decode()
    assert re.search(r'name="check_after_days" value="7"', page)
    assert re.search(r'<details class="fold"><summary>When sets are proven again</summary>', page)
    client.post(NEW, values(cluster, check_after_days="7", rehearse_after_days=""))
    task = BackupTask.objects.get()
    assert (task.check_after_days, task.rehearse_after_days) == (7, None)
    assert AuditEvent.objects.get(verb="create task").after["check_after_days"] == 7


def test_an_empty_limit_means_never(client: Client, cluster: Cluster) -> None:
    client.post(NEW, values(cluster, check_after_days="", rehearse_after_days="30"))
    task = BackupTask.objects.get()
    assert (task.check_after_days, task.rehearse_after_days) == (None, 30)


@pytest.mark.parametrize("typed", ["0", "366", "x", "-1", "1.5"])
def test_a_wrong_limit_is_named_and_its_section_is_open(client: Client, cluster: Cluster, typed: str) -> None:
    page = client.post(NEW, values(cluster, rehearse_after_days=typed)).content.decode()
    assert page.count("Give a whole number of days from 1 to 365, or leave it empty for never.") == 2
    assert '<details class="fold" open><summary>When sets are proven again</summary>' in page
    assert not BackupTask.objects.exists()
