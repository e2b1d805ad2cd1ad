"""Checks that find no damage, and what follows from damage: alarms, copies, and what is on record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from storage.errors import Unreachable
from storage.localdir import LocalDir
from tasks import services
from tasks.audit import CONSOLE, Actor
from tasks.engine import checking, kinds
from tasks.engine.lease import claim
from tasks.errors import RunStopped
from tasks.models import Alarm, AuditEvent, BackupTask, Node, Run
from tasks.states import Kind, RunState, Trigger
from tests.engine.checking_kit import (
    archive,
    flip,
    raised,
    set_that_was_just_made,  # noqa: F401
)
from tests.engine.kit import check_now, log_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


# --- Not damage ------------------------------------------------------------------------------------------------------
def test_a_destination_that_cannot_be_reached_is_no_damage(backup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object) -> None:
        raise Unreachable("10.1.2.3 did not answer within 10 s.", cure="Check the network.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalDir, "connect", away)
        check = check_now(backup)
    backup.refresh_from_db()
    assert (check.state, check.error_code) == (RunState.FAILED, "unreachable")
    assert backup.damaged_at is None and backup.checked_at is None
    task = BackupTask.objects.get()
    assert task.sets_kept == 1
    assert "could not be proven. 10.1.2.3 did not answer" in task.proof_problem
    assert raised() == []
    check_now(backup)
    assert BackupTask.objects.get().proof_problem == ""


def test_a_disk_that_is_not_mounted_is_no_damage_and_nothing_is_made(backup: Run, storage_path: Path) -> None:
    (storage_path / "LocalBackup").rename(storage_path / "unmounted")
    check = check_now(backup)
    backup.refresh_from_db()
    assert check.error_code == "unreachable"
    assert backup.damaged_at is None
    assert not (storage_path / "LocalBackup").exists()


def test_a_password_is_not_sent_to_the_server_that_the_task_had_before(make_task: Any, make_run: Any) -> None:
    place = {"server_ip": "10.0.0.1", "port": 22, "username": "svc", "shared_path": "/store"}
    task = make_task(path_type="SFTP", destination=place | {"server_ip": "10.0.0.2"})
    task.set_secrets({"password": "for 10.0.0.2 only"})
    task.save()
    run = make_run(task, parameters={"path_type": "SFTP", "destination": place, "directory": task.directory})
    check = check_now(run)
    assert check.error_code == "nothing-recorded"
    assert "10.0.0.1" in check.reason
    run.refresh_from_db()
    assert run.damaged_at is None


def test_a_check_that_is_stopped_says_nothing_of_the_set(backup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: object, **more: object) -> None:
        raise RunStopped("Stopped by anna after 1 s.")

    monkeypatch.setattr(checking.StoredArchive, "problems", stopped)
    check = check_now(backup)
    backup.refresh_from_db()
    assert check.state == RunState.STOPPED
    assert (backup.checked_at, backup.damaged_at) == (None, None)
    assert BackupTask.objects.get().proof_problem == ""


def test_a_set_that_is_gone_meanwhile_is_not_looked_for(backup: Run) -> None:
    check = services.check_set(CONSOLE, backup, timezone.now())
    Run.objects.filter(pk=backup.pk).update(set_removed_at=timezone.now())
    lease = claim(check.pk, timezone.now())
    assert lease
    kinds.execute(lease)
    check.refresh_from_db()
    assert (check.state, check.error_code) == (RunState.STOPPED, "set-removed")
    assert raised() == []


def test_a_worker_that_was_given_up_records_nothing(backup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(archive(backup))
    real = checking.StoredArchive.problems

    def problems(self: checking.StoredArchive) -> Iterable[str]:
        found = real(self)
        Run.objects.filter(kind=Kind.CHECK).update(lease_token="another")
        return found

    monkeypatch.setattr(checking.StoredArchive, "problems", problems)
    check_now(backup)
    backup.refresh_from_db()
    assert backup.damaged_at is None
    assert raised() == []


# --- What follows from it --------------------------------------------------------------------------------------------
def test_the_alarm_is_raised_once_and_the_next_good_check_clears_it(backup: Run) -> None:
    whole = archive(backup).read_bytes()
    flip(archive(backup))
    check_now(backup)
    check_now(backup)
    assert raised() == [("set-damaged", f"run {backup.pk}")]
    assert Alarm.objects.get().renewed_at > Alarm.objects.get().raised_at
    archive(backup).write_bytes(whole)
    assert check_now(backup).state == RunState.SUCCESSFUL
    backup.refresh_from_db()
    assert raised() == []
    assert (backup.damaged_at, backup.damage) == (None, "")
    task = BackupTask.objects.get()
    assert (task.sets_kept, task.proof_problem) == (1, "")


def test_a_good_check_of_one_set_does_not_hide_the_damage_of_another(make_task: Any) -> None:
    task = make_task(copies=3)
    first, second = run_now(task), run_now(task)
    flip(archive(first))
    check_now(first)
    check_now(second)
    task.refresh_from_db()
    assert "is damaged" in task.proof_problem
    assert task.sets_kept == 1


def test_a_damaged_set_is_no_copy_and_goes_when_enough_whole_ones_are_newer(make_task: Any) -> None:
    task = make_task(copies=2)
    first, second = run_now(task), run_now(task)
    flip(archive(second))
    check_now(second)
    third = run_now(task)
    assert third.state == RunState.SUCCESSFUL, "an old damage is no warning of a new run"
    assert archive(first).exists(), "a damaged set pushed a whole one out"
    assert archive(second).exists(), "a damaged set stays while there are not enough others"
    assert "does not count" in log_of(third)
    fourth = run_now(task)
    for run in (first, second):
        run.refresh_from_db()
        assert run.set_removed_at is not None and not archive(run).exists()
    assert archive(fourth).exists() and archive(third).exists()
    assert raised() == [], "the alarm outlived its set"
    task.refresh_from_db()
    assert (task.proof_problem, task.sets_kept) == ("", 2)


def test_the_audit_says_who_had_which_set_checked(backup: Run) -> None:
    check = services.check_set(Actor("op"), backup, timezone.now())
    assert (check.trigger, check.who) == (Trigger.PERSON, "op")
    assert f"run {backup.pk}" in AuditEvent.objects.get(verb="check set", actor="op").note
