"""Every route of the console, and one of each thing that a route's name calls for."""

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
    BackupTask,
    Cluster,
    Lockout,
    Node,
    OutboxMessage,
    PersonSession,
    Run,
    Service,
)
from tasks.states import Mode, RunState
from tests.notify_kit import mail_channel
from tests.web.restoration_kit import make_copy, make_restoration, steps_at
from tests.web.restoration_kit import make_run as make_restoration_run


def routes() -> Iterator[URLPattern]:
    """Yield every route of the console but Django admin's, which has tests of its own."""
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLPattern):
            yield entry
        elif getattr(entry, "app_name", None) != "admin":
            yield from entry.url_patterns


@pytest.fixture(name="world")
def world_of_one_of_each(
    cluster: Cluster, service: Service, node: Node, make_task: Any, make_run: Any
) -> dict[str, int]:
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


def ask(client: Client, method: str, url: str) -> HttpResponse:
    """Send a request and take back whatever it changed, so that the next one finds the same world."""
    with transaction.atomic():
        response = getattr(client, method)(url)
        transaction.set_rollback(True)
    return response
