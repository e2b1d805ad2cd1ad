"""A console with one of everything that has a figure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks import alarms
from tasks.engine import totals
from tasks.models import BackupTask, Cluster, DestinationSpace, Maintenance, Pulse, Run
from tasks.states import Kind, Mode, RunState
from tests.conftest import MakeRun, MakeTask

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fill(make_task: MakeTask, make_run: MakeRun) -> BackupTask:
    """Make it, and return its task ``daily``, which has every figure that a task may have."""
    daily = make_task(
        "daily", mode=Mode.PERIODIC, path_type="NFS", started=NOW + HOUR, check_after_days=7, rehearse_after_days=30
    )
    run = make_run(daily, RunState.SUCCESSFUL, NOW - DAY)
    BackupTask.objects.filter(pk=daily.pk).update(
        expected_at=NOW + HOUR, last_checked_at=NOW - 2 * HOUR, last_rehearsed_at=NOW - DAY, proof_problem="Damaged."
    )
    make_task("hand")
    other = make_task("busy", cluster=Cluster.objects.create(name="west"), suspended=True, mode=Mode.PERIODIC)
    make_run(other, RunState.RUNNING, NOW)
    make_run(make_task("queued"), RunState.WAITING, NOW - HOUR)
    totals.add([run, Run(cluster=other.cluster, kind=Kind.CHECK, state=RunState.FAILED)])
    alarms.raise_alarm("backup-failed", f"task {daily.pk}", cause="It failed.", place="daily")
    for name in ("tick", "supervisor"):
        Pulse.beat(name, NOW - timedelta(seconds=30))
    Maintenance.objects.create(pk=1, since=NOW - HOUR, set_by="anna", reason="Disks")
    for key, full in (("a" * 64, NOW + 9 * DAY), ("b" * 64, None)):
        DestinationSpace.objects.create(
            key=key, path_type="NFS", label="nfs-1:/srv", free_bytes=25, total_bytes=100, read_at=NOW, full_at=full
        )
    DestinationSpace.objects.create(key="c" * 64, label="DATA_DIR", own=True, read_at=NOW, low=True)
    return daily
