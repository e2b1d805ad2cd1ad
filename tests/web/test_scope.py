"""Cluster scope: what a person may not see is not found, by any route. A route that nobody listed here fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tasks.models import AuditEvent, BackupTask, Cluster, Person, Restoration
from tasks.permissions import ADMINISTRATOR, AUDITOR
from tests.conftest import MakeRun, MakeTask
from tests.conftest import Person as MakePerson
from tests.web.routes_kit import address, routes
from tests.web.scope_kit import WORD, limit, make_world
from tests.web.taskform_kit import values
from tests.web.test_permission_matrix import MATRIX

Query = tuple[str, dict[str, Any]]
# Routes with a key that belongs to no cluster.
OF_NO_CLUSTER = {
    "notification-channel", "notification-channel-test", "notification-channel-try", "notification-channel-delete",
    "notification-retry", "session-end", "person", "person-edit", "person-password", "person-disable", "person-enable",
    "person-sessions-end", "person-lockouts-end", "lockout-end",
}  # fmt: skip
SOURCE = {"name": "mine", "path_type": "LocalDir", "shown_type": "LocalDir", "source_path": ""}


def queries(there: dict[str, int]) -> dict[str, list[Query]]:
    """What is asked of each route that has no key in its address; the keys of foreign things stand in the query."""
    cluster = {"cluster": there["cluster"]}
    task = values(Cluster(pk=there["cluster"]), name="mine")
    shown = {"tasks": f"{there['task']}.1.0"}
    bulk: list[Query] = [("get", {"task": there["task"]}), ("get", {"found": "yes"}), ("post", shown)]
    return {
        "home": [("get", {}), ("get", cluster)],
        "home-news": [("get", {"ids": there["task"]})],
        "preferences": [("get", {})],
        "theme": [],
        "password": [("get", {})],
        "sessions": [("get", {})],
        "sessions-end": [],
        "notifications": [("get", {})],
        "notification-task": [("post", {"task": "no-such-task"})],
        "notification-channel-new": [("get", {})],
        "notification-channel-new-test": [],
        "notifications-system": [("get", {})],
        "notifications-system-test": [],
        "audit": [("get", {}), ("get", {"q": WORD[1:]})],
        "audit-export": [("post", {"format": "csv"})],
        "lockouts": [("get", {})],
        "tasks": [("get", {}), ("get", cluster), ("get", {"q": WORD[1:]}), ("get", {"status": "failed"})],
        "task-cells": [("get", {"ids": there["task"], "newest": 0})],
        **{f"tasks-{verb}": bulk for verb in ("run", "stop", "suspend", "resume", "delete")},
        "tasks-bulk-done": [("get", {})],
        "task-new": [("get", {}), ("get", cluster), ("post", task), ("post", task | {"show_fields": "1"})],
        "task-destination": [("get", cluster)],
        "task-next-runs": [("get", cluster)],
        "task-services": [("get", cluster)],
        "task-new-verify": [("post", task), ("post", task | {"assign": "some", "services": there["service"]})],
        "restorations": [("get", {}), ("get", cluster)],
        "restoration-cells": [("get", {"ids": there["restoration"]})],
        "restoration-new": [("get", {}), ("get", cluster)],
        "restoration-new-source": [("get", {}), ("get", cluster), ("post", SOURCE | cluster)],
        "restoration-source-fields": [("get", cluster)],
        "restoration-new-verify": [("post", SOURCE | cluster)],
        "restoration-found": [("get", {})],
        "alarms": [("get", {}), ("get", {"severity": "major"})],
        "alarm-news": [("get", {})],
        "alarms-acknowledge": [("get", {}), ("get", cluster)],
        "alarms-cleared": [("get", {}), ("get", cluster)],
        "alarms-export": [("get", {}), ("get", cluster)],
        "alarm-rules": [("get", {})],
        "management-nodes": [("get", {})],
        "management-nodes-verify": [("post", {})],
        "maintenance": [("get", {})],
        "maintenance-end": [("post", {})],
        "rehearsals": [("get", {})],
        "people": [("get", {})],
        "person-new": [("get", {})],
        "clusters": [("get", {})],
        "cluster-new": [("get", {})],
    }


@pytest.fixture
def here(cluster: Cluster, make_task: MakeTask, make_run: MakeRun, storage_path: Path) -> dict[str, int]:
    """The cluster that the person may see."""
    return make_world(cluster, "plant", make_task, make_run)


@pytest.fixture
def there(here: dict[str, int], make_task: MakeTask, make_run: MakeRun) -> dict[str, int]:
    """The cluster that the person may not see."""
    return make_world(Cluster.objects.create(name=f"{WORD}-cluster"), WORD, make_task, make_run)


@pytest.fixture
def limited(here: dict[str, int], person: MakePerson) -> User:
    """Somebody who may do everything, on one cluster."""
    return limit(person(ADMINISTRATOR), Cluster.objects.get(pk=here["cluster"]))


@pytest.fixture
def client(limited: User) -> Client:
    client = Client()
    client.force_login(limited)
    return client


def ask(client: Client, method: str, url: str, data: Any = None, **more: Any) -> HttpResponse:
    """Ask, and take back what was changed."""
    with transaction.atomic():
        response: HttpResponse = getattr(client, method)(url, data or {}, **more)
        transaction.set_rollback(True)
    return response


def text_of(response: Any) -> str:
    if response.streaming:
        return b"".join(response.streaming_content).decode()
    return str(response.content.decode())


def with_key() -> list[str]:
    return [str(route.name) for route in routes() if "pk" in route.pattern.converters]


# --- Every route ----------------------------------------------------------------------------------------------------
def test_every_route_is_asked(there: dict[str, int]) -> None:
    listed = set(with_key()) | set(queries(there))
    assert listed == set(MATRIX), "say in queries() how a foreign cluster could be asked for by the new route"


def test_things_of_a_foreign_cluster_are_not_found(client: Client, there: dict[str, int]) -> None:
    wrong = []
    for name in with_key():
        if name in OF_NO_CLUSTER:
            continue
        for method, needed in zip(("get", "post"), MATRIX[name], strict=True):
            response = ask(client, method, address(name, there)) if needed else None
            if response is not None and (response.status_code != 404 or WORD in text_of(response)):
                wrong.append((name, method, response.status_code))
    assert wrong == []


def test_things_of_the_own_cluster_are_found(client: Client, here: dict[str, int]) -> None:
    wrong = []
    for name in with_key():
        for method, needed in zip(("get", "post"), MATRIX[name], strict=True):
            if needed and name not in OF_NO_CLUSTER:
                status = ask(client, method, address(name, here)).status_code
                wrong += [] if status in (200, 204, 302) else [(name, method, status)]
    assert wrong == []


def test_no_page_tells_of_a_foreign_cluster(client: Client, there: dict[str, int]) -> None:
    wrong = []
    for name, asked in queries(there).items():
        for method, data in asked:
            response = ask(client, method, reverse(name), data, follow=True)
            if WORD in text_of(response) or response.status_code not in (200, 204):
                wrong.append((name, method, data, response.status_code))
    assert wrong == []


def test_the_same_pages_tell_of_it_to_who_sees_all(there: dict[str, int], person: MakePerson) -> None:
    client = Client()
    client.force_login(person(ADMINISTRATOR))
    silent = {
        name for name, asked in queries(there).items() if asked and WORD not in text_of(client.get(reverse(name)))
    }
    # What is said only of a thing that was chosen, and pages about no cluster.
    assert silent == {
        *(name for name in MATRIX if name.startswith("tasks-")),
        "preferences", "password", "sessions", "people", "task-cells", "task-next-runs", "task-new-verify",
        "restoration-source-fields", "restoration-new-verify", "restoration-found", "management-nodes",
        "management-nodes-verify", "rehearsals", "cluster-new", "task-destination", "alarm-rules", "maintenance",
        "maintenance-end", "notifications", "notification-task", "notification-channel-new", "notifications-system",
        "audit-export", "lockouts",
    }  # fmt: skip


def test_no_form_makes_anything_in_a_foreign_cluster(client: Client, there: dict[str, int]) -> None:
    cluster = Cluster(pk=there["cluster"])
    page = client.post(reverse("task-new"), values(cluster, name="mine"))
    assert "The cluster is not registered any more" in page.content.decode()
    client.post(reverse("restoration-new-source"), SOURCE | {"cluster": cluster.pk})
    assert not BackupTask.objects.filter(name="mine").exists()
    assert not Restoration.objects.filter(name="mine").exists()


def test_figures_count_what_is_seen(client: Client, there: dict[str, int]) -> None:
    page = client.get(reverse("tasks")).content.decode()
    assert re.search(r"All\s+1\b", re.sub(r"<[^>]+>", " ", page))
    assert "Alarms, 1 uncleared" in page


def test_a_search_begun_before_the_limit_is_over(client: Client, limited: User, here: dict[str, int]) -> None:
    client.post(reverse("restoration-new-source"), SOURCE | {"cluster": here["cluster"]})
    assert client.get(reverse("restoration-found")).status_code == 200
    Person.objects.get(user=limited).clusters.clear()
    assert client.get(reverse("restoration-found")).status_code == 302


def test_who_registers_a_cluster_sees_it(client: Client, limited: User) -> None:
    client.post(reverse("cluster-new"), {"name": "new-one", "ip_mode": "ipv4"})
    made = Cluster.objects.get(name="new-one")
    assert client.get(reverse("cluster", args=[made.pk])).status_code == 200
    assert made in Person.objects.get(user=limited).clusters.all()


# --- Django admin ---------------------------------------------------------------------------------------------------
ADMIN = {"auditevent": "event", "run": "run", "backupfile": "file", "logline": "line"}


@pytest.mark.parametrize("role", [ADMINISTRATOR, AUDITOR])
@pytest.mark.parametrize("page", ADMIN)
def test_records_of_a_foreign_cluster_are_not_found(
    page: str, role: str, here: dict[str, int], there: dict[str, int], person: MakePerson
) -> None:
    client = Client()
    client.force_login(limit(person(role), Cluster.objects.get(pk=here["cluster"])))
    response = client.get(reverse(f"admin:tasks_{page}_changelist"))
    assert response.status_code == 200 and WORD not in text_of(response)
    detail = f"admin:tasks_{page}_change"
    assert client.get(reverse(detail, args=[here[ADMIN[page]]])).status_code == 200
    response = client.get(reverse(detail, args=[there[ADMIN[page]]]), follow=True)
    assert WORD not in text_of(response) and reverse("admin:index") in response.redirect_chain[0][0]


def test_events_name_their_cluster(client: Client, here: dict[str, int]) -> None:
    client.post(reverse("task-suspend", args=[here["task"]]))
    event = AuditEvent.objects.get(verb="suspend task")
    assert event.cluster_id == here["cluster"]
