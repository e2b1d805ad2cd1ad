"""The text that the list's search looks through."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps
from django.db import connection

from storage.registry import all_path_types
from tasks.models import BackupTask
from tasks.searchtext import found_by, place_fields, search_text
from tests.conftest import MakeTask


def test_it_holds_no_secret_and_no_account() -> None:
    secrets = {name for path_type in all_path_types() for name in path_type.secret_fields}
    assert secrets and not secrets & set(place_fields()) and "username" not in place_fields()
    text = search_text("Nightly", {"server_ip": "FS1", "username": "svc", "password": "hunter2", "port": 22})
    assert text == "nightly\nfs1"


def test_what_stands_in_two_fields_is_not_found_as_one(db: None, make_task: MakeTask) -> None:
    make_task("east", destination={"server_ip": "10.0.0.1", "shared_path": "/srv"})
    assert not BackupTask.objects.filter(found_by("1/srv")).exists()
    assert BackupTask.objects.filter(found_by("0.1")).exists()


@pytest.mark.django_db
def test_the_migration_writes_it_for_all_tasks(make_task: MakeTask) -> None:
    tasks = [make_task(f"t{number}", destination={"server_ip": f"FS{number}"}) for number in range(3)]
    BackupTask.all_tasks.filter(pk=tasks[2].pk).update(deleted_at=tasks[2].created_at)
    BackupTask.all_tasks.update(search_text="")
    importlib.import_module("tasks.migrations.0013_search").fill(apps, connection.schema_editor())
    assert sorted(BackupTask.all_tasks.values_list("search_text", flat=True)) == ["t0\nfs0", "t1\nfs1", "t2\nfs2"]
