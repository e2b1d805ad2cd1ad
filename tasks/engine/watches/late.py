"""The alarm of tasks that are overdue (``tasks.overdue``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from tasks import alarms
from tasks.alarms import Told
from tasks.engine.watches.reconciling import reconcile, tasks_of
from tasks.models import BackupTask, Maintenance
from tasks.overdue import is_overdue, overdue

CODE = "task-overdue"
_FAILED = "backup-failed"


def watch(now: datetime) -> int:
    """Raise the alarm of tasks that are overdue and clear it of others; return how many are overdue.

    A task of which the last scheduled run failed has its alarm for that already, and gets none besides. None is raised
    during maintenance, nor so soon after it that no run can have made up for it.
    """
    late = BackupTask.objects.filter(is_overdue(now)).order_by("expected_at", "pk")
    rows = alarms.uncleared().filter(code__in=(CODE, _FAILED)).values_list("code", "subject", "renewed_at")
    told: dict[str, dict[str, datetime]] = {_FAILED: {}, CODE: {}}
    for code, subject, renewed_at in rows:
        told[code][subject] = renewed_at
    started = {f"task {pk}": at for pk, at in late.values_list("pk", "last_started_at")}
    wanted = [one for one in started if one in told[CODE] or one not in told[_FAILED]]
    # Another start has come and gone since, and the cause is a newer one.
    changed = {one for one in told[CODE] if (at := started.get(one)) is not None and at > told[CODE][one]}
    reconcile(CODE, wanted, lambda new: _describe(new, now), now, changed)
    return len(started)


def _describe(subjects: list[str], now: datetime) -> Mapping[str, Told]:
    found: dict[str, Told] = {}
    if Maintenance.current().ended_since(now - settings.OVERDUE_GRACE):
        return found
    for subject, task in tasks_of(subjects).items():
        late = overdue(task, now)
        # A success may have come since.
        if late is not None:
            found[subject] = Told(
                cause=late.words,
                cure="Put right what kept it, then press Back Up Now.",
                place=task.name,
                cluster=task.cluster,
                link=reverse("task-history", args=[task.pk]),
            )
    return found
