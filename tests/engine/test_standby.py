"""The copy on the standby management node, on a real OpenSSH server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.models import BackupFile, BackupTask, ManagementNodes, Node
from tasks.states import RunState
from tests.engine.kit import files_below, log_of, run_now
from tests.servers.openssh import PASSWORD, OpenSSH, openssh

__all__ = ["openssh"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.server, pytest.mark.xdist_group("openssh")]


@pytest.fixture
def standby(openssh: OpenSSH, storage_path: Path, node: Node) -> Path:
    """The directory of the standby node, empty, and the settings that name it."""
    directory = openssh.root / "store"
    for path in directory.iterdir():
        shutil.rmtree(path)
    nodes = ManagementNodes.load()
    nodes.standby = openssh.parameters()
    nodes.set_secrets({"password": PASSWORD})
    nodes.save()
    return directory


def same(one: Path, other: Path) -> None:
    """Both directories hold the same files with the same content."""
    assert files_below(one) == files_below(other)
    for name in files_below(one):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_every_set_is_copied_and_kept_by_the_same_rule(make_task: Any, storage_path: Path, standby: Path) -> None:
    task: BackupTask = make_task(copies=2)
    for _ in range(3):
        run = run_now(task)
        assert run.state == RunState.SUCCESSFUL, log_of(run)
        same(storage_path / "LocalBackup", standby)
    assert len(files_below(standby)) == 4
    assert "Copied" in log_of(run)


def test_a_standby_that_is_away_is_a_warning_and_made_up_for(
    task: BackupTask, storage_path: Path, standby: Path, openssh: OpenSSH
) -> None:
    openssh.stop()
    try:
        run = run_now(task)
    finally:
        openssh.start()
    assert run.state == RunState.WARNINGS, log_of(run)
    assert run.reason.startswith("Copy on standby node 127.0.0.1 failed:")
    assert BackupFile.objects.get().standby_at is None
    assert run_now(task).state == RunState.SUCCESSFUL
    same(storage_path / "LocalBackup", standby)
    assert len(files_below(standby)) == 4


def test_a_wrong_password_keeps_the_set_of_the_active_node(task: BackupTask, storage_path: Path, standby: Path) -> None:
    nodes = ManagementNodes.load()
    nodes.set_secrets({"password": "wrong"})
    nodes.save()
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert "wrong" not in run.reason.replace("was wrong", "")
    assert Path(run.files.get().path).exists()
    task.refresh_from_db()
    assert task.sets_kept == 1


def test_without_a_standby_nothing_is_said(task: BackupTask, standby: Path) -> None:
    ManagementNodes.objects.all().delete()
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL
    assert "standby node" not in log_of(run)


def test_the_path_of_the_page_is_used(task: BackupTask, standby: Path, tmp_path: Path) -> None:
    nodes = ManagementNodes.load()
    nodes.data_storage_path = str(tmp_path / "other")
    nodes.save()
    run = run_now(task)
    assert run.files.get().path.startswith(str(tmp_path / "other" / "LocalBackup"))


def test_a_set_that_was_deleted_by_hand_does_not_block_the_next_copies(
    make_task: Any, storage_path: Path, standby: Path, openssh: OpenSSH
) -> None:
    task: BackupTask = make_task(copies=3)
    openssh.stop()
    try:
        first = run_now(task)
    finally:
        openssh.start()
    Path(first.files.get().path).unlink()
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert f"{first.files.get().path} is not there any more. It cannot be copied" in run.reason
    assert run.files.get().name in " ".join(files_below(standby))


def test_what_a_killed_worker_left_on_the_standby_node_goes(
    make_task: Any, storage_path: Path, standby: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: BackupTask = make_task(copies=1)
    first = run_now(task)
    # Killed after the copy and before its record; another copy was cut off in the middle.
    BackupFile.objects.update(standby_at=None)
    folder = standby / task.directory
    (folder / f".2.0.1-beta_IoTDB_20200101000000.tar.gz.partial-{first.pk}").write_bytes(b"half")
    assert run_now(task).state == RunState.SUCCESSFUL
    same(storage_path / "LocalBackup", standby)
    assert len(files_below(standby)) == 2
