"""Random secrets in every secret field of every path type, and a search for them everywhere afterwards."""

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
from tasks.models import Alarm, AuditEvent, BackupTask, Cluster, Node, OutboxMessage, Restoration, Run
from tasks.permissions import seed_roles
from tests.engine.kit import log_of, run_now
from tests.notify_kit import mail_channel
from tests.servers.openssh import OpenSSH, openssh
from tests.servers.samba import Samba, samba
from tests.servers.unixkit import free_port
from tests.unit.test_storage_forms import GOOD, HOST_KEY
from tests.web.restoration_kit import make_restoration
from tests.web.test_permission_matrix import MATRIX, routes

__all__ = ["openssh", "samba"]
pytestmark = pytest.mark.django_db(transaction=True)


# --- Secrets --------------------------------------------------------------------------------------------------------
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


@pytest.fixture
def search(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Search:
    seed_roles(apps)
    monkeypatch.setattr(spool, "PAUSES", (0.0, 0.0))
    caplog.set_level(logging.DEBUG)
    return Search()


@pytest.fixture
def client(search: Search) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root-of-console", password="x"))
    return client


# --- Where to look --------------------------------------------------------------------------------------------------
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


# --- The tests ------------------------------------------------------------------------------------------------------
def form_values(cluster: Cluster, name: str, **changes: Any) -> dict[str, Any]:
    own = {**GOOD[name], **changes}
    for field in next(kind for kind in all_path_types() if kind.name == name).secret_fields:
        if field not in changes:
            own.pop(field, None)
    task = {"name": "planted", "cluster": cluster.pk, "mode": "manual", "sources": ["iotdb-metadata"], "assign": "all"}
    return {**task, "path_type": name, "shown_type": name, **own}


@pytest.mark.parametrize(("name", "fields"), planted())
def test_no_secret_is_found_after_everything_went_wrong(
    search: Search,
    client: Client,
    node: Node,
    storage_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: Any,
    name: str,
    fields: tuple[str, ...],
) -> None:
    """Errors of the form, Verify, create, configure, two people at once, a run that fails, copy and delete."""
    cluster, port = node.service.cluster, free_port()
    where = {"ip_mode": "ipv4", "server_ip": "127.0.0.1", "port": port}
    where |= {"host_key": f"{HOST_KEY} 127.0.0.1 {port}"} if name == "SFTP" else {}
    new = form_values(cluster, name, **where, **search.plant(fields))
    search.response("errors", client.post("/backups/new/", new | {"shared_path": "/", "copies": "many"}))
    search.response("verify", client.post("/backups/new/verify/", new))
    search.response("verify lines", client.post("/backups/new/verify/", new, HTTP_X_VERIFY_LINES="1"))
    assert search.response("create", client.post("/backups/new/", new)).status_code == 302
    task = BackupTask.objects.get()
    assert task.secrets()
    search.response("list", client.get("/backups/"))
    address = reverse("task-configure", args=[task.pk])
    changed = form_values(cluster, name, **where, **search.plant(fields)) | {"version": task.version}
    assert search.response("configure", client.post(address, changed)).status_code == 302
    stale = form_values(cluster, name, **where, **search.plant(fields)) | {"version": task.version}
    assert search.response("conflict", client.post(address, stale)).status_code == 409
    search.response("verify saved", client.post(reverse("task-verify", args=[task.pk])))
    run = run_now(task)
    assert run.error_code == "unreachable", log_of(run)
    search.response("copy", client.get(reverse("task-copy", args=[task.pk])))
    look_everywhere(search, client, caplog, capfd)
    search.response("delete", client.post(reverse("task-delete", args=[task.pk]), follow=True))
    assert search.hits() == []


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "fixture"),
    [
        pytest.param("SFTP", "openssh", marks=pytest.mark.xdist_group("openssh")),
        pytest.param("CIFS", "samba", marks=pytest.mark.xdist_group("samba")),
    ],
)
def test_no_secret_is_found_after_a_server_refused_it(
    search: Search,
    client: Client,
    node: Node,
    storage_path: Path,
    make_task: Any,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    capfd: Any,
    name: str,
    fixture: str,
) -> None:
    server: OpenSSH | Samba = request.getfixturevalue(fixture)
    task: BackupTask = make_task("planted", path_type=name, destination=server.parameters())
    task.set_secrets(search.plant(("password",)))
    task.save()
    run = run_now(task)
    assert run.error_code == "authentication", log_of(run)
    search.response("verify saved", client.post(reverse("task-verify", args=[task.pk])))
    look_everywhere(search, client, caplog, capfd)
    assert search.hits() == []


@pytest.mark.parametrize(("name", "fields"), planted())
def test_no_secret_of_a_search_for_sets_is_found(
    search: Search,
    client: Client,
    node: Node,
    make_task: Any,
    storage_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: Any,
    name: str,
    fields: tuple[str, ...],
) -> None:
    """Errors of the form, Verify, a search that fails, an archive that cannot be had: what was typed is in no page."""
    cluster, port = node.service.cluster, free_port()
    run_now(make_task("before"))
    where = {"ip_mode": "ipv4", "server_ip": "127.0.0.1", "port": port}
    where |= {"host_key": f"{HOST_KEY} 127.0.0.1 {port}"} if name == "SFTP" else {}
    own = {key: value for key, value in form_values(cluster, name, **where).items() if key not in ("copies", "name")}
    new = own | {"name": "planted", **search.plant(fields)}
    source = "/restorations/new/source/"
    search.response("errors", client.post(source, new | {"name": ""}))
    search.response("verify", client.post(f"{source}verify/", new))
    search.response("verify lines", client.post(f"{source}verify/", new, HTTP_X_VERIFY_LINES="1"))
    directory = {"shared_path": "/srv/backup/daily_20261101000000/2.0.1_IoTDB_20261101000000.tar.gz"}
    search.response("archive", client.post(source, new | directory))
    assert client.post(source, new).status_code == 302
    search.take("session", json.dumps(dict(client.session)))
    search.response("found", client.get("/restorations/found/"))
    search.response("choose", client.post("/restorations/found/", {"name": "planted", "set": "a_20261101000000/1"}))
    look_everywhere(search, client, caplog, capfd)
    assert search.hits() == []


def test_the_search_finds_what_is_there(search: Search, node: Node, make_task: Any) -> None:
    """The search itself is tried on a secret that leaks into a log, a row and a page."""
    value = search.plant(("password",))["password"]
    make_task("leaky", destination={"password": value})
    tables(search)
    search.take("log", f"login with {value}")
    search.take("page", base64.b64encode(value.encode()))
    assert {hit.partition(":")[0] for hit in search.hits()} == {"table tasks_backuptask", "log", "page"}
