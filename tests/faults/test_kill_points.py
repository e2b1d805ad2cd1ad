"""kill -9 of the process that works on a run, at each step: nothing wrong stays, nothing good goes, the next works."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage import registry
from storage.localdir import LocalDirStore, LocalUpload
from tasks.engine import dispatch, ending, lease, record
from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupFile, BackupTask, Node, Run, Service
from tasks.states import RunState
from tests.engine.kit import begin, files_below, log_of, run_now
from tests.engine.remote import FaultyRemote
from tests.faults.killing import after, before, die, killed, leases_later

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]
COPIES = 2


def is_archive(upload: LocalUpload, *_: object) -> bool:
    return not upload.final.name.endswith(".json")


def is_manifest(upload: LocalUpload, *_: object) -> bool:
    return upload.final.name.endswith(".json")


def is_second(upload: LocalUpload, *_: object) -> bool:
    return is_archive(upload) and "IoTDB-1" in upload.final.name


def half_a_write() -> None:
    """Die when half of a block is on the disk."""
    real = LocalUpload.write

    def write(self: LocalUpload, data: Any) -> None:
        real(self, memoryview(data)[: len(data) // 2])
        die()

    LocalUpload.write = write  # type: ignore[method-assign]


def between_link_and_unlink() -> None:
    """Die when an archive has both its names."""
    real = os.link

    def link(source: Any, target: Any) -> None:
        real(source, target)
        if str(target).endswith(".tar.gz"):
            die()

    os.link = link  # type: ignore[assignment]


BEFORE_PROOF: dict[str, Callable[[], None]] = {
    "before put": before(LocalDirStore, "put"),
    "in a write": half_a_write,
    "after seal": after(LocalUpload, "seal", is_archive),
    "when the second service is written": before(LocalUpload, "write", is_second),
    "before announce": before(record, "announce"),
    "between announce and publish": after(record, "announce"),
    "between manifest and archive": after(LocalUpload, "publish", is_manifest),
    "between link and unlink": between_link_and_unlink,
    "between two services": after(LocalUpload, "publish", is_archive),
    "after publish, before prove": before(record, "prove"),
}
AFTER_PROOF: dict[str, Callable[[], None]] = {
    "after prove": after(record, "prove"),
    "in retention, before the first file": before(LocalDirStore, "delete"),
    "in retention, between archive and manifest": after(LocalDirStore, "delete"),
    "in retention, between two files": after(
        LocalDirStore, "delete", lambda store, directory, name: name.endswith(".manifest.json")
    ),
    "before finish": before(record, "finish"),
    "after finish": after(ending, "_record_end"),
}


@pytest.fixture
def task(make_task: Any, node: Node, storage_path: Path) -> BackupTask:
    """A task of two services that keeps two sets and has them."""
    task: BackupTask = make_task(copies=COPIES)
    second = Service.objects.create(cluster=task.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home=node.home)
    for _ in range(COPIES):
        assert run_now(task).state == RunState.SUCCESSFUL
    return task


def is_whole(run: Run) -> bool:
    """Tell whether all files of a set are at the destination with the recorded hash, and their manifests too."""
    return all(
        Path(file.path).exists()
        and Path(file.path + ".manifest.json").exists()
        and hashlib.sha256(Path(file.path).read_bytes()).hexdigest() == file.sha256
        for file in run.files.all()
    )


def assert_nothing_wrong(task: BackupTask, root: Path) -> None:
    """No file without a record under a final name, no partial file, and no fewer whole sets than wanted."""
    known = BackupFile.objects.filter(run__task=task, verified_at__isnull=False, removed_at__isnull=True)
    names = {name for file in known for name in (file.name, f"{file.name}.manifest.json")}
    found = {Path(name).name for name in files_below(root)}
    assert found <= names, f"nobody knows {found - names}"
    assert files_below(Path(scratch_directory())) == []
    whole = [run for run in record.kept_sets(task.pk) if is_whole(run)]
    assert len(whole) == record.kept_sets(task.pk).count() >= COPIES


def reap_later(*, sweep: bool) -> None:
    """Do what the first tick after the end of the lease does; without ``sweep`` it is killed before it clears up."""
    if sweep:
        dispatch.tick(leases_later())
    else:
        lease.reap(leases_later())


@pytest.mark.parametrize("point", BEFORE_PROOF)
def test_killed_before_the_proof(point: str, task: BackupTask, storage_path: Path) -> None:
    run = killed(begin(task), BEFORE_PROOF[point])
    assert run.state == RunState.RUNNING
    reap_later(sweep=True)
    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.FAILED, "worker-lost")
    assert_nothing_wrong(task, storage_path)
    assert_next_run_works(task, storage_path)


@pytest.mark.parametrize("point", ["in a write", "between manifest and archive", "after publish, before prove"])
def test_killed_together_with_the_tick_that_clears_up(point: str, task: BackupTask, storage_path: Path) -> None:
    killed(begin(task), BEFORE_PROOF[point])
    reap_later(sweep=False)
    assert_next_run_works(task, storage_path)


@pytest.mark.parametrize("point", AFTER_PROOF)
def test_killed_after_the_proof(point: str, task: BackupTask, storage_path: Path) -> None:
    run = killed(begin(task), AFTER_PROOF[point])
    reap_later(sweep=True)
    run.refresh_from_db()
    assert run.state == (RunState.SUCCESSFUL if point == "after finish" else RunState.WARNINGS)
    assert is_whole(run)
    assert_nothing_wrong(task, storage_path)
    assert_next_run_works(task, storage_path)


def assert_next_run_works(task: BackupTask, root: Path) -> None:
    """The next run is successful, and what is there then is the wanted number of sets and nothing else."""
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert_nothing_wrong(task, root)
    assert len(files_below(root)) == COPIES * 2 * 2
    task.refresh_from_db()
    assert task.sets_kept == COPIES


@pytest.mark.parametrize("point", ["in an upload", "before a rename"])
def test_killed_with_a_spool(
    point: str, make_task: Any, node: Node, storage_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = FaultyRemote(tmp_path / "far-away")
    registry.all_path_types()
    monkeypatch.setitem(registry._TYPES, far.name, far)
    task = make_task(path_type="Faulty", copies=1)
    first = run_now(task)
    assert first.state == RunState.SUCCESSFUL
    killed(begin(task), half_a_write if point == "in an upload" else before(LocalUpload, "publish", is_archive))
    assert files_below(Path(scratch_directory())) != []
    reap_later(sweep=True)
    assert files_below(Path(scratch_directory())) == []
    assert is_whole(first)
    assert len(files_below(far.root)) == 2
    assert run_now(task).state == RunState.SUCCESSFUL
    assert len(files_below(far.root)) == 2
