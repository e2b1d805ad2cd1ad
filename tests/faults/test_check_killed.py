"""kill -9 of the process that checks a set: nothing is left, nothing is claimed, and it comes again by its age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, ending, proofs, storedarchive, verdicts
from tasks.engine.lease import claim
from tasks.engine.snapshot import scratch_directory
from tasks.models import Alarm, BackupTask, Node, Run
from tasks.states import Kind, RunState
from tests.engine.kit import check_now, files_below, log_of, run_now
from tests.faults.killing import after, before, killed, leases_later

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

READING: dict[str, Callable[[], None]] = {
    "in the middle of reading": after(storedarchive.Counted, "read"),
    "with the archive read": after(storedarchive, "verify_archive"),
    "before the verdict": before(verdicts, "found_whole"),
}


@pytest.fixture
def backup(make_task: Any, node: Node, storage_path: Path) -> Run:
    """A set that was just made."""
    run = run_now(make_task())
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    return run


def killed_check(backup: Run, place: Callable[[], None]) -> Run:
    """Check a set in a process that dies at a point, and let the tick find that it is gone."""
    check = services.check_set(CONSOLE, backup, timezone.now())
    held = claim(check.pk, timezone.now())
    assert held
    killed(held, place)
    dispatch.tick(leases_later())
    check.refresh_from_db()
    backup.refresh_from_db()
    return check


@pytest.mark.parametrize("point", READING)
def test_nothing_is_left_and_nothing_is_claimed(point: str, backup: Run, storage_path: Path) -> None:
    before_it = files_below(storage_path)
    check = killed_check(backup, READING[point])
    assert (check.state, check.error_code) == (RunState.FAILED, "worker-lost")
    assert (backup.checked_at, backup.damaged_at) == (None, None)
    assert files_below(storage_path) == before_it
    assert files_below(Path(scratch_directory())) == []
    task = BackupTask.objects.get()
    assert (task.last_checked_at, task.sets_kept, Alarm.objects.count()) == (None, 1, 0)
    assert check_now(backup).state == RunState.SUCCESSFUL


def test_a_verdict_that_was_recorded_stays(backup: Run) -> None:
    check = killed_check(backup, before(ending, "_record_end"))
    assert check.state == RunState.FAILED
    assert backup.checked_at is not None, "the set had been read to its end"


def test_damage_that_was_recorded_stays_with_its_alarm(backup: Run) -> None:
    Path(backup.files.get().path).write_bytes(b"")
    killed_check(backup, before(ending, "_record_end"))
    assert backup.damaged_at is not None
    assert Alarm.objects.get(cleared_at__isnull=True).code == "set-damaged"
    assert BackupTask.objects.get().sets_kept == 0


def test_it_is_queued_again_by_the_age_of_the_set(backup: Run) -> None:
    check = killed_check(backup, READING["in the middle of reading"])
    due = timezone.now() + timedelta(days=8)
    assert proofs.queue_due(due) == 1
    again = Run.objects.get(kind=Kind.CHECK, state=RunState.WAITING)
    assert again.subject_id == backup.pk and again.pk != check.pk
