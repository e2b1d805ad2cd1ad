"""A run to a destination on another host: the spool, new tries, and what is left when the destination fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import registry
from storage.errors import (
    AuthenticationFailed,
    NoSpace,
    PermissionDenied,
    StoreError,
    Unreachable,
)
from tasks.engine import spool
from tasks.engine.snapshot import scratch_directory
from tasks.models import AuditEvent, BackupFile, BackupTask, Node
from tasks.states import Mode, RunState
from tests.engine.kit import files_below, log_of, run_now
from tests.engine.remote import FaultyRemote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def remote(tmp_path: Path, storage_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> FaultyRemote:
    """The path type ``Faulty``, with nothing planned to go wrong."""
    path_type = FaultyRemote(tmp_path / "far-away")
    registry.all_path_types()
    monkeypatch.setitem(registry._TYPES, path_type.name, path_type)
    monkeypatch.setattr(spool, "PAUSES", (0.0, 0.0))
    return path_type


@pytest.fixture
def far(make_task: Any, remote: FaultyRemote) -> BackupTask:
    """A task that keeps two sets at the remote destination."""
    task: BackupTask = make_task("far", path_type="Faulty", copies=2)
    task.set_secrets({"password": "far-away-password"})
    task.save()
    return task


def spooled() -> list[str]:
    return files_below(Path(scratch_directory()))


def test_a_proven_archive_far_away(far: BackupTask, remote: FaultyRemote) -> None:
    run = run_now(far)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert len(files_below(remote.root)) == 2
    assert spooled() == []
    assert remote.open_connections == 0
    assert set(remote.passwords) == {"far-away-password"}
    assert "far-away-password" not in str(run.parameters) + log_of(run)


@pytest.mark.parametrize("place", ["put", "write", "seal"])
def test_a_broken_connection_is_tried_again(place: str, far: BackupTask, remote: FaultyRemote) -> None:
    remote.faults[place] = [Unreachable("10.0.0.9 does not answer."), None]
    run = run_now(far)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert "Try 1 of 3 ended: 10.0.0.9 does not answer." in log_of(run)
    assert [name for name in files_below(remote.root) if "partial" in name] == []


@pytest.mark.parametrize(
    ("place", "error", "connections"),
    [
        ("connect", AuthenticationFailed("10.0.0.9 refused the password.", field="password"), 1),
        ("put", PermissionDenied("svc may not write there."), None),
        ("write", NoSpace("The quota is full."), None),
    ],
)
def test_what_nobody_can_wait_out_is_tried_once(
    place: str, error: StoreError, connections: int | None, far: BackupTask, remote: FaultyRemote
) -> None:
    remote.faults[place] = [error] * 9
    run = run_now(far)
    assert (run.state, run.error_code, run.reason) == (RunState.FAILED, error.code, str(error))
    assert remote.calls.count(place) == 1
    assert files_below(remote.root) == []
    assert spooled() == []
    assert remote.open_connections == 0


def test_a_server_that_stays_away_ends_the_run(far: BackupTask, remote: FaultyRemote) -> None:
    remote.faults["write"] = [Unreachable("10.0.0.9 does not answer.")] * 9
    run = run_now(far)
    assert (run.state, run.error_code) == (RunState.FAILED, "unreachable")
    assert spooled() == []


def test_a_rename_that_fails_publishes_nothing_and_the_next_run_cleans(far: BackupTask, remote: FaultyRemote) -> None:
    remote.faults["publish"] = [None, Unreachable("The connection broke.")]
    remote.faults["abort"] = [Unreachable("The connection broke.")] * 2
    remote.faults["delete"] = [Unreachable("The connection broke.")] * 2
    run = run_now(far)
    assert run.state == RunState.FAILED
    assert not any(name.endswith(".tar.gz") and "partial" not in name for name in files_below(remote.root))
    remote.faults.clear()
    assert run_now(far).state == RunState.SUCCESSFUL
    assert [name for name in files_below(remote.root) if "partial" in name] == []


@pytest.mark.parametrize("place", ["after put", "after write", "after seal"])
def test_an_answer_that_is_lost_is_tried_again(place: str, far: BackupTask, remote: FaultyRemote) -> None:
    remote.faults[place] = [Unreachable("10.0.0.9 does not answer."), None]
    run = run_now(far)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert run_now(far).state == RunState.SUCCESSFUL
    assert [name for name in files_below(remote.root) if "partial" in name] == []
    assert len(files_below(remote.root)) == 4


def test_a_rename_whose_answer_is_lost_leaves_no_archive_without_a_record(
    far: BackupTask, remote: FaultyRemote
) -> None:
    remote.faults["after publish"] = [None, Unreachable("The connection broke.")]
    run = run_now(far)
    assert run.state == RunState.FAILED
    assert run_now(far).state == RunState.SUCCESSFUL
    recorded = {file.name for file in BackupFile.objects.filter(verified_at__isnull=False)}
    archives = {Path(name).name for name in files_below(remote.root) if name.endswith(".tar.gz")}
    assert archives == recorded
    assert len(archives) == 1


def test_a_delete_whose_answer_is_lost_is_settled_by_the_next_run(far: BackupTask, remote: FaultyRemote) -> None:
    for _ in range(2):
        assert run_now(far).state == RunState.SUCCESSFUL
    remote.faults["after delete"] = [Unreachable("The connection broke.")]
    assert run_now(far).state == RunState.WARNINGS
    assert run_now(far).state == RunState.SUCCESSFUL
    assert len([name for name in files_below(remote.root) if name.endswith(".tar.gz")]) == 2


def test_retention_that_cannot_reach_the_destination_is_a_warning(far: BackupTask, remote: FaultyRemote) -> None:
    for _ in range(2):
        assert run_now(far).state == RunState.SUCCESSFUL
    remote.faults["delete"] = [Unreachable("The connection broke.")]
    third = run_now(far)
    assert third.state == RunState.WARNINGS
    assert len([name for name in files_below(remote.root) if name.endswith(".tar.gz")]) == 3
    assert run_now(far).state == RunState.SUCCESSFUL
    assert len([name for name in files_below(remote.root) if name.endswith(".tar.gz")]) == 2


def test_a_full_spool_is_said_before_anything_is_written(far: BackupTask, remote: FaultyRemote, settings: Any) -> None:
    settings.FREE_SPACE_FLOOR = 10**18
    run = run_now(far)
    assert run.error_code == "no-space"
    assert "wait" in run.reason
    assert remote.calls.count("put") == 0


def test_a_lost_key_pauses_a_periodic_task_once(make_task: Any, remote: FaultyRemote, settings: Any) -> None:
    task = make_task("far", path_type="Faulty", mode=Mode.PERIODIC)
    task.set_secrets({"password": "far-away-password"})
    task.save()
    settings.SECRETS_KEYS = ["another key"]
    run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, "key-lost")
    assert run.reason.endswith("The task is suspended until then; resume it afterwards.")
    task.refresh_from_db()
    assert (task.suspended, task.next_run_at) == (True, None)
    event = AuditEvent.objects.get(verb="suspend task")
    assert (event.actor, event.note) == ("console", "Its stored password cannot be decrypted.")
    # Back Up Now is still there, fails in the same way, and pauses nothing again.
    assert run_now(task).error_code == "key-lost"
    assert AuditEvent.objects.filter(verb="suspend task").count() == 1


def test_a_lost_key_is_a_clear_failure(far: BackupTask, settings: Any) -> None:
    settings.SECRETS_KEYS = ["another key"]
    run = run_now(far)
    assert (run.state, run.error_code) == (RunState.FAILED, "key-lost")
    assert "type the password again" in run.reason
