"""The page of the management nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from storage.checks import Check
from storage.localdir import data_storage_path
from tasks import permissions
from tasks.models import AuditEvent, ManagementNodes
from tests.web.taskform_kit import HOST_KEY, text_of

PAGE = "/system/nodes/"
STANDBY: dict[str, Any] = {
    "has_standby": "on",
    "ip_mode": "ipv4",
    "server_ip": "10.20.4.19",
    "port": 22,
    "username": "console",
    "password": "s3cret-standby",
    "shared_path": "/srv/LocalBackup",
    "host_key": f"{HOST_KEY} 10.20.4.19 22",
}


@pytest.fixture
def admin(login: Any) -> Client:
    client: Client = login(permissions.ADMINISTRATOR)
    return client


def post(client: Client, page: str = PAGE, **values: Any) -> Any:
    version = ManagementNodes.load().version
    return client.post(page, {"version": version, "data_storage_path": "", **values})


def test_the_page_says_where_files_are_kept(admin: Client, settings: Any) -> None:
    text = text_of(admin.get(PAGE))
    assert f"Empty: {settings.DATA_STORAGE_PATH}" in text
    assert "active management node" in text


def test_another_data_storage_path_is_used_at_once(admin: Client, tmp_path: Path) -> None:
    assert post(admin, data_storage_path=str(tmp_path / "srv")).status_code == 302
    assert data_storage_path() == tmp_path / "srv"
    assert (tmp_path / "srv" / "LocalBackup").is_dir()
    assert AuditEvent.objects.first().after == {"data_storage_path": str(tmp_path / "srv")}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("srv", "Give an absolute path"),
        ("/", "The root directory cannot be used"),
        ("/srv/../etc", "part . or .."),
        ("/dev/null/x", "/dev/null"),
    ],
)
def test_a_path_that_cannot_be_used_is_known_now(path: str, words: str, admin: Client) -> None:
    response = post(admin, data_storage_path=path)
    assert response.status_code == 200
    assert words in text_of(response)
    assert ManagementNodes.load().data_storage_path == ""


def test_a_standby_is_kept_with_its_secret_encrypted(admin: Client) -> None:
    assert post(admin, **STANDBY).status_code == 302
    nodes = ManagementNodes.load()
    assert nodes.standby["server_ip"] == "10.20.4.19"
    assert nodes.standby["host_key"] == HOST_KEY
    assert "password" not in nodes.standby
    assert nodes.secrets() == {"password": "s3cret-standby"}
    assert "s3cret-standby" not in nodes.sealed_secrets + str(AuditEvent.objects.first().after)  # type: ignore[union-attr]
    assert "s3cret-standby" not in admin.get(PAGE).content.decode()


def test_an_empty_password_keeps_the_stored_one_for_the_same_server_only(admin: Client) -> None:
    post(admin, **STANDBY)
    assert post(admin, **STANDBY | {"password": "", "shared_path": "/srv/other"}).status_code == 302
    assert ManagementNodes.load().secrets() == {"password": "s3cret-standby"}
    moved = STANDBY | {"password": "", "server_ip": "10.20.4.20", "host_key": f"{HOST_KEY} 10.20.4.20 22"}
    assert "Type the password" in text_of(post(admin, **moved))


def test_without_a_confirmed_host_key_nothing_is_saved(admin: Client) -> None:
    assert "confirm the host key first" in text_of(post(admin, **STANDBY | {"host_key": ""}))
    assert ManagementNodes.load().standby == {}


def test_a_standby_that_is_taken_away_takes_its_secret_along(admin: Client) -> None:
    post(admin, **STANDBY)
    assert post(admin).status_code == 302
    nodes = ManagementNodes.load()
    assert (nodes.standby, nodes.sealed_secrets) == ({}, "")


def test_the_second_of_two_editors_is_told(admin: Client) -> None:
    post(admin, **STANDBY)
    response = admin.post(PAGE, {"version": 1, "data_storage_path": ""}, follow=True)
    assert "changed by somebody else" in text_of(response)
    assert ManagementNodes.load().standby


def test_verify_tries_what_stands_in_the_form(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def verify(path_type: Any, parameters: Any, secrets: Any, **_: Any) -> Any:
        tried.append((parameters["server_ip"], dict(secrets)))
        yield Check("ok", "Resolve and connect", "10.20.4.19:22 answered in 4 ms.")

    monkeypatch.setattr("tasks.services.system.verify", verify)
    response = post(admin, f"{PAGE}verify/", **STANDBY | {"host_key": ""})
    assert "answered in 4 ms" in text_of(response)
    assert tried == [("10.20.4.19", {"password": "s3cret-standby"})]
    assert "s3cret-standby" not in response.content.decode()


def test_verify_names_the_field_that_is_wrong(admin: Client) -> None:
    text = text_of(post(admin, f"{PAGE}verify/", **STANDBY | {"server_ip": "fd12::1"}))
    assert "fd12::1 is an IPv6 address but IP Mode is IPv4" in text
