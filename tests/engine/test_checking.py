"""Check set on real archives of the sample home: what is whole, and what is damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.archive import ArchiveWriter, Listing, unpack, verify_archive
from tasks.models import Alarm, BackupFile, BackupTask, Node, Run, Service
from tasks.states import Kind, RunState
from tests.engine.checking_kit import (
    archive,
    beside,
    flip,
    raised,
    set_that_was_just_made,  # noqa: F401
)
from tests.engine.kit import check_now, files_below, log_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)
Change = Callable[[Path], None]


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


# --- A set that is whole ---------------------------------------------------------------------------------------------
def test_a_whole_set_is_checked(backup: Run, storage_path: Path) -> None:
    before = {name: (storage_path / name).stat().st_mtime_ns for name in files_below(storage_path)}
    check = check_now(backup)
    backup.refresh_from_db()
    assert (check.state, check.kind, check.subject_id) == (RunState.SUCCESSFUL, Kind.CHECK, backup.pk), log_of(check)
    assert check.reason.startswith("Every byte is as it was written: 1 archive")
    assert backup.checked_at is not None and backup.damaged_at is None
    assert check.bytes_read == check.bytes_expected == backup.size
    task = BackupTask.objects.get()
    assert (task.last_checked_at, task.proof_problem, task.sets_kept) == (backup.checked_at, "", 1)
    # What the list shows of the task is its backup still.
    assert (task.last_run_id, task.outcomes) == (backup.pk, "s")
    assert raised() == []
    after = {name: (storage_path / name).stat().st_mtime_ns for name in files_below(storage_path)}
    assert after == before, "a check wrote to the destination"


def test_two_services_are_both_read(make_task: Any, node: Node) -> None:
    second = Service.objects.create(cluster=node.service.cluster, name="IoTDB-1")
    Node.objects.create(service=second, name="node2", home=node.home)
    run = run_now(make_task())
    check = check_now(run)
    assert "2 archives" in check.reason
    Path(run.files.get(service="IoTDB-1").path).write_bytes(b"")
    assert "IoTDB-1" in check_now(run).reason


# --- Damage ----------------------------------------------------------------------------------------------------------
def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def exchange(path: Path) -> None:
    """Put the archive of another run of the same size class under the name."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    assert path.stat().st_size == size


DAMAGE: dict[str, tuple[Change, str]] = {
    "bits flipped": (flip, "the archive is damaged"),
    "cut short": (cut, "bytes."),
    "empty": (lambda path: path.write_bytes(b"") and None, "has 0 of"),
    "missing": (Path.unlink, "is not there any more"),
    "its end exchanged": (exchange, "the archive is damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_takes_the_set_out_of_those_that_count(name: str, backup: Run) -> None:
    change, words = DAMAGE[name]
    change(archive(backup))
    check = check_now(backup)
    backup.refresh_from_db()
    assert (check.state, check.error_code) == (RunState.FAILED, "corrupt"), log_of(check)
    assert words in backup.damage and backup.damage in check.reason
    assert backup.damaged_at is not None and backup.checked_at is None
    task = BackupTask.objects.get()
    assert task.sets_kept == 0
    assert "is damaged" in task.proof_problem and backup.damage in task.proof_problem
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.subject, alarm.place) == ("set-damaged", f"run {backup.pk}", task.name)
    assert backup.damage in alarm.cause and alarm.cluster == task.cluster


def test_another_archive_under_the_name_is_damage(make_task: Any, node: Node) -> None:
    task = make_task(copies=2)
    first, second = run_now(task), run_now(task)
    archive(first).write_bytes(archive(second).read_bytes())
    # The size may happen to be the same; only the hash tells then.
    BackupFile.objects.filter(run=first).update(size=archive(second).stat().st_size)
    check_now(first)
    first.refresh_from_db()
    assert "its SHA-256 is not the one that was recorded" in first.damage


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Path.unlink, "is not there any more"),
        (lambda path: path.write_bytes(b"{"), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"mode":"0644"', b'"mode":"0600"', 1)), "(at "),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"hot":false', b'"hot":true ')), "something else"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"size":', b'"size":1', 1)), "another archive"),
    ],
    ids=["missing", "cut", "a member changed", "a fact changed", "of another archive"],
)
def test_a_manifest_beside_that_is_not_that_of_the_archive(change: Change, words: str, backup: Run) -> None:
    before = beside(backup).read_bytes()
    change(beside(backup))
    assert not beside(backup).exists() or beside(backup).read_bytes() != before
    check = check_now(backup)
    backup.refresh_from_db()
    assert check.state == RunState.FAILED
    assert words in backup.damage and beside(backup).name in backup.damage


# --- What IoTDB needs to start again ---------------------------------------------------------------------------------
def rebuild(run: Run, leave_out: str = "", **facts: Any) -> None:
    """Write the set's archive anew, without the members that begin like ``leave_out``, as if it had been made so."""
    path, listing = archive(run), Listing()
    with path.open("rb") as reader:
        known = verify_archive(reader, listing=listing).facts | facts
    fresh = path.with_name("fresh")
    with path.open("rb") as reader, fresh.open("wb") as sink, ArchiveWriter(sink) as writer:
        for member in unpack(reader, listing):
            content = b"".join(bytes(chunk) for chunk in member.chunks)
            if leave_out and leave_out in f"{member.name}/":
                continue
            if member.kind == "file":
                writer.add_bytes(member.name, content, member.mtime)
            elif member.kind == "directory":
                writer.add_directory(member.name, os.stat(path.parent))
        result = writer.finish(known)
        beside(run).unlink()
        writer.write_manifest(beside(run), known, path.name)
    fresh.replace(path)
    run.files.update(size=result.size, sha256=result.sha256, members=result.members)


CONFIG = "node1/data/confignode"
DATA = "node1/data/datanode"
LACKS: dict[str, list[str]] = {
    f"{CONFIG}/consensus": ["neither a log nor a snapshot"],
    "/current/raft-meta/": ["raft-meta of the ConfigNode group", "raft-meta of the schema region group"],
    f"{CONFIG}/system/confignode-system.properties": ["confignode-system.properties is missing"],
    f"{DATA}/system/system.properties": ["system/system.properties is missing"],
    f"{DATA}/system/schema": ["system/schema has no directory of schema region"],
    f"{DATA}/consensus/schema_region": ["no consensus group of a schema region is there"],
    "configuration.dat": ["no configuration of a data region is there"],
    "node1/conf/iotdb-system.properties": ["configuration holds"],
}


@pytest.mark.parametrize("leave_out", LACKS)
def test_a_member_that_iotdb_needs_is_missed(leave_out: str, backup: Run) -> None:
    rebuild(backup, leave_out)
    check = check_now(backup)
    backup.refresh_from_db()
    assert check.state == RunState.FAILED, log_of(check)
    assert all(words in backup.damage for words in LACKS[leave_out]), backup.damage


def test_an_archive_that_was_only_written_anew_is_whole(backup: Run) -> None:
    rebuild(backup)
    assert check_now(backup).state == RunState.SUCCESSFUL


@pytest.mark.parametrize(("fact", "words"), [("cluster_id", "the cluster id"), ("version", "the version")])
def test_an_archive_of_another_cluster_or_version_is_damage(fact: str, words: str, backup: Run) -> None:
    rebuild(backup, **{fact: "another"})
    check_now(backup)
    backup.refresh_from_db()
    assert f"{words} in its manifest is another" in backup.damage
