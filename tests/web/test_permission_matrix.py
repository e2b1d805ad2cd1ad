"""Who may: every route, every role, both methods. A route that is missing in the table fails the test."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks.models import (
    Alarm,
    AuditEvent,
    BackupTask,
    Cluster,
    Node,
    NotificationChannel,
    OutboxMessage,
    PersonSession,
    Restoration,
    Run,
    SafetyCopy,
    Service,
)
from tasks.permissions import (
    ADMINISTRATOR,
    AUDIT,
    INVENTORY,
    MANAGE,
    PEOPLE,
    RESTORE,
    ROLES,
    RUN,
    SYSTEM,
    VIEW,
)
from tests.web.routes_kit import (
    address,
    ask,
    routes,
    world_of_one_of_each,  # noqa: F401
)

# route: (permission that GET needs, permission that POST needs); None: the method is not there (405).
ANYBODY = "anybody"
MATRIX: dict[str, tuple[str | None, str | None]] = {
    "home": (ANYBODY, None),
    "home-news": (VIEW, None),
    "preferences": (ANYBODY, ANYBODY),
    "theme": (None, ANYBODY),
    "password": (ANYBODY, ANYBODY),
    "sessions": (ANYBODY, None),
    "sessions-end": (None, ANYBODY),
    "session-end": (None, ANYBODY),
    "tasks": (VIEW, None),
    "task-cells": (VIEW, None),
    "task-new": (MANAGE, MANAGE),
    "task-destination": (MANAGE, None),
    "task-next-runs": (MANAGE, None),
    "task-services": (MANAGE, None),
    "task-new-verify": (None, MANAGE),
    "task-configure": (MANAGE, MANAGE),
    "task-configure-verify": (None, MANAGE),
    "task-verify": (RUN, RUN),
    "task-copy": (MANAGE, MANAGE),
    "task-run": (None, RUN),
    "task-stop": (None, RUN),
    "task-suspend": (None, RUN),
    "task-resume": (None, RUN),
    "task-delete": (MANAGE, MANAGE),
    "tasks-run": (RUN, RUN),
    "tasks-stop": (RUN, RUN),
    "tasks-suspend": (RUN, RUN),
    "tasks-resume": (RUN, RUN),
    "tasks-delete": (MANAGE, MANAGE),
    "tasks-bulk-done": (VIEW, None),
    "task-history": (VIEW, None),
    "task-history-head": (VIEW, None),
    "task-compare": (VIEW, None),
    "run-row": (VIEW, None),
    "run-news": (VIEW, None),
    "run-log": (VIEW, None),
    "run-log-download": (VIEW, None),
    "run-path": (VIEW, None),
    "run-check": (None, RUN),
    "run-rehearse": (None, RUN),
    "run-salvage": (RESTORE, RESTORE),
    "restorations": (VIEW, None),
    "restoration-cells": (VIEW, None),
    "restoration-new": (RESTORE, None),
    "restoration-new-source": (RESTORE, RESTORE),
    "restoration-source-fields": (RESTORE, None),
    "restoration-new-verify": (None, RESTORE),
    "restoration-found": (RESTORE, RESTORE),
    "restoration": (VIEW, None),
    "restoration-news": (VIEW, None),
    "restoration-start": (RESTORE, RESTORE),
    "restoration-confirm": (RESTORE, RESTORE),
    "restoration-stop": (None, RESTORE),
    "restoration-rollback": (RESTORE, RESTORE),
    "restoration-delete": (RESTORE, RESTORE),
    "restoration-new-from-run": (None, RESTORE),
    "safety-copies-remove": (RESTORE, RESTORE),
    "alarms": (VIEW, None),
    "alarm-news": (VIEW, None),
    "alarms-acknowledge": (RUN, RUN),
    "alarms-cleared": (VIEW, None),
    "alarm-rules": (VIEW, None),
    "alarms-export": (VIEW, None),
    "alarm-acknowledge": (RUN, RUN),
    "alarm-take-back": (None, RUN),
    "alarm-clear": (None, RUN),
    "notifications": (VIEW, VIEW),
    "notification-task": (None, VIEW),
    "task-notifications": (VIEW, VIEW),
    "notification-channel-new": (VIEW, VIEW),
    "notification-channel-new-test": (None, VIEW),
    "notification-channel": (VIEW, VIEW),
    "notification-channel-test": (None, VIEW),
    "notification-channel-try": (None, VIEW),
    "notification-channel-delete": (VIEW, VIEW),
    "notification-retry": (None, VIEW),
    "notifications-system": (SYSTEM, SYSTEM),
    "notifications-system-test": (None, SYSTEM),
    "audit": (AUDIT, None),
    "audit-event": (AUDIT, None),
    "audit-export": (None, AUDIT),
    "management-nodes": (SYSTEM, SYSTEM),
    "management-nodes-verify": (None, SYSTEM),
    "maintenance": (SYSTEM, SYSTEM),
    "maintenance-end": (None, SYSTEM),
    "rehearsals": (SYSTEM, None),
    "people": (PEOPLE, None),
    "person-new": (PEOPLE, PEOPLE),
    "person": (PEOPLE, None),
    "person-edit": (PEOPLE, PEOPLE),
    "person-password": (PEOPLE, PEOPLE),
    "person-disable": (PEOPLE, PEOPLE),
    "person-enable": (None, PEOPLE),
    "person-sessions-end": (None, PEOPLE),
    "person-lockouts-end": (None, PEOPLE),
    "lockouts": (PEOPLE, None),
    "lockout-end": (None, PEOPLE),
    "clusters": (VIEW, None),
    "cluster-new": (INVENTORY, INVENTORY),
    "cluster": (VIEW, None),
    "cluster-edit": (INVENTORY, INVENTORY),
    "cluster-delete": (INVENTORY, INVENTORY),
    "service-new": (INVENTORY, INVENTORY),
    "service-edit": (INVENTORY, INVENTORY),
    "service-delete": (INVENTORY, INVENTORY),
    "service-check": (None, INVENTORY),
    "node-new": (INVENTORY, INVENTORY),
    "node-new-verify": (None, INVENTORY),
    "node-edit-verify": (None, INVENTORY),
    "node-edit": (INVENTORY, INVENTORY),
    "node-delete": (INVENTORY, INVENTORY),
    "node-check": (None, INVENTORY),
}
PUBLIC = {"login", "logout"}


def test_the_table_holds_every_route() -> None:
    assert {route.name for route in routes()} == set(MATRIX) | PUBLIC


def state() -> list[Any]:
    """What a request may change."""
    models = (Alarm, Run, Node, Service, Cluster, Restoration, SafetyCopy, NotificationChannel, OutboxMessage)
    rows = [list(model.objects.values()) for model in (*models, User, PersonSession)]
    # What was refused is on record, and that is all.
    return [*rows, list(BackupTask.all_tasks.values()), AuditEvent.objects.exclude(result="refused").count()]


def test_strangers_are_sent_to_the_login(world: dict[str, int], client: Client) -> None:
    for name in MATRIX:
        for method in ("get", "post"):
            response = ask(client, method, address(name, world))
            assert response.status_code == 302, name
            assert response["Location"].startswith(reverse("login")), name


@pytest.mark.parametrize("role", ["", *ROLES])
def test_roles(role: str, world: dict[str, int], person: Any) -> None:
    client, user = Client(), person(role)
    client.force_login(user)
    # A person has channels of their own only; those of others are not found.
    NotificationChannel.objects.update(user=user)
    # Everybody ends sessions of their own.
    world["session"] = PersonSession.objects.get(user=user).pk
    wrong = []
    for name, needs in MATRIX.items():
        for method, needed in zip(("get", "post"), needs, strict=True):
            status = ask(client, method, address(name, world)).status_code
            if needed is None:
                right = status in (405, 403)
            elif needed == ANYBODY or user.has_perm(needed):
                right = status in (200, 204, 302, 400)
            else:
                right = status == 403
            if not right:
                wrong.append((name, method, status))
    assert wrong == []


def test_nothing_changes_without_the_token_of_the_page(world: dict[str, int], person: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person(ADMINISTRATOR))
    before = state()
    for name in MATRIX:
        assert client.post(address(name, world)).status_code in (403, 405), name
    assert state() == before


def test_looking_changes_nothing(world: dict[str, int], person: Any) -> None:
    client = Client()
    client.force_login(person(ADMINISTRATOR))
    before = state()
    for name in MATRIX:
        client.get(address(name, world))
    assert state() == before


def test_ids_that_are_not_there_are_not_found(world: dict[str, int], person: Any) -> None:
    client = Client()
    administrator = person(ADMINISTRATOR)
    NotificationChannel.objects.update(user=administrator)
    client.force_login(administrator)
    missing = dict.fromkeys(world, 999_999)
    for name, (get, post) in MATRIX.items():
        if address(name, missing) == address(name, world):
            continue
        if get:
            assert client.get(address(name, missing)).status_code == 404, name
        if post:
            assert client.post(address(name, missing)).status_code == 404, name
