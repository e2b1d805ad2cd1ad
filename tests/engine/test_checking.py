"""Check set on real archives of the sample home: what is damage, what is not, and what either leaves on record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from storage.errors import Unreachable
from storage.localdir import LocalDir
from tasks import services
from tasks.audit import CONSOLE, Actor
from tasks.engine import checking, kinds
from tasks.engine.archive import ArchiveWriter, Listing, unpack, verify_archive
from tasks.engine.lease import claim
from tasks.errors import RunStopped
from tasks.models import Alarm, AuditEvent, BackupFile, BackupTask, Node, Run, Service
from tasks.naming import manifest_name
from tasks.states import Kind, RunState, Trigger
from tests.engine.kit import check_now, files_below, log_of, run_now

pytestmark = pytest.mark.django_db(transaction=True)
Change = Callable[[Path], None]


@pytest.fixture(autouse=True)
def _here(storage_path: Path, node: Node) -> None:
    """Every test has a place for archives and one node with the sample home."""


@pytest.fixture
def backup(make_task: Any) -> Run:
    """A set that was just made."""
    run = run_now(make_task(copies=2))
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    return run


def archive(run: Run) -> Path:
    return Path(run.files.get().path)


def beside(run: Run) -> Path:
    return archive(run).with_name(manifest_name(archive(run).name))


def raised() -> list[tuple[str, str]]:
    return list(Alarm.objects.filter(cleared_at__isnull=True).values_list("code", "subject"))


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
def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def exchange(path: Path) -> None:
    """Put the archive of another run of the same size class under the name."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    assert path.stat().st_size == size


DAMAGE: dict[str, tuple[Change, str]] = {
    "a bit flipped": (flip, "the archive is damaged"),
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


# --- Not damage ------------------------------------------------------------------------------------------------------
def test_a_destination_that_cannot_be_reached_is_no_damage(backup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object) -> None:
        raise Unreachable("10.1.2.3 did not answer within 10 s.", cure="Check the network.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalDir, "connect", away)
        check = check_now(backup)
    backup.refresh_from_db()
    assert (check.state, check.error_code) == (RunState.FAILED, "unreachable")
    assert backup.damaged_at is None and backup.checked_at is None
    task = BackupTask.objects.get()
    assert task.sets_kept == 1
    assert "could not be proven. 10.1.2.3 did not answer" in task.proof_problem
    assert raised() == []
    check_now(backup)
    assert BackupTask.objects.get().proof_problem == ""


def test_a_disk_that_is_not_mounted_is_no_damage_and_nothing_is_made(backup: Run, storage_path: Path) -> None:
    (storage_path / "LocalBackup").rename(storage_path / "unmounted")
    check = check_now(backup)
    backup.refresh_from_db()
    assert check.error_code == "unreachable"
    assert backup.damaged_at is None
    assert not (storage_path / "LocalBackup").exists()


def test_a_password_is_not_sent_to_the_server_that_the_task_had_before(make_task: Any, make_run: Any) -> None:
    place = {"server_ip": "10.0.0.1", "port": 22, "username": "svc", "shared_path": "/store"}
    task = make_task(path_type="SFTP", destination=place | {"server_ip": "10.0.0.2"})
    task.set_secrets({"password": "for 10.0.0.2 only"})
    task.save()
    run = make_run(task, parameters={"path_type": "SFTP", "destination": place, "directory": task.directory})
    check = check_now(run)
    assert check.error_code == "nothing-recorded"
    assert "10.0.0.1" in check.reason
    run.refresh_from_db()
    assert run.damaged_at is None


def test_a_check_that_is_stopped_says_nothing_of_the_set(backup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: object, **more: object) -> None:
        raise RunStopped("Stopped by anna after 1 s.")

    monkeypatch.setattr(checking.StoredArchive, "problems", stopped)
    check = check_now(backup)
    backup.refresh_from_db()
    assert check.state == RunState.STOPPED
    assert (backup.checked_at, backup.damaged_at) == (None, None)
    assert BackupTask.objects.get().proof_problem == ""


def test_a_set_that_is_gone_meanwhile_is_not_looked_for(backup: Run) -> None:
    check = services.check_set(CONSOLE, backup, timezone.now())
    Run.objects.filter(pk=backup.pk).update(set_removed_at=timezone.now())
    lease = claim(check.pk, timezone.now())
    assert lease
    kinds.execute(lease)
    check.refresh_from_db()
    assert (check.state, check.error_code) == (RunState.STOPPED, "set-removed")
    assert raised() == []


def test_a_worker_that_was_given_up_records_nothing(backup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(archive(backup))
    real = checking.StoredArchive.problems

    def problems(self: checking.StoredArchive) -> Iterable[str]:
        found = real(self)
        Run.objects.filter(kind=Kind.CHECK).update(lease_token="another")
        return found

    monkeypatch.setattr(checking.StoredArchive, "problems", problems)
    check_now(backup)
    backup.refresh_from_db()
    assert backup.damaged_at is None
    assert raised() == []


# --- What follows from it --------------------------------------------------------------------------------------------
def test_the_alarm_is_raised_once_and_the_next_good_check_clears_it(backup: Run) -> None:
    whole = archive(backup).read_bytes()
    flip(archive(backup))
    check_now(backup)
    check_now(backup)
    assert raised() == [("set-damaged", f"run {backup.pk}")]
    assert Alarm.objects.get().renewed_at > Alarm.objects.get().raised_at
    archive(backup).write_bytes(whole)
    assert check_now(backup).state == RunState.SUCCESSFUL
    backup.refresh_from_db()
    assert raised() == []
    assert (backup.damaged_at, backup.damage) == (None, "")
    task = BackupTask.objects.get()
    assert (task.sets_kept, task.proof_problem) == (1, "")


def test_a_good_check_of_one_set_does_not_hide_the_damage_of_another(make_task: Any) -> None:
    task = make_task(copies=3)
    first, second = run_now(task), run_now(task)
    flip(archive(first))
    check_now(first)
    check_now(second)
    task.refresh_from_db()
    assert "is damaged" in task.proof_problem
    assert task.sets_kept == 1


def test_a_damaged_set_is_no_copy_and_goes_when_enough_whole_ones_are_newer(make_task: Any) -> None:
    task = make_task(copies=2)
    first, second = run_now(task), run_now(task)
    flip(archive(second))
    check_now(second)
    third = run_now(task)
    assert third.state == RunState.SUCCESSFUL, "an old damage is no warning of a new run"
    assert archive(first).exists(), "a damaged set pushed a whole one out"
    assert archive(second).exists(), "a damaged set stays while there are not enough others"
    assert "does not count" in log_of(third)
    fourth = run_now(task)
    for run in (first, second):
        run.refresh_from_db()
        assert run.set_removed_at is not None and not archive(run).exists()
    assert archive(fourth).exists() and archive(third).exists()
    assert raised() == [], "the alarm outlived its set"
    task.refresh_from_db()
    assert (task.proof_problem, task.sets_kept) == ("", 2)


def test_the_audit_says_who_had_which_set_checked(backup: Run) -> None:
    check = services.check_set(Actor("op"), backup, timezone.now())
    assert (check.trigger, check.who) == (Trigger.PERSON, "op")
    assert f"run {backup.pk}" in AuditEvent.objects.get(verb="check set", actor="op").note
