"""Backup file sets under hostile circumstances: what counts, what is removed, and what a name may meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from storage.errors import PermissionDenied, StoreFault, Unreachable
from storage.localdir import LocalDirStore, LocalUpload
from tasks.audit import CONSOLE
from tasks.engine import execution, kinds, pipeline, record
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease, claim
from tasks.engine.retention import SetInfo, plan
from tasks.engine.sweep import sweep_run, sweep_spool
from tasks.errors import RunStopped
from tasks.jobs import execute_run
from tasks.models import BackupFile, BackupTask, Node, Run, Service
from tasks.services import back_up_now
from tasks.states import RunState
from tests.engine.kit import begin, files_below, log_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


def archives(root: Path) -> list[str]:
    """Return the names of all files that are under a final name and no manifest."""
    return [name for name in files_below(root) if name.endswith(".tar.gz") and "/." not in name]


def with_second_service(task: BackupTask, node: Node) -> None:
    """Give the cluster a second service, so that a set has two files."""
    second = Service.objects.create(cluster=task.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home=node.home)


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


def test_the_end_is_recorded_although_the_database_was_away(task: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    real, times = record.finish, iter(range(100))

    def finish(*args: Any, **more: Any) -> bool:
        if next(times) < 2:
            raise OperationalError("server closed the connection unexpectedly")
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
