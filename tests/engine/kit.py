"""Running a task in the test's own process, and looking at what it left."""

from __future__ import annotations

import itertools
import tarfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import kinds
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease, claim
from tasks.models import BackupTask, Node, Run, Service

# File names tell runs apart by the second; tests have several runs in one.
_ages = itertools.count(3600, -1)


def begin(task: BackupTask) -> Lease:
    """Queue a run of ``task`` and claim it, as a worker would."""
    run = services.back_up_now(CONSOLE, task, timezone.now())
    lease = claim(run.pk, timezone.now() - timedelta(seconds=next(_ages)))
    assert lease is not None
    return lease


def run_now(task: BackupTask) -> Run:
    """Run ``task`` from click to result and return the run as it stands then."""
    lease = begin(task)
    kinds.execute(lease)
    return Run.objects.get(pk=lease.run_id)


def check_now(run: Run) -> Run:
    """Check the set of ``run`` from click to result and return the check as it stands then."""
    check = services.check_set(CONSOLE, run, timezone.now())
    lease = claim(check.pk, timezone.now())
    assert lease is not None
    kinds.execute(lease)
    check.refresh_from_db()
    return check


@pytest.fixture(name="stop_at_once")
def stop_that_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a verb that asks a run to stop; the next look of its work finds that, however busy the machine is."""
    asked = threading.Event()
    real = Keeper.check

    def check(self: Keeper) -> None:
        real(self)
        end = time.monotonic() + 60
        while asked.is_set() and time.monotonic() < end:
            time.sleep(0.02)
            real(self)

    def stop(run_id: int) -> None:
        services.stop_run(CONSOLE, Run.objects.get(pk=run_id), timezone.now())
        asked.set()

    monkeypatch.setattr(Keeper, "check", check)
    return stop


def log_of(run: Run) -> str:
    """Return the log of a run as one text."""
    return "\n".join(f"{line.level} {line.text}" for line in run.log.all())


def files_below(path: Path) -> list[str]:
    """Return every file below ``path``, hidden ones too."""
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


def archives(root: Path) -> list[str]:
    """Return the names of all files that are under a final name and no manifest."""
    return [name for name in files_below(root) if name.endswith(".tar.gz") and "/." not in name]


def with_second_service(task: BackupTask, node: Node) -> None:
    """Give the cluster a second service, so that a set has two files."""
    second = Service.objects.create(cluster=task.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home=node.home)


def members_of(archive: str | Path) -> list[str]:
    """Return the names in an archive as Python's own tar reads it."""
    with tarfile.open(archive) as tar:
        return tar.getnames()
