"""Creating a restoration task: from a run, and from what lies in a destination; the sets are those of real runs."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.utils import timezone

from tasks import permissions, searches
from tasks.models import AuditEvent, BackupTask, Cluster, Node, Restoration, Run
from tasks.permissions import seed_roles
from tasks.services import findsets
from tests.engine.kit import run_now
from tests.web.taskform_kit import HOST_KEY, text_of

NEW = "/restorations/new/"
SOURCE = "/restorations/new/source/"
FOUND = "/restorations/found/"
HOST = str(settings.HOST_NAME)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def restorer(login: Any) -> Client:
    seed_roles(apps)
    client: Client = login(permissions.RESTORE_ADMINISTRATOR)
    return client


@pytest.fixture
def run(node: Node, storage_path: Path, make_task: Any) -> Run:
    """A successful run of a LocalDir task."""
    task: BackupTask = make_task("daily")
    return run_now(task)


def posted(cluster: Cluster, /, **changes: Any) -> dict[str, Any]:
    data = {"name": "restore-1", "cluster": cluster.pk, "path_type": "LocalDir", "shown_type": "LocalDir"}
    return {**data, "source_path": "", **changes}


def sftp(port: int, **changes: Any) -> dict[str, Any]:
    data = {"path_type": "SFTP", "shown_type": "SFTP", "ip_mode": "ipv4", "server_ip": "127.0.0.1", "port": port}
    data |= {"username": "anna", "password": "Planted-secret-7", "host_key": f"{HOST_KEY} 127.0.0.1 {port}"}
    return data | changes


# --- From a run -----------------------------------------------------------------------------------------------------
def test_kept_sets_are_offered_and_one_click_makes_the_task(restorer: Client, run: Run) -> None:
    text = text_of(restorer.get(NEW))
    assert "daily" in text and "Restore this set" in text
    response = restorer.post(f"/runs/{run.pk}/restore/")
    restoration = Restoration.objects.get()
    assert response["Location"] == f"/restorations/{restoration.pk}/"
    assert restoration.source_run == run
    text = text_of(restorer.get(response["Location"]))
    assert "Nothing happens before you start it" in text
    assert run.files.get().sha256 in text


def test_sets_that_are_gone_or_damaged_are_not_offered(restorer: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(damaged_at=timezone.now())
    assert "Restore this set" not in text_of(restorer.get(NEW))
    Run.objects.filter(pk=run.pk).update(damaged_at=None, set_removed_at=timezone.now())
    assert "This console keeps no set" in text_of(restorer.get(NEW))
    response = restorer.post(f"/runs/{run.pk}/restore/", follow=True)
    assert "was removed" in text_of(response)
    assert not Restoration.objects.exists()


# --- From a destination ---------------------------------------------------------------------------------------------
def test_a_lost_console_finds_its_sets_and_restores_one(restorer: Client, run: Run) -> None:
    file = run.files.get()
    cluster = run.cluster
    # No record of the set is left.
    Run.objects.all().update(task=None, kind="restore", restoration=_another(cluster))
    response = restorer.post(SOURCE, posted(cluster))
    assert response["Location"] == FOUND
    text = text_of(restorer.get(FOUND))
    assert "1 set" in text and "daily" in text and "Whole" in text and cluster.name in text
    key = f"{file.directory}/{file.name[-21:-7]}"
    response = restorer.post(FOUND, {"name": "restore-1", "set": key})
    restoration = Restoration.objects.get(name="restore-1")
    assert response["Location"] == f"/restorations/{restoration.pk}/"
    assert restoration.files == [
        {
            "service": "IoTDB",
            "directory": file.directory,
            "name": file.name,
            "size": file.size,
            "sha256": file.sha256,
        }
    ]
    assert (restoration.source_task, restoration.version) == ("daily", file.version)
    # The search is over with it.
    assert restorer.get(FOUND)["Location"] == SOURCE


def _another(cluster: Cluster) -> Restoration:
    return Restoration.objects.create(name="other", cluster=cluster, path_type="LocalDir", taken_at=timezone.now())


def test_the_full_path_of_an_archive_is_chosen_directly(restorer: Client, run: Run) -> None:
    file = run.files.get()
    response = restorer.post(SOURCE, posted(run.cluster, source_path=file.path))
    restoration = Restoration.objects.get()
    assert response["Location"] == f"/restorations/{restoration.pk}/"
    assert restoration.files[0]["name"] == file.name


def test_the_directory_of_a_task_narrows_the_search(restorer: Client, run: Run, make_task: Any) -> None:
    run_now(make_task("weekly"))
    directory = Path(run.files.get().path).parent
    restorer.post(SOURCE, posted(run.cluster, source_path=str(directory)))
    text = text_of(restorer.get(FOUND))
    assert "daily" in text and "weekly" not in text


def test_a_broken_archive_cannot_be_chosen_and_says_why(restorer: Client, run: Run) -> None:
    file = run.files.get()
    with open(file.path, "r+b") as archive:
        archive.truncate(100)
    restorer.post(SOURCE, posted(run.cluster))
    text = text_of(restorer.get(FOUND))
    assert "Cannot be restored" in text and "It is not whole" in text and "Restore this set" not in text
    key = f"{file.directory}/{file.name[-21:-7]}"
    assert "It is not whole" in text_of(restorer.post(FOUND, {"name": "restore-1", "set": key}))
    page = restorer.post(SOURCE, posted(run.cluster, source_path=file.path))
    assert "It is not whole" in text_of(page)
    assert 'id="id_source_path_error"' in page.content.decode()
    assert not Restoration.objects.exists()


def test_a_set_of_another_cluster_is_said_to_be(restorer: Client, run: Run) -> None:
    other = Cluster.objects.create(name="other-plant")
    restorer.post(SOURCE, posted(other))
    assert "Of another cluster" in text_of(restorer.get(FOUND))


def test_an_empty_destination_says_so(restorer: Client, cluster: Cluster, storage_path: Path) -> None:
    restorer.post(SOURCE, posted(cluster))
    assert "No sets there" in text_of(restorer.get(FOUND))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "Give the restoration task a name."),
        ({"name": "a b"}, "Use letters, digits"),
        ({"source_path": "/etc"}, "LocalDir holds what lies in"),
        ({"cluster": "77"}, "not registered any more"),
        ({"shown_type": "SFTP"}, "Fill in the fields of LocalDir below."),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_lost(
    changes: dict[str, Any], words: str, restorer: Client, cluster: Cluster, storage_path: Path
) -> None:
    page = restorer.post(SOURCE, posted(cluster, **changes)).content.decode()
    assert "<title>Error: " in page
    assert words in page
    assert not AuditEvent.objects.filter(verb="find sets").exists()


def test_a_name_that_is_taken_is_refused_at_the_field(restorer: Client, run: Run) -> None:
    _another(run.cluster)
    assert "already called other" in text_of(restorer.post(SOURCE, posted(run.cluster, name="other")))
    restorer.post(SOURCE, posted(run.cluster))
    file = run.files.get()
    page = restorer.post(FOUND, {"name": "other", "set": f"{file.directory}/{file.name[-21:-7]}"})
    assert 'id="id_name_error"' in page.content.decode()
    assert "already called other" in text_of(page)


def test_the_fields_of_a_path_type_have_the_labels_of_the_original(restorer: Client, cluster: Cluster) -> None:
    text = text_of(restorer.get(f"{SOURCE}fields/?path_type=RemoteHDFS"))
    for label in ("Source NameService Name", "Source Active NameNode IP Address", "Source NameNode RPC Port"):
        assert label in text
    assert "Source Path" in text and "Destination" not in text and "Copies" not in text


def test_an_unreachable_server_is_told_at_its_field(restorer: Client, cluster: Cluster) -> None:
    values = sftp(1, shared_path="/srv/d_20261101000000/x_IoTDB_1.tar.gz")
    page = restorer.post(SOURCE, posted(cluster, **values)).content.decode()
    assert "Nothing listens on" in page and 'id="id_port_error"' in page
    assert "Type the password again" in page
    assert "Planted-secret-7" not in page


# --- The search between two pages -----------------------------------------------------------------------------------
def test_a_search_ends_after_half_an_hour(restorer: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    restorer.post(SOURCE, posted(run.cluster))
    later = timezone.now() + searches.LASTS
    monkeypatch.setattr("tasks.views.findsets.timezone.now", lambda: later)
    response = restorer.get(FOUND, follow=True)
    assert "The search for sets is over" in text_of(response)


def test_a_search_is_that_of_one_person(restorer: Client, run: Run, person: Any) -> None:
    restorer.post(SOURCE, posted(run.cluster))
    session = restorer.session
    stored = session["search_for_sets"]
    assert stored["sealed"] == ""
    other = Client()
    other.force_login(person(permissions.ADMINISTRATOR))
    assert other.get(FOUND)["Location"] == SOURCE


def test_a_server_that_says_nothing_is_given_up(
    restorer: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findsets, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        restorer.post(SOURCE, posted(cluster, **sftp(silent.getsockname()[1], shared_path="/srv/backup")))
        text = text_of(restorer.get(FOUND))
    assert "was not looked through within" in text and "Give the directory of one task" in text


def test_only_two_look_at_a_time(restorer: Client, run: Run) -> None:
    restorer.post(SOURCE, posted(run.cluster))
    with findsets.slots, findsets.slots:
        assert "Other destinations are being looked into" in text_of(restorer.get(FOUND))


def test_thousands_of_sets_are_shown_by_pages(restorer: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    head = findsets.describe.__globals__["read_head"]
    monkeypatch.setitem(
        findsets.describe.__globals__, "read_head", lambda store, d, name: read.append(name) or head(store, d, name)
    )
    path = Path(run.files.get().path)
    for number in range(2000):
        copy = path.with_name(f"2.0.1-beta_IoTDB_{20200101000000 + number}.tar.gz")
        copy.touch()
        copy.with_name(f"{copy.name}.manifest.json").touch()
    restorer.post(SOURCE, posted(run.cluster))
    text = text_of(restorer.get(f"{FOUND}?page=2"))
    assert "2,001 sets" in text and "Page 2 of 81" in text
    assert len(read) == findsets.PAGE_SIZE


def test_the_search_is_on_record(restorer: Client, run: Run) -> None:
    restorer.post(SOURCE, posted(run.cluster))
    event = AuditEvent.objects.filter(verb="find sets").get()
    assert (event.actor, event.target, event.note) == ("restore-administrator", "restore-1", "LocalDir " + HOST)
