"""Clusters and services: looking at them, and looking after them."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import AuditEvent, Cluster, Node, Service
from tasks.states import RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.inventory_kit import client, page_of, text_of

__all__ = ["client"]


# --- Looking --------------------------------------------------------------------------------------------------------
def test_the_list_says_what_each_cluster_has(
    client: Client, node: Node, make_task: MakeTask, make_run: MakeRun
) -> None:
    make_run(make_task("plant-daily"))
    make_task("plant-weekly")
    Cluster.objects.create(name="bare", note="Nothing here yet")
    text = text_of(client.get("/clusters/"))
    assert "bare Nothing here yet IPv4 None None None Never" in text
    assert re.search(r"plant IPv4 IoTDB 1 2 2026-06-01 \d\d:\d\d", text)


def test_a_deleted_task_protects_nothing(client: Client, node: Node, make_task: MakeTask) -> None:
    make_task("gone", deleted_at=timezone.now())
    assert "plant IPv4 IoTDB 1 None Never" in text_of(client.get("/clusters/"))


def test_no_clusters_yet(client: Client, login: Login) -> None:
    assert "Register a cluster" in page_of(client.get("/clusters/"))
    page = page_of(login("Viewer").get("/clusters/"))
    assert "Ask a Backup Administrator to register one." in page
    assert reverse("cluster-new") not in page


def test_a_cluster_shows_services_nodes_and_tasks(
    client: Client, cluster: Cluster, node: Node, make_task: MakeTask
) -> None:
    make_task("plant-daily")
    Service.objects.create(cluster=cluster, name="IoTDB-1")
    text = text_of(client.get(reverse("cluster", args=[cluster.pk])))
    assert f"node1 ConfigNode and DataNode {node.home} On this machine 127.0.0.1:6667 Check Edit Delete" in text
    assert "No nodes yet. Until one is added there is nothing to back up." in text
    assert "plant-daily Manual LocalDir No runs yet Never" in text


def test_a_viewer_sees_the_pages_without_buttons(login: Login, cluster: Cluster, node: Node) -> None:
    viewer = login("Viewer")
    for address in ("/clusters/", reverse("cluster", args=[cluster.pk])):
        page = page_of(viewer.get(address))
        assert cluster.name in page
        assert "<form" not in page and "<button" not in page
        assert not re.search(r"/(new|edit|delete|check)/", page)


# --- Clusters -------------------------------------------------------------------------------------------------------
def test_registering_goes_on_to_the_first_node(client: Client) -> None:
    data = {"name": "plant-east", "ip_mode": "ipv6", "note": "Hall 3"}
    response = client.post("/clusters/new/", data, follow=True)
    cluster = Cluster.objects.get()
    assert (cluster.name, cluster.ip_mode, cluster.note) == ("plant-east", "ipv6", "Hall 3")
    assert response.redirect_chain == [(reverse("node-new", args=[cluster.services.get().pk]), 302)]
    assert "Cluster plant-east registered." in response.content.decode()
    assert AuditEvent.objects.get(verb="create cluster").actor == "backup-administrator"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Give the cluster a name."),
        ({"name": "a b"}, "Use letters, digits, dot, underscore and hyphen only"),
        ({"name": "plant"}, "Another cluster is already called plant. Choose a different name."),
        ({"ip_mode": "ipx"}, "ipx is not one of the available choices"),
    ],
)
def test_a_wrong_cluster(client: Client, cluster: Cluster, changes: dict[str, str], message: str) -> None:
    page = client.post("/clusters/new/", {"name": "x", "ip_mode": "ipv4", **changes}).content.decode()
    assert page.count(message) == 2 and "<title>Error: " in page
    assert "The cluster was not saved: 1 field needs a change" in page
    assert page.count("autofocus") >= 1
    assert Cluster.objects.count() == 1


def test_a_cluster_is_changed(client: Client, cluster: Cluster) -> None:
    page = page_of(client.get(reverse("cluster-edit", args=[cluster.pk])))
    assert 'value="plant"' in page and 'name="version" value="1"' in page
    data = {"name": "plant-1", "ip_mode": "ipv6", "note": "", "version": 1}
    response = client.post(reverse("cluster-edit", args=[cluster.pk]), data, follow=True)
    cluster.refresh_from_db()
    assert (cluster.name, cluster.ip_mode, cluster.version) == ("plant-1", "ipv6", 2)
    assert "Cluster plant-1 saved." in response.content.decode()


def test_two_people_change_one_cluster(client: Client, cluster: Cluster) -> None:
    address = reverse("cluster-edit", args=[cluster.pk])
    client.post(address, {"name": "plant", "ip_mode": "ipv6", "note": "theirs", "version": 1})
    response = client.post(address, {"name": "plant", "ip_mode": "ipv4", "note": "mine", "version": 1})
    text = text_of(response)
    assert response.status_code == 409
    assert "Note differs mine theirs" in text and "Network differs IPv4 IPv6" in text and "Name plant plant" in text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page_of(response)))
    assert hidden["version"] == "2" and hidden["note"] == "mine"
    editing = page_of(client.post(address, {**hidden, "keep_editing": "1"}))
    assert 'value="mine"' in editing and 'name="version" value="2"' in editing and "is-invalid" not in editing
    assert client.post(address, hidden).status_code == 302
    cluster.refresh_from_db()
    assert (cluster.note, cluster.version) == ("mine", 3)


def test_a_cluster_is_deleted_after_a_question(client: Client, cluster: Cluster, node: Node) -> None:
    address = reverse("cluster-delete", args=[cluster.pk])
    text = text_of(client.get(address))
    assert "Delete cluster plant?" in text and f"IoTDB, node1 (ConfigNode and DataNode), {node.home}" in text
    assert "Nothing of IoTDB itself is touched, and all backup files stay where they are." in text
    response = client.post(address, follow=True)
    assert response.redirect_chain == [("/clusters/", 302)]
    assert "Cluster plant deleted." in response.content.decode()
    assert not Cluster.objects.exists()


def test_a_cluster_with_tasks_stays(client: Client, cluster: Cluster, make_task: MakeTask) -> None:
    make_task("plant-daily")
    address = reverse("cluster-delete", args=[cluster.pk])
    page = page_of(client.get(address))
    assert "cannot be deleted while backup tasks need it" in page and "disabled" in page and "plant-daily" in page
    response = client.post(address, follow=True)
    assert "plant is the Backup Object of plant-daily. Delete these tasks first." in text_of(response)
    assert Cluster.objects.exists()


def test_a_cluster_with_history_stays(client: Client, cluster: Cluster, make_task: MakeTask, make_run: MakeRun) -> None:
    task = make_task("gone", deleted_at=timezone.now())
    make_run(task, RunState.FAILED)
    response = client.post(reverse("cluster-delete", args=[cluster.pk]), follow=True)
    assert "history" in text_of(response)
    assert Cluster.objects.exists()


# --- Services -------------------------------------------------------------------------------------------------------
def test_a_second_service(client: Client, cluster: Cluster, service: Service) -> None:
    address = reverse("service-new", args=[cluster.pk])
    assert 'value="IoTDB-1"' in page_of(client.get(address))
    response = client.post(address, {"name": "IoTDB-1"})
    added = cluster.services.get(name="IoTDB-1")
    assert response["Location"] == reverse("node-new", args=[added.pk])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Give the service a name."),
        ("IoTDB", "plant already has a service called IoTDB. Choose a different name."),
        ("IoTDB_1", "Use letters, digits, dot and hyphen only"),
    ],
)
def test_a_wrong_service(client: Client, cluster: Cluster, service: Service, name: str, message: str) -> None:
    page = client.post(reverse("service-new", args=[cluster.pk]), {"name": name}).content.decode()
    assert page.count(message) == 2
    assert cluster.services.count() == 1


def test_a_service_is_renamed(client: Client, cluster: Cluster, service: Service) -> None:
    response = client.post(reverse("service-edit", args=[service.pk]), {"name": "IoTDB-main"})
    assert response["Location"] == reverse("cluster", args=[cluster.pk])
    service.refresh_from_db()
    assert service.name == "IoTDB-main"


def test_the_only_service_stays(client: Client, cluster: Cluster, service: Service) -> None:
    assert reverse("service-delete", args=[service.pk]) not in page_of(
        client.get(reverse("cluster", args=[cluster.pk]))
    )
    response = client.post(reverse("service-delete", args=[service.pk]), follow=True)
    assert "IoTDB is the only service of plant." in text_of(response)
    assert Service.objects.exists()


def test_a_service_that_a_task_is_assigned_to_stays(
    client: Client, cluster: Cluster, service: Service, make_task: MakeTask
) -> None:
    second = Service.objects.create(cluster=cluster, name="IoTDB-1")
    make_task("plant-daily", all_services=False).services.set([second])
    page = page_of(client.get(reverse("service-delete", args=[second.pk])))
    assert "Choose other services for them first" in page and "disabled" in page
    response = client.post(reverse("service-delete", args=[second.pk]), follow=True)
    assert "IoTDB-1 is assigned to plant-daily." in text_of(response)


def test_a_service_is_deleted(client: Client, cluster: Cluster, service: Service) -> None:
    second = Service.objects.create(cluster=cluster, name="IoTDB-1")
    response = client.post(reverse("service-delete", args=[second.pk]), follow=True)
    assert "Service IoTDB-1 deleted." in response.content.decode()
    assert list(cluster.services.all()) == [service]
