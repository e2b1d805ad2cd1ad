"""What the demonstration has to look after and to back up: made through the same verbs as a person's clicks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.errors import Refused
from tasks.models import BackupTask, Cluster, Node, Run
from tasks.services import TaskDraft
from tasks.states import Mode, PeriodUnit

CLUSTER = "sample"
PERIODIC, MANUAL = "sample-daily", "sample-on-demand"
COPIES = 7
SAMPLE = settings.BASE_DIR / "sample" / "iotdb-home"
# A worker takes a run within seconds; so long a wait means that none is there to take it.
CLAIM_SECONDS = 120.0


class DemoFailed(Exception):
    """The demonstration did not show what it should; the text says why."""


def sample_home() -> Path:
    """Return the sample's IoTDB home below ``DATA_DIR``, copied there where it is missing.

    The copy gets its name when it is whole, so that one that was interrupted is made anew.
    """
    home = settings.DATA_DIR / "sample-home"
    if not home.is_dir():
        part = home.with_name(home.name + ".partial")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(SAMPLE, part, symlinks=True)
        part.rename(home)
    return Path(home)


def register_sample() -> Cluster:
    """Return the sample cluster; home, service and node are made where they are missing."""
    home = sample_home()
    cluster = Cluster.objects.filter(name=CLUSTER).first()
    if cluster is None:
        note = "The sample that comes with the console"
        cluster = services.save_cluster(CONSOLE, Cluster(name=CLUSTER, note=note))
    if not Node.objects.filter(service__cluster=cluster).exists():
        service = cluster.services.earliest("pk")
        services.save_node(CONSOLE, Node(service=service, name="node1", home=str(home), rpc_host="127.0.0.1"))
    return cluster


def make_tasks(cluster: Cluster) -> BackupTask:
    """Make the periodic and the manual task where they are missing, and return the manual one."""
    now = timezone.now()
    if not BackupTask.objects.filter(name=PERIODIC).exists():
        night = timezone.localtime(now).replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=1)
        services.create_task(
            CONSOLE,
            TaskDraft(PERIODIC, cluster, Mode.PERIODIC, "LocalDir", COPIES, started=night, period_unit=PeriodUnit.DAYS),
            now,
        )
    manual = BackupTask.objects.filter(name=MANUAL).first()
    return manual or services.create_task(CONSOLE, TaskDraft(MANUAL, cluster, Mode.MANUAL, "LocalDir", COPIES), now)


def back_up(task: BackupTask, say: Callable[[str], None]) -> Run:
    """Queue a run as *Back Up Now* does, after one that is already under way."""
    while True:
        try:
            return services.back_up_now(CONSOLE, task, timezone.now())
        except Refused as refusal:
            earlier = task.backups.order_by("-pk").first()
            if earlier is None or not earlier.active:
                raise DemoFailed(str(refusal)) from refusal
            say(f"{refusal} Waiting for it.")
            for _ in follow(earlier):
                pass


def follow(run: Run) -> Iterator[Run]:
    """Give the run whenever it has been looked at, until it has ended; raise ``DemoFailed`` where nobody takes it."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while True:
        run.refresh_from_db()
        yield run
        if not run.active:
            return
        if run.started_at is None and time.monotonic() > deadline:
            raise DemoFailed(f"No worker took the run within {CLAIM_SECONDS:.0f} s. Look at the lines above.")
        time.sleep(0.2)
