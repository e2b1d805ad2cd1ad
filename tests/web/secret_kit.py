"""Random secrets, whatever leaves the console, and a search for them in it."""

from __future__ import annotations

import base64
import io
import json
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from storage.registry import all_path_types
from tasks.alarms import raise_alarm
from tasks.engine import spool
from tasks.models import Alarm, AuditEvent, BackupTask, Node, OutboxMessage, Restoration, Run
from tasks.permissions import seed_roles
from tests.engine.kit import log_of
from tests.notify_kit import mail_channel
from tests.web.restoration_kit import make_restoration
from tests.web.routes_kit import routes
from tests.web.test_permission_matrix import MATRIX


def locked_key(passphrase: str) -> str:
    text = io.StringIO()
    paramiko.ECDSAKey.generate().write_private_key(text, passphrase)
    return text.getvalue()


def planted() -> list[Any]:
    """Return every path type with a set of its secret fields that can be given together."""
    found = []
    for path_type in all_path_types():
        keys = tuple(name for name in path_type.secret_fields if name in ("private_key", "passphrase"))
        others = tuple(name for name in path_type.secret_fields if name not in keys)
        found += [
            pytest.param(path_type.name, names, id=f"{path_type.name}-{names[0]}") for names in (others, keys) if names
        ]
    return found


def make_secrets(names: tuple[str, ...]) -> dict[str, str]:
    # Characters that HTML, JSON and shells write in another way are tested apart, by what is left of the value.
    values = {name: f"Planted{secrets.token_hex(12)}" for name in names}
    if "private_key" in values:
        values["private_key"] = locked_key(values["passphrase"])
    return values


def needles(values: dict[str, str]) -> list[bytes]:
    """Return what to look for: each secret, a line of each key, and both in base64."""
    plain = [max(value.splitlines(), key=len) for value in values.values()]
    found = [text.encode() for text in plain]
    assert min(map(len, found)) > 20
    return [*found, *(base64.b64encode(text)[:-4] for text in found), *(text.hex().encode() for text in found)]


class Search:
    """Collects whatever leaves the console, and tells where a secret was found in it."""

    def __init__(self) -> None:
        self.planted: list[bytes] = []
        self.places: dict[str, list[bytes]] = {}

    def plant(self, names: tuple[str, ...]) -> dict[str, str]:
        values = make_secrets(names)
        self.planted += needles(values)
        return values

    def take(self, place: str, content: bytes | str) -> None:
        self.places.setdefault(place, []).append(content.encode() if isinstance(content, str) else content)

    def response(self, place: str, response: Any) -> HttpResponse:
        content = b"".join(response.streaming_content) if response.streaming else response.content
        self.take(place, content + str(response.headers).encode() + str(response.cookies).encode())
        found: HttpResponse = response
        return found

    def hits(self) -> list[str]:
        return [
            f"{place}: {needle[:20]!r}"
            for place, contents in self.places.items()
            for needle in self.planted
            if any(needle in content for content in contents)
        ]


@pytest.fixture(name="search")
def search_for_secrets(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Search:
    seed_roles(apps)
    monkeypatch.setattr(spool, "PAUSES", (0.0, 0.0))
    caplog.set_level(logging.DEBUG)
    return Search()


@pytest.fixture(name="client")
def browser_of_a_superuser(search: Search) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root-of-console", password="x"))
    return client


def look_everywhere(search: Search, client: Client, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    pages(search, client)
    tables(search)
    for package in OrmQ.objects.all():
        search.take("queue", repr(SignedPackage.loads(package.payload)))
    for path in files():
        search.take(f"file {path.name}", path.read_bytes())
    search.take("log", caplog.text + "".join(repr(record.__dict__) for record in caplog.records))
    for record in caplog.records:
        search.take("traceback", logging.Formatter().format(record))
    search.take("output", "".join(capfd.readouterr()))
    for run in Run.objects.all():
        search.take("parameters", json.dumps(run.parameters) + log_of(run) + run.reason)
    search.take("audit", json.dumps([[event.before, event.after, event.note] for event in AuditEvent.objects.all()]))


def pages(search: Search, client: Client) -> None:
    """Take every page that can be looked at, Django admin's among them."""
    task, run, node = BackupTask.all_tasks.latest("pk"), Run.objects.latest("pk"), Node.objects.get()
    restoration = Restoration.objects.first() or make_restoration(node.service.cluster)
    numbers = {"backups": task.pk, "runs": run.pk, "clusters": node.service.cluster_id}
    numbers |= {"services": node.service_id, "nodes": node.pk, "restorations": restoration.pk}
    channel = mail_channel(User.objects.get(username="root-of-console"))
    message = OutboxMessage.objects.create(channel=channel, first_batch=1, last_batch=1)
    alarm = Alarm.objects.first() or raise_alarm("backup-failed", f"task {task.pk}", cause="x", place=task.name)
    numbers |= {"alarms": alarm.pk, "sessions": 0}
    numbers |= {"channels": channel.pk, "messages": message.pk, "people": channel.user_id}
    numbers["audit"] = AuditEvent.objects.latest("pk").pk
    for route in routes():
        if MATRIX.get(route.name, (None,))[0] is None:
            continue
        kind = str(route.pattern).split("/")[0]
        args = [numbers[kind]] if "pk" in route.pattern.converters else []
        search.response(f"page {route.name}", client.get(reverse(route.name, args=args)))
    for path in ("/livez", "/readyz", "/metrics"):
        found = search.response(f"probe {path}", client.get(path))
        assert found.status_code != 401, "it is searched where it tells all"
    for model in ("auditevent", "run", "backupfile", "logline"):
        search.response(f"admin {model}", client.get(reverse(f"admin:tasks_{model}_changelist")))
    search.response("admin run", client.get(reverse("admin:tasks_run_change", args=[run.pk])))
    for event in AuditEvent.objects.all():
        search.response("admin audit", client.get(reverse("admin:tasks_auditevent_change", args=[event.pk])))
        search.response("audit", client.get(reverse("audit-event", args=[event.pk])))
    for form in ("csv", "jsonl"):
        search.response(f"audit {form}", client.post(reverse("audit-export"), {"format": form}))


def tables(search: Search) -> None:
    """Take every row of every table, the queue's and the sessions' among them."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            search.take(f"table {table}", repr(cursor.fetchall()))


def files() -> Iterator[Path]:
    """Yield what the console wrote: database, spool, cache, archives."""
    places = (Path(settings.DATA_DIR), Path(settings.DATA_STORAGE_PATH))
    yield from {path for place in places for path in place.rglob("*") if path.is_file() and "static" not in path.parts}
