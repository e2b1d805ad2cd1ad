"""A task that is due, and what stands in the queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from tasks.engine import dispatch
from tasks.models import BackupTask, Cluster
from tasks.states import Mode
from tests.conftest import MakeTask

# 03:00 in the console's zone, Europe/Berlin.
DUE = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))


@pytest.fixture(name="daily")
def task_that_is_due_daily(make_task: MakeTask) -> BackupTask:
    """A task that is due at ``DUE``, every day."""
    return make_task(mode=Mode.PERIODIC, started=DUE, next_run_at=DUE)


def queued() -> list[int]:
    """Return the runs whose ids are in django-q's queue, in order."""
    return [item.task["args"][0] for item in OrmQ.objects.order_by("pk") if item.task["func"] == dispatch.EXECUTE]


def make_due(count: int, cluster: Cluster) -> None:
    """Make tasks that were due a moment ago, now."""
    moment = timezone.now() - SECOND
    BackupTask.objects.bulk_create(
        BackupTask(
            name=f"due-{count}-{number}", cluster=cluster, mode=Mode.PERIODIC, started=moment, next_run_at=moment,
            path_type="LocalDir", copies=1,
        )
        for number in range(count)
    )  # fmt: skip
