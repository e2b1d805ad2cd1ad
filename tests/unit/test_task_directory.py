"""The directory of a task keeps its name whatever becomes of the console's zone."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db import connection
from django.utils import timezone

from tasks.models import BackupFile, BackupTask

CREATED = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)


def test_a_changed_zone_does_not_move_a_task(make_task: Any, monkeypatch: Any) -> None:
    task = make_task("daily", created_at=CREATED)
    assert task.directory == "daily_20260601050000"
    monkeypatch.setattr(timezone, "get_default_timezone", lambda: ZoneInfo("Asia/Tokyo"))
    task.copies = 3
    task.save()
    assert BackupTask.objects.get().directory == "daily_20260601050000"
    assert make_task("later", created_at=CREATED).directory == "later_20260601120000"


def test_the_migration_takes_the_directory_of_the_files(make_task: Any, make_run: Any) -> None:
    with_files, without = make_task("a", created_at=CREATED), make_task("b", created_at=CREATED)
    deleted = make_task("c", created_at=CREATED, deleted_at=CREATED)
    make_run(with_files)
    BackupFile.objects.update(directory="a_20260601030000")
    BackupTask.all_tasks.update(directory="")
    migration = import_module("tasks.migrations.0003_task_directory")
    migration.name_directories(apps, connection.schema_editor())
    found = dict(BackupTask.all_tasks.values_list("pk", "directory"))
    assert found == {
        with_files.pk: "a_20260601030000",
        without.pk: "b_20260601050000",
        deleted.pk: "c_20260601050000",
    }
