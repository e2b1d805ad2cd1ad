"""Nodes on other hosts: the SSH login on the form, its secrets, the host key, and Verify on a real OpenSSH server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tasks import audit
from tasks.engine.snapshot import node_spec
from tasks.models import AuditEvent, Node, Service
from tests.servers.openssh import PASSWORD
from tests.servers.sshaccounts import Accounts, accounts, home_of_iotdb, openssh
from tests.web.inventory_kit import client, page_of, text_of
from tests.web.taskform_kit import HOST_KEY
from tests.web.test_inventory_nodes import NODE

__all__ = ["accounts", "client", "home_of_iotdb", "openssh"]
REMOTE: dict[str, Any] = NODE | {
    "reach": "ssh",
    "server_ip": "iotdb-2.plant.example",
    "port": 22,
    "username": "ops",
    "password": "s3cret-of-ops",
    "host_key": f"{HOST_KEY} iotdb-2.plant.example 22",
    "sudo_user": "iotdb",
}


def added(client: Client, service: Service, **changes: Any) -> Node:
    response = client.post(reverse("node-new", args=[service.pk]), REMOTE | changes)
    assert response.status_code == 302, text_of(response)
    return Node.objects.get()


def test_a_node_on_another_host_is_kept_with_its_secret_encrypted(client: Client, service: Service) -> None:
    node = added(client, service)
    assert (node.ssh_address, node.ssh_port, node.ssh_user) == ("iotdb-2.plant.example", 22, "ops")
    assert (node.host_key, node.sudo_user, node.secrets()) == (HOST_KEY, "iotdb", {"password": "s3cret-of-ops"})
    host = node_spec(node).host
    assert (host.reach, host.address, host.secrets) == ("ssh", "iotdb-2.plant.example", {"password": "s3cret-of-ops"})
    event = AuditEvent.objects.get(verb="create node")
    assert event.after["password"] == audit.MASK
    pages = client.get(reverse("node-edit", args=[node.pk])).content.decode()
    assert "s3cret-of-ops" not in pages + node.sealed_secrets + str(event.after)
    assert 'placeholder="Unchanged"' in pages
    cluster = text_of(client.get(reverse("cluster", args=[service.cluster_id])))
    assert "On iotdb-2.plant.example port 22, over SSH as ops, as iotdb by sudo" in cluster


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"server_ip": ""}, "SSH address is missing. Fill it in."),
        ({"server_ip": "no host!"}, "This is neither a host name nor an address."),
        ({"server_ip": "10.1.2.300"}, "10.1.2.300 is not an IP address."),
        ({"username": ""}, "SSH user is missing. Fill it in."),
        ({"port": "0"}, "Give a port from 1 to 65535."),
        ({"password": ""}, "Type the password."),
        ({"host_key": ""}, "Verify the node and confirm the host key first."),
        ({"host_key": f"{HOST_KEY} elsewhere 22"}, "The host key was confirmed for another host."),
        ({"private_key": "x"}, "A password is given too. Give one of the two."),
        ({"sudo_user": "-s"}, "Give the name of an account, for example iotdb."),
        ({"sudo_user": "a b"}, "Give the name of an account, for example iotdb."),
        ({"control": "commands"}, "Give the command, or choose another way to stop and start IoTDB."),
    ],
)
def test_a_wrong_login(client: Client, service: Service, changes: dict[str, str], message: str) -> None:
    response = client.post(reverse("node-new", args=[service.pk]), REMOTE | changes)
    assert message in text_of(response)
    assert "<title>Error: " in response.content.decode()
    assert "s3cret-of-ops" not in response.content.decode()
    assert not Node.objects.exists()


def test_an_empty_password_keeps_the_stored_one_for_the_same_login_only(client: Client, service: Service) -> None:
    node = added(client, service)
    address = reverse("node-edit", args=[node.pk])
    assert client.post(address, REMOTE | {"password": "", "home": "/opt/other"}).status_code == 302
    node.refresh_from_db()
    assert (node.home, node.secrets()) == ("/opt/other", {"password": "s3cret-of-ops"})
    for name, value in (("server_ip", "10.1.2.4"), ("username", "root"), ("port", 2222)):
        moved = REMOTE | {"password": "", name: value}
        moved["host_key"] = f"{HOST_KEY} {moved['server_ip']} {moved['port']}"
        assert "Type the password: the stored one is for another" in text_of(client.post(address, moved))
    node.refresh_from_db()
    assert (node.ssh_address, node.secrets()) == ("iotdb-2.plant.example", {"password": "s3cret-of-ops"})


def test_a_node_that_comes_to_this_machine_keeps_no_secret(client: Client, service: Service) -> None:
    node = added(client, service)
    assert client.post(reverse("node-edit", args=[node.pk]), NODE).status_code == 302
    node.refresh_from_db()
    assert (node.reach, node.sealed_secrets, node.ssh_address, node.host_key) == ("local", "", "", "")


def test_commands_of_ones_own_are_asked_for_the_roles_of_the_node(client: Client, service: Service) -> None:
    own = {"control": "commands", "stop_data_node": "stop it", "start_data_node": "start it"}
    fields = {name: value for name, value in (REMOTE | own).items() if name != "config_node"}
    assert client.post(reverse("node-new", args=[service.pk]), fields).status_code == 302
    node = Node.objects.get()
    assert (node.stop_data_node, node.start_data_node, node.stop_config_node) == ("stop it", "start it", "")
    fields |= {"control": "systemd", "password": ""}
    assert client.post(reverse("node-edit", args=[node.pk]), fields).status_code == 302
    node.refresh_from_db()
    assert (node.control, node.stop_data_node) == ("systemd", "")


def test_the_fields_of_ssh_are_in_the_page_and_hidden_by_the_style(client: Client, service: Service) -> None:
    page = page_of(client.get(reverse("node-new", args=[service.pk])))
    for words in ("SSH address", "SSH port", "SSH user", "Private Key", "Passphrase", "Host Key", "IoTDB account"):
        assert words in page
    assert "Server IP Address" not in page
    assert "Maximum Number of Backup Copies" not in page


def test_a_lost_key_for_secrets_is_told_when_the_node_is_reached(
    client: Client, service: Service, settings: Any
) -> None:
    node = added(client, service)
    settings.SECRETS_KEYS = ["another key, as after a restore of the database"]
    host = node_spec(Node.objects.get()).host
    assert not host.secrets
    page = text_of(client.post(reverse("node-check", args=[node.pk])))
    assert "Node node1: The stored password or key cannot be decrypted" in page
    assert "type the secret on the page of the node again" in page


# --- A real server --------------------------------------------------------------------------------------------------
@pytest.mark.server
@pytest.mark.xdist_group("openssh")
def test_a_node_is_verified_from_the_first_key_to_the_saved_node(
    client: Client, service: Service, accounts: Accounts, remote_home: Path
) -> None:
    port, key = accounts.server.port, accounts.server.fingerprint()
    fields = REMOTE | {"server_ip": "127.0.0.1", "port": port, "username": accounts.free, "password": PASSWORD}
    fields |= {"host_key": "", "home": str(remote_home), "sudo_user": accounts.iotdb}
    verify = reverse("node-new-verify", args=[service.pk])
    page = client.post(verify, fields)
    assert key in text_of(page)
    assert f'value="{key} 127.0.0.1 {port}"' in page.content.decode()
    assert "The host key has to be confirmed before the node can be saved." in text_of(page)
    fields["host_key"] = f"{key} 127.0.0.1 {port}"
    lines = client.post(verify, fields, headers={"X-Verify-Lines": "1"})
    text = b"".join(lines.streaming_content).decode()  # type: ignore[attr-defined]
    for words in (f"as {accounts.iotdb} by sudo", "sudo lets commands be run", "Equal to the one", "2.0.1-beta"):
        assert words in text
    assert client.post(reverse("node-new", args=[service.pk]), fields).status_code == 302
    node = Node.objects.get()
    row = client.post(reverse("node-check", args=[node.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "0 warnings, 0 failed" in row
    assert "SSH to 127.0.0.1" in row
    Node.objects.update(host_key=HOST_KEY)
    changed = text_of(client.post(reverse("node-check", args=[node.pk])))
    assert "has changed" in changed and "Nothing was sent to it." in changed
    offered = text_of(client.post(reverse("node-edit-verify", args=[node.pk]), fields | {"host_key": ""}))
    assert "Trust" in offered
    everything = text + row + changed + offered + str(list(AuditEvent.objects.values()))
    assert PASSWORD not in everything
