"""The names of a set, what a broken publication leaves, and a stop that comes while sets are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from storage.errors import PermissionDenied, Unreachable
from storage.localdir import LocalDirStore, LocalUpload
from tasks.audit import CONSOLE
from tasks.engine import kinds, pipeline, record
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease, claim
from tasks.engine.sweep import sweep_run, sweep_spool
from tasks.errors import RunStopped
from tasks.models import BackupFile, BackupTask, Node, Run
from tasks.services import back_up_now
from tasks.states import RunState
from tests.engine.kit import archives, begin, files_below, log_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


# --- Names ------------------------------------------------------------------------------------------------------------
def test_two_runs_in_one_second_have_names_of_their_own(task: BackupTask, settings: Any) -> None:
    settings.RUN_TIME_LIMIT = 10**9
    moment = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    names = []
    for shift in (timedelta(0), timedelta(0), timedelta(hours=1)):
        # The third is an hour later, in the hour that autumn repeats.
        run = back_up_now(CONSOLE, task, timezone.now())
        lease = claim(run.pk, moment + shift)
        assert lease
        kinds.execute(lease)
        run.refresh_from_db()
        assert run.state == RunState.SUCCESSFUL, log_of(run)
        names.append(run.files.get().name)
    stamps = [name.removesuffix(".tar.gz").rpartition("_")[2] for name in names]
    assert stamps == ["20261025023000", "20261025023001", "20261025023002"]
    assert "20261025023002" in log_of(run) or "02:30:02" in log_of(run)


def test_a_name_that_somebody_took_is_passed_over(task: BackupTask, storage_path: Path, settings: Any) -> None:
    settings.RUN_TIME_LIMIT = 10**9
    folder = storage_path / "LocalBackup" / task.directory
    folder.mkdir(parents=True)
    moment = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
    foreign = folder / "2.0.1-beta_IoTDB_20260601050000.tar.gz.manifest.json"
    foreign.write_text("somebody else's")
    run = back_up_now(CONSOLE, task, timezone.now())
    lease = claim(run.pk, moment)
    assert lease
    kinds.execute(lease)
    run.refresh_from_db()
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert foreign.read_text() == "somebody else's"


# --- What a broken publication leaves ---------------------------------------------------------------------------------
def broken_publish(monkeypatch: pytest.MonkeyPatch, *, after: bool, error: Exception) -> None:
    """Let the archive's publication fail, before or after it took effect."""
    real = LocalUpload.publish

    def publish(self: LocalUpload) -> str:
        if self.final.name.endswith("json"):
            return real(self)
        if after:
            real(self)
        raise error

    monkeypatch.setattr(LocalUpload, "publish", publish)


@pytest.mark.parametrize("after", [False, True])
def test_a_publication_with_an_unknown_end_leaves_nothing(
    after: bool, task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_publish(monkeypatch, after=after, error=Unreachable("The answer to the rename never came."))
    assert run_now(task).state == RunState.FAILED
    assert files_below(storage_path) == []
    assert not BackupFile.objects.exists()


def test_what_could_not_be_removed_at_once_is_removed_by_the_next_run(
    task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken_publish(broken, after=True, error=Unreachable("The answer to the rename never came."))

        def refuse(self: LocalDirStore, directory: str, name: str) -> None:
            raise Unreachable("The connection broke.")

        broken.setattr(LocalDirStore, "delete", refuse)
        failed = run_now(task)
    assert failed.state == RunState.FAILED
    assert "could not be removed yet" in log_of(failed)
    left = files_below(storage_path)
    assert len(left) == 2
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert len(files_below(storage_path)) == 2
    assert not set(left) & set(files_below(storage_path))
    assert BackupFile.objects.count() == 1


def test_a_leftover_that_stays_is_a_warning(task: BackupTask, storage_path: Path, monkeypatch: Any) -> None:
    dead = run_now(task)
    folder = Path(dead.files.get().path).parent
    (folder / f".2.0.1-beta_IoTDB_20200101000000.tar.gz.partial-{dead.pk}").write_bytes(b"half")
    real = LocalDirStore.delete

    def refuse(self: LocalDirStore, directory: str, name: str) -> None:
        if "partial" in name:
            raise PermissionDenied("The console may not delete there.")
        real(self, directory, name)

    monkeypatch.setattr(LocalDirStore, "delete", refuse)
    run = run_now(task)
    assert run.state == RunState.WARNINGS
    assert "left behind" in run.reason


def test_sweeping_spares_the_proven_file_of_another_run(task: BackupTask) -> None:
    good = run_now(task).files.get()
    dead = Run.objects.create(
        task=task, cluster=task.cluster, trigger="person", state=RunState.FAILED, ended_at=timezone.now(),
        parameters=Run.objects.get(pk=good.run_id).parameters,
    )  # fmt: skip
    values = {field: getattr(good, field) for field in ("service", "directory", "name", "path", "size", "sha256")}
    BackupFile.objects.create(run=dead, members=1, source_bytes=1, version="1", **values)
    sweep_run(dead.pk)
    assert Path(good.path).exists()
    assert Path(good.path + ".manifest.json").exists()
    assert not BackupFile.objects.filter(run=dead).exists()


def test_the_spool_of_dead_runs_is_emptied(task: BackupTask) -> None:
    from tasks.engine.snapshot import spool_path

    dead, alive = run_now(task), begin(task)
    left, kept = spool_path(dead.pk, "x.tar.gz"), spool_path(alive.run_id, "x.tar.gz")
    left.write_bytes(b"half")
    kept.write_bytes(b"half")
    try:
        sweep_spool()
        assert not left.exists()
        assert kept.exists()
    finally:
        kept.unlink(missing_ok=True)


def test_a_run_sweeps_where_it_wrote(task: BackupTask, storage_path: Path, settings: Any, tmp_path: Path) -> None:
    """The data storage path was changed between the crash and the sweeping."""
    lease: Lease = begin(task)
    with pytest.MonkeyPatch.context() as broken:

        def die(*_: object) -> None:
            raise SystemExit

        broken.setattr(record, "prove", die)
        with pytest.raises(SystemExit):
            kinds.execute(lease)
    settings.DATA_STORAGE_PATH = tmp_path / "moved"
    record.give_up(Run.objects.get(pk=lease.run_id), "The worker was lost.", timezone.now())
    sweep_run(lease.run_id)
    assert files_below(storage_path) == []


# --- Stop and time limit ---------------------------------------------------------------------------------------------
def test_a_stop_comes_through_while_the_source_is_looked_at(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"times": 0}

    def check(self: Keeper) -> None:
        asked["times"] += 1
        if asked["times"] == 20:
            raise RunStopped("Stopped by anna after 1 s.")

    monkeypatch.setattr(Keeper, "check", check)
    run = run_now(task)
    assert run.state == RunState.STOPPED
    assert "Free space" not in log_of(run), "the stop came after the survey"


def test_a_stop_in_retention_keeps_the_set_and_says_what_is_left(
    make_task: Any, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(copies=1)
    run_now(task)
    lease = begin(task)
    real = pipeline.retention.apply

    def apply(snapshot: Any, run: Run, store: Any, check: Any) -> list[str]:
        Run.objects.filter(pk=run.pk).update(stop_requested_at=timezone.now(), stop_requested_by="anna")
        calls = iter(range(9))

        def stopped() -> None:
            if next(calls):
                raise RunStopped("Stopped by anna after 1 s.")

        return real(snapshot, run, store, stopped)

    monkeypatch.setattr(pipeline.retention, "apply", apply)
    kinds.execute(lease)
    run = Run.objects.get(pk=lease.run_id)
    assert run.state == RunState.WARNINGS
    assert "anna pressed Stop when the set was published already. The set stays." in log_of(run)
    assert len(archives(storage_path)) == 2
    monkeypatch.setattr(pipeline.retention, "apply", real)
    run_now(task)
    assert len(archives(storage_path)) == 1
