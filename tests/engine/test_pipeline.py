"""One run from claim to result: the real sample home, the real archive, the real disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from storage.errors import NoSpace, PermissionDenied
from storage.localdir import LocalDirStore, LocalUpload
from tasks.engine import kinds, pipeline, record, spaces
from tasks.engine.record import Outcome
from tasks.engine.sweep import sweep_run
from tasks.models import BackupFile, BackupTask, Node, Run, Service
from tasks.naming import partial_name
from tasks.states import RunState
from tests.engine.kit import begin, files_below, log_of, members_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


def test_a_proven_archive_of_the_real_sample(task: BackupTask, storage_path: Path) -> None:
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    file = run.files.get()
    path = Path(file.path)
    assert path.parent == storage_path / "LocalBackup" / task.directory
    assert re.fullmatch(r"2\.0\.1-beta_IoTDB_\d{14}\.tar\.gz", path.name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert file.size == path.stat().st_size == run.size
    subprocess.run(["gzip", "-t", path], check=True)
    listed = subprocess.run(["tar", "tzf", path], check=True, capture_output=True, text=True).stdout.split("\n")
    assert any("data/confignode/consensus" in name for name in listed)
    assert file.verified_at
    assert run.verified_at


def test_the_manifest_beside_says_what_the_archive_holds(task: BackupTask) -> None:
    file = run_now(task).files.get()
    manifest = json.loads(Path(file.path + ".manifest.json").read_text())
    assert manifest["archive"]["sha256"] == file.sha256
    assert manifest["facts"]["service"] == "IoTDB"
    assert manifest["facts"]["version"] == "2.0.1-beta"
    assert manifest["facts"]["cluster_id"] == file.cluster_id
    assert {member["name"].rstrip("/") for member in manifest["members"]} | {"MANIFEST.json"} == {
        name.rstrip("/") for name in members_of(file.path)
    }


def test_the_room_at_the_destination_is_put_on_record(task: BackupTask) -> None:
    run_now(task)
    task.refresh_from_db()
    assert task.space is not None
    assert (task.space.path_type, task.space.read_by) == ("LocalDir", task)
    assert task.space.total_bytes and task.space.days.count() == 1


def test_a_destination_that_tells_no_room_in_the_end_spoils_no_set(
    task: BackupTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = LocalDirStore.free_space, []

    def once(store: LocalDirStore) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise PermissionDenied("Nobody may ask.")
        return real(store)

    monkeypatch.setattr(LocalDirStore, "free_space", once)
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert "How much room is left was not told. Nobody may ask." in log_of(run)


def test_a_run_outlives_a_database_that_is_away_when_room_is_recorded(
    task: BackupTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(spaces, "record", away)
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)


def test_the_list_is_told(task: BackupTask) -> None:
    run = run_now(task)
    task.refresh_from_db()
    assert (task.last_run, task.last_state, task.last_bytes) == (run, RunState.SUCCESSFUL, run.size)
    assert (task.sets_kept, task.outcomes) == (1, "s")
    assert task.last_success_at == run.ended_at


def test_the_log_tells_the_way(task: BackupTask) -> None:
    log = log_of(run_now(task))
    for words in (
        "claimed by worker",
        "Free space on LocalDir",
        "Archive complete",
        "Read back",
        "Published as",
        "Successful in",
    ):
        assert words in log, log


def test_several_services_give_one_file_each(task: BackupTask, node: Node, tmp_path: Path) -> None:
    second = Service.objects.create(cluster=task.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home=node.home)
    run = run_now(task)
    assert [file.service for file in run.files.all()] == ["IoTDB", "IoTDB-1"]
    assert run.size == sum(file.size for file in run.files.all())


def test_a_set_is_published_whole_or_not_at_all(task: BackupTask, storage_path: Path) -> None:
    second = Service.objects.create(cluster=task.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home="/nowhere/iotdb")
    run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, "home-missing")
    assert files_below(storage_path) == []


def test_a_second_file_that_cannot_be_published_takes_the_first_along(
    task: BackupTask, node: Node, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Service.objects.create(cluster=task.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home=node.home)
    real = LocalUpload.publish

    def publish(self: LocalUpload) -> str:
        if "IoTDB-1" in self.final.name and not self.final.name.endswith("json"):
            raise PermissionDenied("The console may not write there.")
        return real(self)

    monkeypatch.setattr(LocalUpload, "publish", publish)
    run = run_now(task)
    assert run.state == RunState.FAILED
    left = [name for name in files_below(storage_path) if not name.endswith("manifest.json")]
    assert left == []
    assert not BackupFile.objects.exists()


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        ("gone", "home-missing", "is not there"),
        ("empty", "nothing-to-back-up", "metadata"),
    ],
)
def test_nothing_to_back_up_is_a_clear_failure(
    damage: str, code: str, words: str, task: BackupTask, node: Node, tmp_path: Path, storage_path: Path
) -> None:
    home = tmp_path / "other-home"
    if damage == "empty":
        home.mkdir()
    Node.objects.update(home=str(home))
    run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, code), run.reason
    assert words in run.reason
    assert str(home) in run.reason
    assert files_below(storage_path) == []


def test_a_service_without_nodes_is_a_clear_failure(task: BackupTask) -> None:
    Node.objects.all().delete()
    run = run_now(task)
    assert run.state == RunState.FAILED
    assert "Service IoTDB of plant has no nodes. Add its nodes" in run.reason


def test_too_little_room_is_said_before_anything_is_written(
    task: BackupTask, settings: Any, storage_path: Path
) -> None:
    settings.FREE_SPACE_FLOOR = 10**18
    run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, "no-space")
    assert "1000 PB have to stay free" in run.reason
    assert files_below(storage_path) == []


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.99])
def test_a_disk_that_fills_up_leaves_the_good_sets_alone(
    fraction: float, task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_now(task)
    assert first.size
    before = files_below(storage_path)
    room = int(first.size * fraction)
    real = LocalUpload.write
    written = {"bytes": 0}

    def write(self: LocalUpload, data: Any) -> None:
        written["bytes"] += len(data)
        if written["bytes"] > room:
            raise NoSpace(f"The disk that holds {self.partial.parent} is full.", cure="Free space there.")
        real(self, data)

    monkeypatch.setattr(LocalUpload, "write", write)
    second = run_now(task)
    assert (second.state, second.error_code) == (RunState.FAILED, "no-space")
    assert files_below(storage_path) == before
    task.refresh_from_db()
    assert (task.sets_kept, task.outcomes) == (1, "sf")


def test_a_bit_that_flips_on_the_way_to_the_disk_is_found(
    task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalUpload.seal

    def seal(self: LocalUpload, size: int) -> None:
        real(self, size)
        if self.final.name.endswith(".tar.gz"):
            place = size // 2
            byte = os.pread(self._fd, 1, place)
            os.pwrite(self._fd, bytes([byte[0] ^ 1]), place)

    monkeypatch.setattr(LocalUpload, "seal", seal)
    run = run_now(task)
    assert (run.state, run.error_code) == (RunState.FAILED, "corrupt")
    assert files_below(storage_path) == []


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
