"""Who may: every route, every role, both methods. A route that is missing in the table fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from tasks.alarms import raise_alarm
from tasks.audit import CONSOLE, record
from tasks.models import (
    Alarm,
    AuditEvent,
    BackupTask,
    Cluster,
    Lockout,
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
    AUDITOR,
    INVENTORY,
    MANAGE,
    PEOPLE,
    RESTORE,
    ROLES,
    RUN,
    SYSTEM,
    VIEW,
)
from tasks.states import Mode, RunState
from tests.notify_kit import mail_channel
from tests.web.restoration_kit import make_copy, make_restoration, steps_at
from tests.web.restoration_kit import make_run as make_restoration_run

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


def routes() -> Iterator[URLPattern]:
    """Yield every route of the console but Django admin's, which has tests of its own."""
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLPattern):
            yield entry
        elif getattr(entry, "app_name", None) != "admin":
            yield from entry.url_patterns


@pytest.fixture
def world(cluster: Cluster, service: Service, node: Node, make_task: Any, make_run: Any) -> dict[str, int]:
    """One of each thing; the ids that a route's name calls for."""
    Service.objects.create(cluster=cluster, name="IoTDB-1")
    task: BackupTask = make_task(mode=Mode.PERIODIC)
    run: Run = make_run(task, RunState.SUCCESSFUL, parameters={"path_type": "LocalDir", "destination": {}})
    restoration = make_restoration(cluster)
    restored: Run = make_restoration_run(restoration, RunState.RUNNING, steps=steps_at("confirm"))
    make_copy(restored)
    alarm = raise_alarm("backup-failed", f"task {task.pk}", cause="It failed.", place=task.name)
    event = record(CONSOLE, "create task", task)
    lockout = Lockout.objects.create(rule="address", address="10.0.0.9", until=timezone.now() + timedelta(hours=1))
    found = {"task": task.pk, "run": run.pk, "cluster": cluster.pk, "service": service.pk, "node": node.pk}
    channel = mail_channel(User.objects.create_user("owner of a channel"))
    message = OutboxMessage.objects.create(channel=channel, first_batch=1, last_batch=1)
    found |= {"channel": channel.pk, "message": message.pk}
    found |= {
        "alarm": alarm.pk,
        "event": event.pk,
        "lockout": lockout.pk,
        "restoration": restoration.pk,
        "restored": restored.pk,
    }
    somebody = User.objects.create_user("somebody")
    return found | {"person": somebody.pk, "session": PersonSession.objects.create(user=somebody, token="t").pk}


def address(name: str, world: dict[str, int]) -> str:
    route = next(route for route in routes() if route.name == name)
    if "pk" not in route.pattern.converters:
        return reverse(name)
    # The first part of the address says what its number counts.
    kind = {"backups": "task", "runs": "run", "clusters": "cluster", "services": "service", "nodes": "node"}
    kind |= {"alarms": "alarm", "restorations": "restoration", "channels": "channel", "messages": "message"}
    kind |= {"audit": "event", "lockouts": "lockout"}
    kind |= {"people": "person", "sessions": "session"}
    thing = "restored" if name == "safety-copies-remove" else kind[str(route.pattern).split("/")[0]]
    return reverse(name, args=[world[thing]])


def test_the_table_holds_every_route() -> None:
    assert {route.name for route in routes()} == set(MATRIX) | PUBLIC


def ask(client: Client, method: str, url: str) -> HttpResponse:
    """Send a request and take back whatever it changed, so that the next one finds the same world."""
    with transaction.atomic():
        response = getattr(client, method)(url)
        transaction.set_rollback(True)
    return response


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


ADMIN_PAGES = ["auditevent", "run", "backupfile", "logline"]


@pytest.mark.parametrize("role", ["", *ROLES])
@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_records_are_read_by_auditors_and_administrators_only(page: str, role: str, person: Any) -> None:
    client = Client()
    client.force_login(person(role))
    status = client.get(reverse(f"admin:tasks_{page}_changelist")).status_code
    assert (status == 200) == (role in (AUDITOR, ADMINISTRATOR))


def records(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_records_cannot_be_changed_by_anybody(page: str, world: dict[str, int], person: Any) -> None:
    superuser = person(ADMINISTRATOR)
    superuser.is_superuser = superuser.is_staff = True
    superuser.save()
    client = records(superuser)
    assert client.get(reverse(f"admin:tasks_{page}_add")).status_code == 403
    changelist = reverse(f"admin:tasks_{page}_changelist")
    assert client.post(changelist, {"action": "delete_selected"}).status_code in (200, 403)
    if page == "run":
        change = reverse("admin:tasks_run_change", args=[world["run"]])
        assert client.get(change).status_code == 200
        assert b"lease" not in client.get(change).content
        assert client.post(change, {"state": "failed"}).status_code == 403
        assert client.post(reverse("admin:tasks_run_delete", args=[world["run"]]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("page", ["schedule", "success", "failure", "ormq"])
def test_nobody_runs_functions_through_the_pages_of_the_queue(page: str, person: Any) -> None:
    superuser = person(ADMINISTRATOR)
    superuser.is_superuser = superuser.is_staff = True
    superuser.save()
    client = records(superuser)
    assert client.get(reverse(f"admin:django_q_{page}_changelist")).status_code == 200
    payload = {"func": "os.system", "args": "'id'", "schedule_type": "O"}
    assert client.post(reverse(f"admin:django_q_{page}_add"), payload).status_code == 403


def test_people_are_looked_after_at_one_place_only(person: Any) -> None:
    superuser = person(ADMINISTRATOR)
    superuser.is_superuser = superuser.is_staff = True
    superuser.save()
    client = records(superuser)
    for page in ("user", "group"):
        assert client.get(f"/admin/auth/{page}/").status_code == 404
    assert client.get("/admin/password_change/")["Location"] == reverse("password")
