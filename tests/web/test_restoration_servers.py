"""Sets on real servers are found, and chosen by a click or by the path that View History shows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from storage.registry import get_path_type
from tasks import permissions, services
from tasks.audit import CONSOLE
from tasks.findsets import SourcePath
from tasks.models import Restoration
from tests.engine.kit import run_now
from tests.engine.test_pipeline_servers import (
    NAMES,
    SECRETS,
    clean,  # noqa: F401
    console,  # noqa: F401
    make_far,  # noqa: F401
    openssh,  # noqa: F401
    samba,  # noqa: F401
)
from tests.web.taskform_kit import text_of

pytest_plugins = ["tests.servers.nfs", "tests.servers.hdfs"]
pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]
SOURCE = "/restorations/new/source/"
FOUND = "/restorations/found/"


# The server of NFS has a port of its own here, which the form does not ask for.
@pytest.mark.parametrize("name", [name for name in NAMES if name.values != ("NFS",)])
def test_a_set_on_a_server_is_found_and_chosen(
    make_far: Any,  # noqa: F811
    clean: None,  # noqa: F811
    login: Any,
    name: str,
) -> None:
    task = make_far(name)
    file = run_now(task).files.get()
    client: Client = login(permissions.RESTORE_ADMINISTRATOR)
    form = {"name": "restore-1", "cluster": task.cluster_id, "path_type": name, "shown_type": name}
    form |= {**task.destination, **SECRETS.get(name, {})}
    if name == "SFTP":
        form["host_key"] = _trusted(client, form)

    assert client.post(SOURCE, form)["Location"] == FOUND
    page = client.get(FOUND)
    assert file.directory in text_of(page)
    key = f"{file.directory}/{file.name[-21:-7]}"
    assert f'value="{key}"' in page.content.decode()
    assert client.post(FOUND, {"name": "restore-1", "set": key}).status_code == 302
    _can_be_fetched(Restoration.objects.get(name="restore-1"), file)

    # The path as it is shown, typed as Source Path.
    path = get_path_type(name).path_field
    assert client.post(SOURCE, form | {"name": "restore-2", path: file.path}).status_code == 302
    _can_be_fetched(Restoration.objects.get(name="restore-2"), file)

    # Nothing was written there.
    with get_path_type(name).connect(task.destination, task.secrets()) as store:
        assert [entry.name for entry in store.list(file.directory)] == [file.name, f"{file.name}.manifest.json"]


@pytest.mark.xdist_group("nfs")
def test_a_set_on_nfs_is_found_and_chosen(make_far: Any, clean: None) -> None:  # noqa: F811
    task = make_far("NFS")
    file = run_now(task).files.get()
    search = services.Search("restore-1", task.cluster, "NFS", task.destination, SourcePath("/"))
    found = services.find_sets(CONSOLE, search)
    (one,) = [one for one in found.sets if one.directory == file.directory]
    assert (one.problem, one.size) == ("", file.size)
    _can_be_fetched(services.restore_found(CONSOLE, search, one.key, "restore-1", timezone.now()), file)


def _trusted(client: Client, form: dict[str, Any]) -> str:
    """Have the key of the server fetched by Verify, and return what its button sends."""
    lines = client.post(f"{SOURCE}verify/", form | {"host_key": ""}).content.decode()
    offered = re.search(r'name="host_key" value="([^"]+)"', lines)
    assert offered is not None, lines
    checked = text_of(client.post(f"{SOURCE}verify/", form | {"host_key": offered[1]}))
    assert "may log in" in checked and "Write, read" not in checked
    return offered[1]


def _can_be_fetched(restoration: Restoration, file: Any) -> None:
    assert [one["sha256"] for one in restoration.files] == [file.sha256]
    with get_path_type(restoration.path_type).connect(restoration.destination, restoration.secrets()) as store:
        assert store.stat(file.directory, file.name).size == file.size
