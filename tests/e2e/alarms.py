"""Alarms of a live console: some stand, one is acknowledged, some are cleared."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.models import BackupTask


def seed(failing: BackupTask, damaged: BackupTask, reason: str, now: datetime) -> None:
    """Raise what the runs of the seed would have raised, a critical one, one that is acknowledged; two are cleared."""
    from django.urls import reverse

    from tasks import alarms
    from tasks.models import Cluster, Run

    def about(task: BackupTask) -> dict[str, Any]:
        return {"place": task.name, "cluster": task.cluster, "link": reverse("task-history", args=[task.pk])}

    hour = timedelta(hours=1)
    cure = "Put the cause right, then press Back Up Now."
    for at in (now - 29 * hour, now - 5 * hour):
        cause = f"2 runs in a row. {reason}"
        alarms.raise_alarm("backup-failed", f"task {failing.pk}", cause=cause, cure=cure, **about(failing), now=at)
    run = Run.objects.get(damaged_at__isnull=False, task=damaged)
    cause = f"The set is damaged. {run.damage}"
    cure = "Do not restore from it. Run the task again, and look at the disk of the destination."
    subject = f"run {run.pk}"
    alarms.raise_alarm("set-damaged", subject, cause=cause, cure=cure, **about(damaged), now=now - 48 * hour)
    depot = Cluster.objects.get(name="depot")
    cause = "The restored IoTDB did not start, and what was there before could not be renamed back: permission denied."
    cure = "Write nothing to the cluster. Find the step that failed, put the cause right, then press Roll Back."
    where = {"place": "depot-back", "cluster": depot, "link": reverse("restorations"), "now": now - 20 * hour}
    alarms.raise_alarm("restoration-unknown", f"cluster {depot.pk}", cause=cause, cure=cure, **where)
    where = about(failing) | {"now": now - 200 * hour}
    alarms.raise_alarm("rehearsal-failed", f"task {failing.pk}", cause="The ports were in use.", **where)
    alarms.clear("rehearsal-failed", f"task {failing.pk}", now=now - 190 * hour)
    where = {"place": "node1", "cluster": depot, "link": reverse("cluster", args=[depot.pk]), "now": now - 30 * hour}
    cause = "The clock of node node1 (10.20.4.18) is 47 s behind that of mgmt-1 (limit 30 s)."
    cure = "Point both at the same NTP source."
    drift = alarms.raise_alarm("clock-drift", "node 0", cause=cause, cure=cure, **where)
    alarms.acknowledge(drift, "operator", "The NTP server is replaced on Thursday.", now - 29 * hour)
    cause = "The last tick of the workers was at 2026-11-24 03:02 +01:00. Until they tick again no backup is started."
    alarms.raise_alarm("workers-silent", "workers", cause=cause, place="mgmt-1", link="/backups/", now=now - 4 * hour)
    alarms.clear("workers-silent", "workers", now=now - 4 * hour + timedelta(minutes=4))
