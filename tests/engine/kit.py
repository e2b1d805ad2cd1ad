"""Running a task in the test's own process, and looking at what it left."""

from __future__ import annotations

import itertools
import tarfile
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import kinds
from tasks.engine.lease import Lease, claim
from tasks.models import BackupTask, Run

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


def log_of(run: Run) -> str:
    """Return the log of a run as one text."""
    return "\n".join(f"{line.level} {line.text}" for line in run.log.all())


def files_below(path: Path) -> list[str]:
    """Return every file below ``path``, hidden ones too."""
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


def members_of(archive: str | Path) -> list[str]:
    """Return the names in an archive as Python's own tar reads it."""
    with tarfile.open(archive) as tar:
        return tar.getnames()
