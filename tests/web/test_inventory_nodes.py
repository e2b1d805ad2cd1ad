"""Nodes: adding, changing and removing them, and what Check says of their IoTDB homes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tasks.models import Cluster, Node, Service
from tests.conftest import Login
from tests.web.inventory_kit import client, page_of, text_of

__all__ = ["client"]

NODE: dict[str, Any] = {
    "name": "node1",
    "config_node": "on",
    "data_node": "on",
    "home": "/opt/iotdb",
    "reach": "local",
    "control": "hand",
    "rpc_host": "10.0.0.1",
    "rpc_port": 6667,
}


# --- Nodes ----------------------------------------------------------------------------------------------------------
def test_a_node_is_added(client: Client, cluster: Cluster, service: Service) -> None:
    response = client.post(reverse("node-new", args=[service.pk]), NODE, follow=True)
    node = Node.objects.get()
    assert (node.name, node.roles, node.home, node.rpc_host, node.rpc_port) == (
        "node1", "ConfigNode and DataNode", "/opt/iotdb", "10.0.0.1", 6667,
    )  # fmt: skip
    assert response.redirect_chain == [(reverse("cluster", args=[cluster.pk]), 302)]
    assert "Choose Check to see what is found at its IoTDB home." in response.content.decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Give the node a name."),
        ({"name": "old"}, "IoTDB already has a node called old. Choose a different name."),
        ({"config_node": "", "data_node": ""}, "Choose ConfigNode, DataNode or both."),
        ({"home": ""}, "Say where the IoTDB of this node lies, for example /opt/iotdb."),
        ({"home": "opt/iotdb"}, "Give an absolute path, for example /opt/iotdb."),
        ({"home": "/"}, "The root directory cannot be used."),
        ({"home": "/opt/../etc"}, "The path has a part . or .. in it."),
        ({"rpc_port": "0"}, "Give a port from 1 to 65535."),
        ({"rpc_port": "65536"}, "Give a port from 1 to 65535."),
        ({"rpc_port": ""}, "Give a port from 1 to 65535."),
    ],
)
def test_a_wrong_node(client: Client, service: Service, changes: dict[str, str], message: str) -> None:
    Node.objects.create(service=service, name="old", home="/opt/old")
    data = {name: value for name, value in {**NODE, **changes}.items() if value != "" or not name.endswith("_node")}
    page = client.post(reverse("node-new", args=[service.pk]), data).content.decode()
    assert page.count(message) == 2 and "<title>Error: " in page
    assert "The node was not saved: 1 field needs a change" in page
    assert Node.objects.count() == 1


def test_a_node_is_changed(client: Client, node: Node) -> None:
    address = reverse("node-edit", args=[node.pk])
    assert f'value="{node.home}"' in page_of(client.get(address))
    changed = {name: value for name, value in NODE.items() if name != "data_node"}
    assert client.post(address, changed).status_code == 302
    node.refresh_from_db()
    assert (node.roles, node.home) == ("ConfigNode", "/opt/iotdb")


def test_a_node_is_deleted_after_a_question(client: Client, node: Node) -> None:
    address = reverse("node-delete", args=[node.pk])
    assert "From the next run on, the files of node1 are no longer backed up." in text_of(client.get(address))
    assert "Node node1 deleted." in client.post(address, follow=True).content.decode()
    assert not Node.objects.exists()


# --- Check ----------------------------------------------------------------------------------------------------------
def test_check_says_what_is_at_the_home(client: Client, node: Node) -> None:
    address = reverse("node-check", args=[node.pk])
    fragment = client.post(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    for found in ("IoTDB home", "2.0.1-beta", "Cluster ID", "Check of node1"):
        assert found in fragment
    assert re.search(r"\d+ OK, 0 warnings, 0 failed", fragment)
    whole = text_of(client.post(address))
    assert "2.0.1-beta" in whole and "Check again" in whole and "Back to plant" in whole


def test_check_of_a_home_that_is_not_there(client: Client, node: Node, tmp_path: Path) -> None:
    Node.objects.update(home=str(tmp_path / "nowhere"))
    page = client.post(reverse("node-check", args=[node.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "Failed" in page and "nowhere" in page
    assert re.search(r'<span class="cure">\w+', page)


def test_check_is_for_those_who_look_after_the_inventory(login: Login, node: Node) -> None:
    assert login("Operator").post(reverse("node-check", args=[node.pk])).status_code == 403
