"""Backup file sets under hostile circumstances: what counts, what is removed, and what a name may meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import InternalError, OperationalError
from django.utils import timezone

from storage.errors import PermissionDenied, StoreFault, Unreachable
from storage.localdir import LocalDirStore
from tasks.audit import CONSOLE
from tasks.engine import execution, kinds, pipeline, record
from tasks.engine.lease import claim
from tasks.engine.retention import SetInfo, plan
from tasks.jobs import execute_run
from tasks.models import BackupTask, Node, Run
from tasks.services import back_up_now
from tasks.states import RunState
from tests.engine.kit import archives, begin, files_below, log_of, run_now, with_second_service

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


# --- Which sets count, and where -------------------------------------------------------------------------------------
def test_each_destination_keeps_its_copies(make_task: Any, settings: Any, tmp_path: Path) -> None:
    task = make_task(copies=2)
    for place in ("a", "a", "b", "b", "b", "a", "a"):
        settings.DATA_STORAGE_PATH = tmp_path / place
        run = run_now(task)
        assert run.state == RunState.SUCCESSFUL, log_of(run)
        assert len(archives(tmp_path / place)) <= 2
        if place == "a" and (tmp_path / "b").exists():
            assert len(archives(tmp_path / "a")) == 2, "sets elsewhere took a copy away"
    assert len(archives(tmp_path / "a")) == len(archives(tmp_path / "b")) == 2
    task.refresh_from_db()
    assert task.sets_kept == 2


def test_plan_passes_over_what_is_not_whole() -> None:
    known = [SetInfo(number, datetime(2026, 1, 1, tzinfo=UTC), whole=number not in (2, 4)) for number in range(1, 6)]
    decided = plan(known, 2)
    assert [[one.run_id for one in part] for part in (decided.keep, decided.spare, decided.remove)] == [
        [5, 3],
        [4],
        [2, 1],
    ]


def test_a_clock_that_went_back_makes_no_new_set_the_oldest(make_task: Any, storage_path: Path) -> None:
    task = make_task(copies=1)
    run = back_up_now(CONSOLE, task, timezone.now())
    lease = claim(run.pk, timezone.now() + timedelta(days=365))
    assert lease
    kinds.execute(lease)
    latest = run_now(task)
    assert latest.state == RunState.SUCCESSFUL, log_of(latest)
    assert Path(latest.files.get().path).exists()
    assert len(archives(storage_path)) == 1


def test_a_set_that_lost_a_file_does_not_count(make_task: Any, storage_path: Path) -> None:
    task = make_task(copies=2)
    first, second = run_now(task), run_now(task)
    Path(second.files.get().path).unlink()
    third = run_now(task)
    assert third.state == RunState.WARNINGS
    assert second.files.get().name in third.reason
    assert Path(first.files.get().path).exists(), "the last whole set but one was taken for one that is gone"
    assert run_now(task).state == RunState.SUCCESSFUL
    assert len(archives(storage_path)) == 2


def test_a_sick_service_pushes_no_healthy_set_out(
    make_task: Any, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(copies=1)
    healthy = run_now(task)
    real = pipeline.Backup.keep_copies

    def sick(self: pipeline.Backup, *arguments: Any) -> None:
        Run.objects.filter(pk=self.run.pk).update(healthy=False)
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.Backup, "keep_copies", sick)
        first, second = run_now(task), run_now(task)
    assert "are of a service that was not well" in log_of(second)
    assert Path(healthy.files.get().path).exists(), "a sick set pushed the last healthy one out"
    assert not Path(first.files.get().path).exists()
    assert Path(second.files.get().path).exists()
    task.refresh_from_db()
    assert task.sets_kept == 2
    last = run_now(task)
    assert archives(storage_path) == [str(Path(last.files.get().path).relative_to(storage_path))]


def test_a_set_that_was_cut_short_does_not_count(make_task: Any, storage_path: Path) -> None:
    task = make_task(copies=1)
    first = run_now(task)
    Path(first.files.get().path).write_bytes(b"short")
    second = run_now(task)
    assert archives(storage_path) == archives(Path(second.files.get().path).parent.parent.parent)
    assert len(archives(storage_path)) == 1


def test_a_destination_that_shows_nothing_loses_no_record(
    make_task: Any, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(copies=1)
    first = run_now(task)
    real = LocalDirStore.list
    lists = iter(range(100))

    def listed(self: LocalDirStore, directory: str) -> Any:
        if pipeline_step() == "Keeping copies":
            raise Unreachable("The listing broke off.")
        return real(self, directory)

    def pipeline_step() -> str:
        next(lists)
        return running.step

    running = pipeline.Backup(begin(task))
    monkeypatch.setattr(LocalDirStore, "list", listed)
    running.execute()
    run = Run.objects.get(pk=running.lease.run_id)
    assert run.state == RunState.WARNINGS
    assert "nothing was removed" in run.reason
    assert Path(first.files.get().path).exists()


def test_a_half_removed_set_counts_no_more_and_is_finished(
    make_task: Any, node: Node, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(copies=1)
    with_second_service(task, node)
    first = run_now(task)
    real = LocalDirStore.delete
    with monkeypatch.context() as broken:

        def refuse(self: LocalDirStore, directory: str, name: str) -> None:
            if "IoTDB-1" in name:
                raise PermissionDenied("The console may not delete there.")
            real(self, directory, name)

        broken.setattr(LocalDirStore, "delete", refuse)
        assert run_now(task).state == RunState.WARNINGS
    BackupTask.objects.update(copies=5)
    task.refresh_from_db()
    assert task.sets_kept == 1
    run_now(task)
    task.refresh_from_db()
    assert task.sets_kept == 2
    assert not [file for file in first.files.all() if Path(file.path).exists()]


def test_a_manifest_that_could_not_be_removed_is_removed_later(
    make_task: Any, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(copies=1)
    run_now(task)
    real = LocalDirStore.delete
    with monkeypatch.context() as broken:

        def refuse(self: LocalDirStore, directory: str, name: str) -> None:
            if name.endswith(".manifest.json"):
                raise StoreFault("The disk has a fault.")
            real(self, directory, name)

        broken.setattr(LocalDirStore, "delete", refuse)
        run_now(task)
    run_now(task)
    assert len(files_below(storage_path)) == 2


# --- A proven set stays one -------------------------------------------------------------------------------------------
def test_nothing_after_the_proof_makes_a_run_fail(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(pipeline.retention, "apply", fail)
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert Path(run.files.get().path).exists()
    task.refresh_from_db()
    assert (task.sets_kept, task.outcomes) == (1, "w")


def test_a_run_that_ends_outside_of_its_steps_keeps_its_set(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(execution, "end", fail)
    run = back_up_now(CONSOLE, task, timezone.now())
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.WARNINGS
    task.refresh_from_db()
    assert task.sets_kept == 1


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection unexpectedly"),
        InternalError("terminating connection due to idle-in-transaction timeout"),
    ],
)
def test_the_end_is_recorded_although_the_database_was_away(
    task: BackupTask, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real, times = record.finish, iter(range(100))

    def finish(*args: Any, **more: Any) -> bool:
        if next(times) < 2:
            raise error
        return real(*args, **more)

    monkeypatch.setattr(record, "finish", finish)
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL
    assert log_of(run).count("Successful in") == 1


def test_a_full_disk_at_the_proof_is_no_success(
    task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(*_: object) -> bool:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(record, "prove", prove)
        run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, "database")
    assert "disk that holds" in run.reason
    assert files_below(storage_path) == []
    assert run_now(task).state == RunState.SUCCESSFUL


def test_a_line_of_the_log_is_not_worth_a_run(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    real = record.write_line

    def write_line(run_id: int, level: str, text: str) -> None:
        if text.startswith("Free space"):
            raise OperationalError("server closed the connection unexpectedly")
        real(run_id, level, text)

    monkeypatch.setattr(record, "write_line", write_line)
    assert run_now(task).state == RunState.SUCCESSFUL
