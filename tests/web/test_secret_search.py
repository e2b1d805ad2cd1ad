"""Random secrets in every secret field of every path type, and a search for them everywhere afterwards."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from storage.registry import all_path_types
from tasks.models import BackupTask, Cluster, Node
from tests.engine.kit import log_of, run_now
from tests.servers.openssh import OpenSSH, openssh
from tests.servers.samba import Samba, samba
from tests.servers.unixkit import free_port
from tests.unit.test_storage_forms import GOOD, HOST_KEY
from tests.web.secret_kit import (
    Search,
    browser_of_a_superuser,  # noqa: F401
    look_everywhere,
    planted,
    search_for_secrets,  # noqa: F401
    tables,
)

__all__ = ["openssh", "samba"]
pytestmark = pytest.mark.django_db(transaction=True)


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
