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

from storage.errors import NoSpace, PermissionDenied
from storage.localdir import LocalDirStore, LocalUpload
from tasks.engine import spaces
from tasks.models import BackupFile, BackupTask, Node, Service
from tasks.states import RunState
from tests.engine.kit import files_below, log_of, members_of, run_now, with_second_service

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
    with_second_service(task, node)
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
    with_second_service(task, node)
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
