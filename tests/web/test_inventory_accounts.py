"""The account by which the IoTDB of a service is asked: given, changed, taken back, and checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine.snapshot import service_spec
from tasks.errors import Refused
from tasks.iotdb.base import Health, Summary
from tasks.iotdb.findings import of_health, of_inventory
from tasks.models import AuditEvent, Node, Service
from tests.conftest import Login
from tests.web.inventory_kit import client, page_of, text_of
from tests.web.test_inventory_nodes import NODE

__all__ = ["client"]
SECRET = "Sesame-4711"


def save(client: Client, service: Service, user: str, password: str = "", name: str = "IoTDB") -> Any:
    data = {"name": name, "session_user": user, "password": password}
    return client.post(reverse("service-edit", args=[service.pk]), data)


@pytest.fixture(name="known")
def known_service(client: Client, service: Service) -> Service:
    """A service with an account."""
    assert save(client, service, "anna", SECRET).status_code == 302
    service.refresh_from_db()
    return service


def test_an_account_is_given_and_its_password_is_stored_encrypted(known: Service) -> None:
    assert (known.session_user, known.secrets()) == ("anna", {"password": SECRET})
    assert SECRET not in known.sealed_secrets


def test_the_password_reaches_neither_page_nor_audit(client: Client, known: Service) -> None:
    for url in (reverse("service-edit", args=[known.pk]), reverse("cluster", args=[known.cluster_id])):
        assert SECRET not in client.get(url).content.decode()
    page = page_of(client.get(reverse("service-edit", args=[known.pk])))
    assert 'placeholder="Unchanged"' in page
    events = json.dumps([[event.before, event.after] for event in AuditEvent.objects.all()])
    assert SECRET not in events
    assert '"session_user": "anna"' in events
    assert '"password": "******"' in events


def test_a_rename_keeps_the_password(client: Client, known: Service) -> None:
    assert save(client, known, "anna", name="IoTDB-9").status_code == 302
    known.refresh_from_db()
    assert (known.name, known.secrets()) == ("IoTDB-9", {"password": SECRET})


def test_another_user_asks_for_the_password_again(client: Client, known: Service) -> None:
    page = save(client, known, "root").content.decode()
    assert page.count("Type the password: the stored one is for another user.") == 2
    known.refresh_from_db()
    assert known.session_user == "anna"
    with pytest.raises(Refused):
        known.session_user = "root"
        services.save_service(CONSOLE, known)


@pytest.mark.parametrize(
    ("user", "password", "message"),
    [("anna", "", "Type the password."), ("", SECRET, "Say whose password this is.")],
)
def test_half_an_account_is_refused(client: Client, service: Service, user: str, password: str, message: str) -> None:
    page = save(client, service, user, password).content.decode()
    assert page.count(message) == 2
    assert SECRET not in page


def test_an_account_that_is_taken_back_takes_its_password_along(client: Client, known: Service) -> None:
    assert save(client, known, "").status_code == 302
    known.refresh_from_db()
    assert (known.session_user, known.sealed_secrets) == ("", "")


def test_the_form_says_which_rights_are_enough(client: Client, service: Service) -> None:
    text = text_of(client.get(reverse("service-edit", args=[service.pk])))
    assert "READ_SCHEMA and MAINTAIN on root.** are enough for health and counts" in text
    assert "Empty: nothing is asked, and counts are unknown." in text


def test_the_page_of_the_cluster_says_whether_iotdb_is_asked(client: Client, service: Service) -> None:
    url = reverse("cluster", args=[service.cluster_id])
    assert "No IoTDB user is given: counts are unknown." in text_of(client.get(url))
    save(client, service, "anna", SECRET)
    assert "IoTDB user: anna" in text_of(client.get(url))


# --- Where the password goes ----------------------------------------------------------------------------------------
def test_another_rpc_address_of_a_node_forgets_the_password(client: Client, known: Service, node: Node) -> None:
    """Who may change the address need not know the password, and must not have it sent to a host of theirs."""
    data = {**NODE, "home": node.home, "rpc_host": "10.6.6.6"}
    assert client.post(reverse("node-edit", args=[node.pk]), data).status_code == 302
    known.refresh_from_db()
    assert (known.session_user, known.sealed_secrets) == ("anna", "")
    event = AuditEvent.objects.get(verb="forget password")
    assert event.note == "node1 is asked at 10.6.6.6:6667 now"
    text = text_of(client.get(reverse("cluster", args=[known.cluster_id])))
    assert "IoTDB user: anna. Its password was given for other RPC addresses; type it again." in text
    assert service_spec(known).account is None
    assert "type the password of anna again" in service_spec(known).account_problem


def test_another_change_of_a_node_keeps_the_password(client: Client, known: Service, node: Node) -> None:
    data = {**NODE, "name": "renamed", "rpc_host": "127.0.0.1"}
    assert client.post(reverse("node-edit", args=[node.pk]), data).status_code == 302
    known.refresh_from_db()
    assert known.secrets() == {"password": SECRET}


def test_the_first_node_of_a_service_keeps_the_password_and_the_last_one_takes_it_along(
    client: Client, known: Service
) -> None:
    data = {**NODE, "name": "first"}
    client.post(reverse("node-new", args=[known.pk]), data)
    known.refresh_from_db()
    assert known.secrets() == {"password": SECRET}
    client.post(reverse("node-delete", args=[known.nodes.get().pk]))
    known.refresh_from_db()
    assert known.sealed_secrets == ""


# --- Check ----------------------------------------------------------------------------------------------------------
def test_check_without_an_account_says_what_is_missing(client: Client, service: Service) -> None:
    text = text_of(client.post(reverse("service-check", args=[service.pk])))
    assert "Check of IoTDB" in text
    assert "counts are unknown. Choose Edit and give one." in text
    assert AuditEvent.objects.filter(verb="check service").exists()


def test_check_of_a_server_that_is_off_says_so_within_the_page(client: Client, known: Service, node: Node) -> None:
    Node.objects.filter(pk=node.pk).update(rpc_port=1)
    response = client.post(reverse("service-check", args=[known.pk]), headers={"HX-Request": "true"})
    page = response.content.decode()
    assert "<html" not in page
    assert "127.0.0.1:1 cannot be reached" in page
    assert "Start IoTDB, or correct RPC address and RPC port of the DataNodes." in page
    assert SECRET not in page


def test_check_with_a_lost_key_says_so(client: Client, known: Service) -> None:
    Service.objects.filter(pk=known.pk).update(sealed_secrets="v1.00000000.AAAA")
    assert "cannot be decrypted" in text_of(client.post(reverse("service-check", args=[known.pk])))


def test_only_who_looks_after_the_inventory_may_check(login: Login, known: Service) -> None:
    viewer = login("Viewer")
    assert viewer.post(reverse("service-check", args=[known.pk])).status_code == 403
    assert "service-check" not in page_of(viewer.get(reverse("cluster", args=[known.cluster_id])))


@pytest.mark.parametrize(
    ("health", "cure"),
    [
        (Health(False, "h:1 cannot be reached.", answered=False), "Start IoTDB"),
        (Health(False, "h:1 refuses the user anna or the password.", refused=True), "type user and password again"),
        (
            Health(False, "SHOW CLUSTER was refused to anna (803: add privilege MAINTAIN).", version="2.0.1"),
            "GRANT MAINTAIN ON root.** TO USER anna",
        ),
        (Health(False, "DataNode 3 (h:2) is Unknown.", version="2.0.1"), "Look into the log"),
    ],
)
def test_each_way_of_being_sick_has_its_cure(health: Health, cure: str) -> None:
    finding = of_health(health, "anna")
    assert finding.level == "failed"
    assert cure in finding.cure


def test_what_an_account_is_not_shown_comes_with_the_grant_that_shows_it() -> None:
    summary = Summary(
        counts={"databases": 7, "series": 48212},
        errors={
            "LIST USER": "803: No permissions for this operation, please add privilege MANAGE_USER",
            "SHOW DEVICE TEMPLATES": "803: Only the admin user can perform this operation",
        },
    )
    counted, lists, templates = of_inventory(summary, "anna")
    assert (counted.level, counted.detail) == ("ok", "7 databases, 48,212 series.")
    assert lists.cure == "In IoTDB: GRANT MANAGE_USER ON root.** TO USER anna."
    assert templates.detail.startswith("Templates: ")


@pytest.mark.parametrize("name", ["inventory.json", "MANIFEST.json", "Inventory.JSON"])
def test_a_node_cannot_have_the_name_of_a_file_in_every_archive(client: Client, service: Service, name: str) -> None:
    data = {**NODE, "name": name}
    page = client.post(reverse("node-new", args=[service.pk]), data).content.decode()
    assert f"A node cannot be called {name}" in page
    assert not Node.objects.exists()
