"""What a run keeps, what a stop leaves, and who publishes nothing: on the real disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from storage.errors import PermissionDenied
from storage.localdir import LocalDirStore
from tasks.engine import kinds, pipeline, record
from tasks.engine.record import Outcome
from tasks.engine.sweep import sweep_run
from tasks.models import BackupFile, BackupTask, Node, Run
from tasks.naming import partial_name
from tasks.states import RunState
from tests.engine.kit import begin, files_below, log_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


def test_copies_are_kept_by_sets(make_task: Any, storage_path: Path) -> None:
    task = make_task("daily", copies=2)
    runs = [run_now(task) for _ in range(4)]
    task.refresh_from_db()
    assert task.sets_kept == 2
    kept = {name for name in files_below(storage_path) if name.endswith(".tar.gz")}
    assert {Path(name).name for name in kept} == {run.files.get().name for run in runs[2:]}
    assert len(files_below(storage_path)) == 4
    for run in Run.objects.filter(pk__in=[run.pk for run in runs[:2]]):
        assert run.set_removed_at
        assert run.files.get().removed_at


def test_retention_touches_no_foreign_name(make_task: Any, storage_path: Path) -> None:
    task, neighbour = make_task("a", copies=1), make_task("a_b", copies=1)
    kept = run_now(neighbour).files.get().path
    first = run_now(task)
    foreign = Path(first.files.get().path).with_name("2.0.1-beta_IoTDB_20200101000000.tar.gz")
    foreign.write_bytes(b"somebody else's")
    run_now(task)
    run_now(task)
    assert foreign.read_bytes() == b"somebody else's"
    assert Path(kept).exists()


def test_failed_runs_take_no_good_set_away(make_task: Any, storage_path: Path, node: Node) -> None:
    task = make_task(copies=1)
    good = Path(run_now(task).files.get().path)
    Node.objects.update(home="/nowhere/iotdb")
    for _ in range(3):
        assert run_now(task).state == RunState.FAILED
    assert good.exists()


def test_a_set_that_cannot_be_removed_is_a_warning_and_tried_again(
    make_task: Any, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(copies=1)
    run_now(task)
    with monkeypatch.context() as broken:

        def refuse(self: LocalDirStore, directory: str, name: str) -> None:
            raise PermissionDenied("The console may not delete there.")

        broken.setattr(LocalDirStore, "delete", refuse)
        second = run_now(task)
    assert second.state == RunState.WARNINGS
    assert "could not be removed" in second.reason
    third = run_now(task)
    assert third.state == RunState.SUCCESSFUL, log_of(third)
    assert len([name for name in files_below(storage_path) if name.endswith(".tar.gz")]) == 1


def test_sets_at_another_destination_are_left_there(
    make_task: Any, storage_path: Path, settings: Any, tmp_path: Path
) -> None:
    task = make_task(copies=1)
    old = Path(run_now(task).files.get().path)
    settings.DATA_STORAGE_PATH = tmp_path / "moved"
    run = run_now(task)
    assert run.state in (RunState.SUCCESSFUL, RunState.WARNINGS)
    assert old.exists()
    assert Path(run.files.get().path).exists()


@pytest.mark.parametrize("point", ["copy", "publish"])
def test_stop_leaves_nothing(point: str, task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.engine.keeper import Keeper
    from tasks.errors import RunStopped

    asked = {"times": 0}

    def check(self: Keeper) -> None:
        asked["times"] += 1
        if asked["times"] > (1 if point == "copy" else 10**9) or (point == "publish" and sealed()):
            raise RunStopped("Stopped by anna after 1 s.")

    def sealed() -> bool:
        return any(name.endswith(f"partial-{Run.objects.latest('pk').pk}") for name in files_below(storage_path))

    monkeypatch.setattr(Keeper, "check", check)
    run = run_now(task)
    assert (run.state, run.reason) == (RunState.STOPPED, "Stopped by anna after 1 s."), log_of(run)
    assert files_below(storage_path) == []


def test_who_lost_the_lease_publishes_nothing(
    task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = record.announce

    def announce(run_id: int, token: str, files: list[BackupFile]) -> bool:
        record.finish(run_id, Outcome(RunState.FAILED, "The worker was lost.", "worker-lost"), timezone.now())
        return real(run_id, token, files)

    monkeypatch.setattr(record, "announce", announce)
    run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, "worker-lost")
    assert files_below(storage_path) == []


def test_a_lease_lost_while_publishing_takes_the_files_back(
    task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(run_id: int, token: str, now: Any, size: int) -> bool:
        record.finish(run_id, Outcome(RunState.FAILED, "The worker was lost.", "worker-lost"), timezone.now())
        return False

    monkeypatch.setattr(record, "prove", prove)
    run = run_now(task)
    assert run.state == RunState.FAILED
    assert files_below(storage_path) == []
    assert not BackupFile.objects.exists()


def test_a_worker_lost_after_the_proof_leaves_a_good_set(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = begin(task)

    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(pipeline.retention, "apply", die)
    with pytest.raises(SystemExit):
        kinds.execute(lease)
    run = Run.objects.get(pk=lease.run_id)
    assert record.give_up(run, "The worker was lost.", timezone.now())
    run.refresh_from_db()
    assert run.state == RunState.WARNINGS
    assert "published and proven" in run.reason
    task.refresh_from_db()
    assert task.sets_kept == 1


def test_partial_files_of_dead_runs_are_swept_by_the_next(task: BackupTask, storage_path: Path) -> None:
    dead = run_now(task)
    folder = Path(dead.files.get().path).parent
    left = folder / partial_name("2.0.1-beta_IoTDB_20200101000000.tar.gz", dead.pk)
    left.write_bytes(b"half")
    run_now(task)
    assert not left.exists()


def test_sweeping_spares_what_it_did_not_write(task: BackupTask, storage_path: Path) -> None:
    run = run_now(task)
    file = run.files.get()
    BackupFile.objects.update(verified_at=None)
    Path(file.path).write_bytes(b"another file of that name")
    sweep_run(run.pk)
    assert Path(file.path).read_bytes() == b"another file of that name"


def test_an_unforeseen_error_is_told_without_its_text(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("secret-in-the-text")

    monkeypatch.setattr(pipeline, "take", fail)
    run = run_now(task)
    assert run.state == RunState.FAILED
    assert "secret-in-the-text" not in run.reason + log_of(run)
    assert f"under run {run.pk}" in run.reason


def test_a_deleted_task_finishes_its_run_with_the_files_kept(task: BackupTask) -> None:
    lease = begin(task)
    BackupTask.objects.filter(pk=task.pk).update(deleted_at=timezone.now())
    kinds.execute(lease)
    run = Run.objects.get(pk=lease.run_id)
    assert run.state == RunState.SUCCESSFUL
    assert Path(run.files.get().path).exists()
