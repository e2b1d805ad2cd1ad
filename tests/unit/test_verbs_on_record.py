"""What the audit holds besides the plain verbs: who came and went, what was refused, no secret; and honest words."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE, MASK, Actor, mask
from tasks.errors import Refused
from tasks.models import AuditEvent, BackupFile, BackupTask, Cluster, ManagementNodes, Node, Service
from tasks.services.system import NodesDraft, save_management_nodes
from tests.conftest import PASSWORD, MakeRun, Person
from tests.unit.test_services import draft

pytestmark = pytest.mark.django_db
TYPED_AS_NAME = "my-secret-password"


def events(**wanted: Any) -> list[tuple[str, str, str]]:
    found = AuditEvent.objects.filter(**wanted).order_by("pk")
    return list(found.values_list("verb", "actor", "result"))


# --- Who came and went ------------------------------------------------------------------------------------------------
def test_login_and_logout_are_on_record(viewer: User, client: Client) -> None:
    client.post("/login/", {"username": "viewer", "password": PASSWORD}, REMOTE_ADDR="10.0.0.7")
    client.post("/logout/")
    assert events() == [("log in", "viewer", "successful"), ("log out", "viewer", "successful")]
    assert AuditEvent.objects.filter(verb="log in", address="10.0.0.7", target="viewer").exists()


def test_a_refused_login_is_on_record(viewer: User, client: Client) -> None:
    client.post("/login/", {"username": "viewer", "password": "wrong"})
    assert events() == [("log in", "viewer", "refused")]
    assert "wrong" not in str(AuditEvent.objects.values())


def test_a_password_in_the_wrong_field_is_not_written_down(client: Client, db: None) -> None:
    client.post("/login/", {"username": TYPED_AS_NAME, "password": "x"})
    assert events() == [("log in", "unknown account", "refused")]
    assert TYPED_AS_NAME not in str(AuditEvent.objects.values())


# --- What was refused, what was looked at -----------------------------------------------------------------------------
def test_a_check_is_on_record(backup_admin: User, node: Node) -> None:
    services.check_node(Actor(backup_admin.username, backup_admin), node)
    event = AuditEvent.objects.get()
    assert (event.verb, event.target, event.after) == ("check node", "node1", {"home": node.home})


@pytest.mark.django_db(transaction=True)
def test_a_refused_change_of_the_nodes_stays_on_record() -> None:
    nobody = User.objects.create_user("nobody")
    with pytest.raises(PermissionDenied):
        save_management_nodes(Actor("nobody", nobody), 1, NodesDraft(""))
    assert events() == [("change management nodes", "nobody", "refused")]


def test_secrets_in_lists_are_masked() -> None:
    assert mask({"nodes": [{"password": "x", "name": "a"}], "plain": ["b"]}) == {
        "nodes": [{"password": MASK, "name": "a"}],
        "plain": ["b"],
    }


# --- The standby node -------------------------------------------------------------------------------------------------
def test_another_standby_node_gets_all_copies_anew(
    administrator: User, task: BackupTask, make_run: MakeRun, person: Person
) -> None:
    actor = Actor(administrator.username, administrator)
    first = {"server_ip": "10.0.0.1", "port": 22, "shared_path": "/srv", "username": "console"}
    nodes = save_management_nodes(actor, ManagementNodes.load().version, NodesDraft("", first))
    make_run(task)
    BackupFile.objects.update(standby_at=timezone.now())
    nodes = save_management_nodes(actor, nodes.version, NodesDraft("", first | {"username": "other"}))
    assert BackupFile.objects.get().standby_at
    save_management_nodes(actor, nodes.version, NodesDraft("", first | {"server_ip": "10.0.0.2"}))
    assert BackupFile.objects.get().standby_at is None


# --- Words ------------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_cluster_that_went_is_not_called_a_name_that_is_taken(cluster: Cluster) -> None:
    wanted = draft(cluster)
    Cluster.objects.filter(pk=cluster.pk).delete()
    with pytest.raises(Refused) as refusal:
        services.create_task(CONSOLE, wanted, timezone.now())
    assert refusal.value.field == "cluster"
    assert "was deleted meanwhile" in refusal.value.message


@pytest.mark.parametrize("name", ["iotdb", "IoTDB-", "IoTDB."])
def test_services_whose_files_would_share_names_are_refused(name: str, backup_admin: User, service: Service) -> None:
    with pytest.raises(Refused) as refusal:
        services.save_service(Actor(backup_admin.username, backup_admin), Service(cluster=service.cluster, name=name))
    assert refusal.value.field == "name"
    services.save_service(Actor(backup_admin.username, backup_admin), service)
