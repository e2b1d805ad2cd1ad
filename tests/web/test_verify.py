"""Verify on the pages: on the form as it stands, and on a saved task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from storage.base import Store
from storage.checks import Check, Endpoint
from storage.errors import AuthenticationFailed, HostKeyChanged, HostKeyUnknown
from storage.localdir import LocalDirStore
from storage.registry import get_path_type
from tasks.models import AuditEvent, BackupTask, Cluster, Node, Service
from tests.conftest import Login, MakeTask
from tests.engine.kit import files_below
from tests.web.taskform_kit import HOST_KEY, SFTP, text_of, values

NEW = "/backups/new/verify/"
LINES = {"HTTP_X_VERIFY_LINES": "1"}
SECRET = SFTP["password"]


@pytest.fixture
def client(login: Login, cluster: Cluster, service: Service, storage_path: Path) -> Client:
    """A Backup Administrator on a console with one cluster."""
    Node.objects.create(service=service, name="node1", home="/opt/iotdb")
    return login("Backup Administrator")


class Far:
    """Stands for the SFTP server: what it shows, and with what it was logged in to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = HOST_KEY
        self.refuses = False
        self.logins: list[dict[str, str]] = []

    def identify(self, parameters: Mapping[str, Any]) -> Check:
        pinned = parameters.get("host_key")
        if pinned != self.key:
            kind = HostKeyChanged if pinned else HostKeyUnknown
            raise kind("It shows another key.", field="host_key", host_key=self.key)
        return Check("ok", "Identify", "The server shows the host key that was confirmed.", code=self.key)

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        self.logins.append(dict(secrets))
        if self.refuses:
            raise AuthenticationFailed("Refused.", cure="Correct Password.", field="password")
        return LocalDirStore(self.root)


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Far:
    """An SFTP server that answers."""
    server, path_type = Far(tmp_path / "far"), get_path_type("SFTP")
    endpoints: list[Endpoint] = []
    for name, hook in (("identify", server.identify), ("connect", server.connect), ("endpoints", lambda _: endpoints)):
        monkeypatch.setattr(path_type, name, hook)
    return server


@pytest.fixture
def saved(make_task: MakeTask, service: Service) -> BackupTask:
    """A task with a stored password and a confirmed key."""
    destination = {name: SFTP[name] for name in ("ip_mode", "server_ip", "port", "username", "shared_path")}
    task = make_task("plant-sftp", path_type="SFTP", destination=destination | {"host_key": HOST_KEY})
    task.set_secrets({"password": "stored-s3cret"})
    task.save()
    return task


def streamed(response: Any) -> str:
    assert response.streaming and response.status_code == 200
    return b"".join(response.streaming_content).decode()


def found(page: str) -> list[tuple[str, str]]:
    """Return what was tried and the word for it."""
    return re.findall(r'<span class="what">(.*?)</span><span class="res [^"]*">(.*?)</span>', page)


def configured(task: BackupTask, **changes: Any) -> dict[str, Any]:
    data = {"version": task.version, "assign": "all", "copies": 7, "shown_type": "SFTP", **task.destination}
    return data | {"host_key": f"{HOST_KEY} 10.20.4.18 22", "password": ""} | changes


# --- On the form ----------------------------------------------------------------------------------------------------
def test_localdir_before_it_is_saved(client: Client, cluster: Cluster, storage_path: Path) -> None:
    page = streamed(client.post(NEW, values(cluster), **LINES))
    assert found(page) == [("Path", "OK"), ("Write, read, rename, delete", "OK"), ("Free space", "OK")]
    assert "3 OK" in page
    assert files_below(storage_path) == []
    assert not BackupTask.objects.exists()


def test_each_line_is_one_fragment_with_its_place(client: Client, cluster: Cluster) -> None:
    *lines, foot = streamed(client.post(NEW, values(cluster), **LINES)).splitlines()
    assert all(line.startswith('<li data-into="verify-lines">') for line in lines)
    assert 'data-into="verify-foot"' in foot


def test_without_script_the_whole_page_comes_after_the_end(client: Client, cluster: Cluster, far: Far) -> None:
    response = client.post(NEW, values(cluster, **SFTP))
    page = response.content.decode()
    assert [word for _, word in found(page)] == ["OK"] * 5
    assert 'value="plant-daily"' in page and "is-invalid" not in page
    assert SECRET not in page
    assert "Type it again before you choose OK." in page
    assert "Fill in Started and Period" not in page, "the next runs stay beside the form"
    assert far.logins == [{"password": SECRET}]


def test_wrong_fields_are_named_and_nothing_is_tried(client: Client, cluster: Cluster, far: Far) -> None:
    page = streamed(client.post(NEW, values(cluster, **SFTP | {"server_ip": "fd12::1", "shared_path": "/"}), **LINES))
    assert found(page) == [("Fields", "Failed")] * 2
    assert "The root directory cannot be used." in page and "IP Mode is IPv4" in page
    assert far.logins == []


def test_other_fields_of_the_form_do_not_matter(client: Client, cluster: Cluster, far: Far) -> None:
    page = streamed(client.post(NEW, values(cluster, name="", started="", **SFTP), **LINES))
    assert [word for _, word in found(page)] == ["OK"] * 5


def test_a_failed_line_leads_to_its_field_and_does_not_block_saving(client: Client, cluster: Cluster, far: Far) -> None:
    far.refuses = True
    page = streamed(client.post(NEW, values(cluster, **SFTP), **LINES))
    assert found(page)[-1] == ("Authenticate", "Failed")
    assert '<a href="#id_password" data-field>Password</a>' in page
    assert "1 check failed. You may still save." in page
    client.post("/backups/new/", values(cluster, **SFTP))
    assert BackupTask.objects.get().destination["host_key"] == HOST_KEY


# --- Host keys ------------------------------------------------------------------------------------------------------
def test_an_unknown_key_is_confirmed_by_a_button(client: Client, cluster: Cluster, far: Far) -> None:
    data = values(cluster, **SFTP | {"host_key": ""})
    page = streamed(client.post(NEW, data, **LINES))
    assert found(page) == [("Identify", "Confirm")]
    assert far.logins == [], "nothing is sent before the key is confirmed"
    button = re.search(r'name="host_key" value="([^"]+)"[^>]*>Trust this key<', page)
    assert button and button[1].replace("&#x27;", "'") == f"{HOST_KEY} 10.20.4.18 22"
    again = client.post(NEW, data | {"host_key": button[1]}).content.decode()
    assert f'<input type="hidden" name="host_key" value="{button[1]}">' in again
    assert found(again)[0] == ("Identify", "OK")


def test_a_task_is_not_saved_without_a_confirmed_key(client: Client, cluster: Cluster) -> None:
    page = text_of(client.post("/backups/new/", values(cluster, **SFTP | {"host_key": ""})))
    assert "Host Key: Verify the destination and confirm the host key first." in page
    assert not BackupTask.objects.exists()


def test_a_changed_key_fails_closed(client: Client, cluster: Cluster, far: Far) -> None:
    far.key = f"ssh-ed25519 SHA256:{'Z' * 43}"
    page = streamed(client.post(NEW, values(cluster, **SFTP), **LINES))
    assert found(page) == [("Identify", "Failed")]
    assert "Trust the new key" in page
    assert far.logins == []


def test_a_key_of_another_server_is_not_used(client: Client, cluster: Cluster, far: Far) -> None:
    data = values(cluster, **SFTP | {"server_ip": "10.20.4.19"})
    assert found(streamed(client.post(NEW, data, **LINES))) == [("Identify", "Confirm")]


# --- Configure ------------------------------------------------------------------------------------------------------
def test_the_stored_password_is_used_for_its_own_server(client: Client, far: Far, saved: BackupTask) -> None:
    address = reverse("task-configure-verify", args=[saved.pk])
    page = streamed(client.post(address, configured(saved), **LINES))
    assert far.logins == [{"password": "stored-s3cret"}]
    assert "stored-s3cret" not in page


@pytest.mark.parametrize(
    "change",
    [
        {"server_ip": "10.6.6.6", "host_key": f"{HOST_KEY} 10.6.6.6 22"},
        {"port": 2222, "host_key": f"{HOST_KEY} 10.20.4.18 2222"},
        {"username": "mallory"},
    ],
)
def test_the_stored_password_never_goes_elsewhere(
    client: Client, far: Far, saved: BackupTask, change: dict[str, Any]
) -> None:
    address = reverse("task-configure-verify", args=[saved.pk])
    page = streamed(client.post(address, configured(saved, **change), **LINES))
    assert "Type the password: the stored one is for another server or username." in page
    assert far.logins == []


def test_a_typed_password_is_tried_and_not_stored(client: Client, far: Far, saved: BackupTask) -> None:
    address = reverse("task-configure-verify", args=[saved.pk])
    streamed(client.post(address, configured(saved, password="n3w"), **LINES))
    assert far.logins == [{"password": "n3w"}]
    saved.refresh_from_db()
    assert saved.secrets() == {"password": "stored-s3cret"}


# --- A saved task ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["Operator", "Backup Administrator"])
def test_a_saved_task_is_verified_on_a_page_of_its_own(login: Login, far: Far, saved: BackupTask, role: str) -> None:
    address = reverse("task-verify", args=[saved.pk])
    assert far.logins == []
    assert "Verify" in login(role).get(address).content.decode()
    page = streamed(login(role).post(address))
    assert page.startswith("<!") and page.rstrip().endswith("</html>")
    assert [word for _, word in found(page)] == ["OK"] * 5
    assert far.logins == [{"password": "stored-s3cret"}]
    assert "stored-s3cret" not in page


def test_lines_of_a_saved_task_come_before_the_end(login: Login, far: Far, saved: BackupTask) -> None:
    response = login("Operator").post(reverse("task-verify", args=[saved.pk]))
    parts: Iterator[bytes] = iter(response.streaming_content)  # type: ignore[attr-defined]
    assert b"<ul" in next(parts)
    assert b"Identify" in next(parts)
    for close in response._resource_closers:
        close()


def test_an_operator_sees_no_button_that_trusts(login: Login, far: Far, saved: BackupTask) -> None:
    far.key = f"ssh-ed25519 SHA256:{'Z' * 43}"
    page = streamed(login("Operator").post(reverse("task-verify", args=[saved.pk])))
    assert found(page) == [("Identify", "Failed")]
    assert "Trust" not in page and "data-field" not in page
    page = streamed(login("Backup Administrator").post(reverse("task-verify", args=[saved.pk])))
    assert f'href="{reverse("task-configure", args=[saved.pk])}#id_host_key"' in page


def test_a_lost_key_of_the_console_is_said(login: Login, far: Far, saved: BackupTask, settings: Any) -> None:
    settings.SECRETS_KEYS = ["another"]
    page = streamed(login("Operator").post(reverse("task-verify", args=[saved.pk])))
    assert found(page) == [("Stored password", "Failed")]
    assert far.logins == []


def test_it_is_offered_in_the_menu_and_the_history(login: Login, saved: BackupTask) -> None:
    address = f'formaction="{reverse("task-verify", args=[saved.pk])}"'
    for page in (reverse("tasks"), reverse("task-history", args=[saved.pk])):
        assert address in login("Operator").get(page).content.decode()
        assert address not in login("Viewer").get(page).content.decode()


# --- Audit ----------------------------------------------------------------------------------------------------------
def test_who_verified_what_is_on_record(login: Login, client: Client, cluster: Cluster, far: Far, saved: Any) -> None:
    streamed(login("Operator").post(reverse("task-verify", args=[saved.pk])))
    far.refuses = True
    streamed(client.post(NEW, values(cluster, **SFTP), **LINES))
    drafted, tried = AuditEvent.objects.filter(verb="verify destination")[:2]
    assert (tried.actor, tried.target_id, tried.note) == ("operator", saved.pk, "SFTP 10.20.4.18: 5 OK")
    assert (drafted.actor, drafted.target) == ("backup-administrator", "plant-daily")
    assert drafted.note == "SFTP 10.20.4.18: 1 OK, 1 failed: Authenticate"
    assert SECRET not in str(AuditEvent.objects.values()) and "stored-s3cret" not in str(AuditEvent.objects.values())


def test_who_leaves_early_is_on_record_too(login: Login, far: Far, saved: BackupTask) -> None:
    response = login("Operator").post(reverse("task-verify", args=[saved.pk]))
    parts = iter(response.streaming_content)  # type: ignore[attr-defined]
    next(parts), next(parts)
    for close in response._resource_closers:
        close()
    assert AuditEvent.objects.filter(verb="verify destination").count() == 1


def test_a_few_at_a_time_so_that_the_pages_stay_quick(login: Login, far: Far, saved: BackupTask) -> None:
    address = reverse("task-verify", args=[saved.pk])
    waiting = [login("Operator").post(address) for _ in range(2)]
    for response in waiting:
        parts = iter(response.streaming_content)  # type: ignore[attr-defined]
        next(parts), next(parts)
    page = streamed(login("Operator").post(address))
    assert found(page) == [("Verify", "Failed")] and "Try again in 15 s." in page
    for response in waiting:
        for close in response._resource_closers:
            close()
    assert ("Path", "OK") in found(streamed(login("Operator").post(address)))
