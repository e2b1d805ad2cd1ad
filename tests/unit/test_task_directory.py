"""The directory of a task keeps its name whatever becomes of the console's zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from tasks.models import BackupTask

CREATED = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)


def test_a_changed_zone_does_not_move_a_task(make_task: Any, monkeypatch: Any) -> None:
    task = make_task("daily", created_at=CREATED)
    assert task.directory == "daily_20260601050000"
    monkeypatch.setattr(timezone, "get_default_timezone", lambda: ZoneInfo("Asia/Tokyo"))
    task.copies = 3
    task.save()
    assert BackupTask.objects.get().directory == "daily_20260601050000"
    assert make_task("later", created_at=CREATED).directory == "later_20260601120000"
