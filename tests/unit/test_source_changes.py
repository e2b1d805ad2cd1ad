"""A group is read until it held still, and a dropped database makes everything be copied again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tasks.errors import KeepsChanging, RunStopped
from tests.unit.source_home import (
    CONFIG_GROUP,
    SCHEMA_GROUP,
    Journal,
    Recorder,
    copy,
    home,
    node_of,
    once,
    pauses,
)

__all__ = ["home", "pauses"]

LOG = f"n1/{SCHEMA_GROUP}0/current/log_inprogress_0"
TREE = f"n1/{SCHEMA_GROUP}0/sm/1_9/mtree.snapshot"


# --- Reading a group again ------------------------------------------------------------------------------------------
def test_growth_of_an_open_log_is_no_change(home: Path, pauses: list[float]) -> None:
    path = home / f"{SCHEMA_GROUP}0/current/log_inprogress_0"

    def grow() -> None:
        with path.open("a") as file:
            file.write(" and more")

    archive, journal = Recorder(after=once(LOG, grow)), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert archive.rollbacks == 0
    assert journal.at("WARN") == []
    assert archive.contents[LOG] == b"schema log"


@pytest.mark.parametrize("name", ["mlog.bin", "tlog.txt"])
def test_growth_of_the_schema_files_is_no_change(home: Path, pauses: list[float], name: str) -> None:
    path = home / "data/datanode/system/schema/root.a/0" / name
    path.write_text("entry")

    def grow() -> None:
        with path.open("a") as file:
            file.write(" entry")

    archive = Recorder(after=once(f"n1/data/datanode/system/schema/root.a/0/{name}", grow))
    copy(archive, Journal(), pauses, node_of(home))
    assert archive.rollbacks == 0


def test_a_changed_file_makes_its_group_read_again(home: Path, pauses: list[float]) -> None:
    change = once(LOG, lambda: (home / f"{SCHEMA_GROUP}0/current/raft-meta").write_text("term 2"))
    archive, journal = Recorder(after=change), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert archive.contents[f"n1/{SCHEMA_GROUP}0/current/raft-meta"] == b"term 2"
    assert archive.names.count(LOG) == 1
    assert archive.rollbacks == 1
    assert pauses == [0.05]
    assert journal.at("WARN") == [
        "Group 00000000 (DataNode n1, schema regions) changed while it was read. Copied again: 3 files, 20 B."
    ]


def test_a_rolled_log_makes_its_group_read_again(home: Path, pauses: list[float]) -> None:
    current = home / f"{SCHEMA_GROUP}0/current"
    roll = once(LOG, lambda: (current / "log_inprogress_0").rename(current / "log_0-9"))
    archive = Recorder(after=roll)
    copy(archive, Journal(), pauses, node_of(home))
    assert f"n1/{SCHEMA_GROUP}0/current/log_0-9" in archive.names
    assert LOG not in archive.names


def test_a_log_that_became_shorter_makes_its_group_read_again(home: Path, pauses: list[float]) -> None:
    path = home / f"{SCHEMA_GROUP}0/current/log_inprogress_0"
    archive = Recorder(before=once(LOG, lambda: os.truncate(path, 4)))
    copy(archive, Journal(), pauses, node_of(home))
    assert archive.contents[LOG] == b"sche"
    assert archive.rollbacks == 1


def test_a_log_replaced_by_another_of_its_name_makes_its_group_read_again(home: Path, pauses: list[float]) -> None:
    path = home / f"{SCHEMA_GROUP}0/current/log_inprogress_0"

    def replace() -> None:
        (path.parent / "new").write_text("another log that is longer")
        (path.parent / "new").rename(path)

    archive = Recorder(after=once(LOG, replace))
    copy(archive, Journal(), pauses, node_of(home))
    assert archive.contents[LOG] == b"another log that is longer"


def test_a_file_that_vanishes_before_it_is_read_makes_its_group_read_again(home: Path, pauses: list[float]) -> None:
    snapshot = home / f"{SCHEMA_GROUP}0/sm/1_9"
    archive = Recorder(after=once(LOG, lambda: snapshot.rename(snapshot.with_name("1_12"))))
    copy(archive, Journal(), pauses, node_of(home))
    assert TREE not in archive.names
    assert TREE.replace("1_9", "1_12") in archive.names


def test_a_file_that_becomes_a_named_pipe_does_not_hold_the_run(home: Path, pauses: list[float]) -> None:
    path = home / f"{SCHEMA_GROUP}0/sm/1_9/mtree.snapshot"

    def swap() -> None:
        path.unlink()
        os.mkfifo(path)

    archive, journal = Recorder(after=once(LOG, swap)), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert TREE not in archive.names
    assert any("is a named pipe" in line for line in journal.at("WARN"))


def test_gives_up_after_twenty_attempts_and_names_the_group(home: Path, pauses: list[float]) -> None:
    path, count = home / f"{SCHEMA_GROUP}0/current/raft-meta", iter(range(100))

    def change(name: str) -> None:
        if name == LOG:
            path.write_text(f"term {next(count):02}" + "!" * next(count))

    archive, journal = Recorder(after=change), Journal()
    with pytest.raises(KeepsChanging) as raised:
        copy(archive, journal, pauses, node_of(home))
    assert "Group 00000000 (DataNode n1, schema regions) changed at each of 20 attempts" in raised.value.message
    assert raised.value.cure
    assert raised.value.retryable
    assert pauses == pytest.approx([0.05 * attempt for attempt in range(1, 21)])
    assert len(journal.at("WARN")) == 19


def test_a_stop_comes_through_between_two_attempts(home: Path, pauses: list[float]) -> None:
    archive = Recorder(stopped=RunStopped("Stopped by anna."))
    archive.after = once(LOG, lambda: (home / f"{SCHEMA_GROUP}0/current/raft-meta").write_text("term 2"))
    with pytest.raises(RunStopped):
        copy(archive, Journal(), pauses, node_of(home))
    assert pauses == []


# --- Regions that go away -------------------------------------------------------------------------------------------
def test_a_dropped_database_makes_everything_be_copied_again(home: Path, pauses: list[float]) -> None:
    """Else the archive's ConfigNode would name region 3, which the archive's DataNode does not hold."""

    def drop() -> None:
        shutil.rmtree(home / f"{SCHEMA_GROUP}3")
        shutil.rmtree(home / "data/datanode/system/schema/root.b")
        (home / f"{CONFIG_GROUP}/current/log_inprogress_41").write_text("open log, root.b dropped")

    archive, journal = Recorder(after=once(LOG, drop)), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert archive.contents[f"n1/{CONFIG_GROUP}/current/log_inprogress_41"] == b"open log, root.b dropped"
    assert not [name for name in archive.names if f"{SCHEMA_GROUP}3" in name or "root.b" in name]
    assert len(archive.names) == len(set(archive.names))
    assert "a database was dropped. Copying from the start." in journal.at("WARN")[-1]


def test_a_database_dropped_between_its_region_and_the_system_directory_is_noticed(
    home: Path, pauses: list[float]
) -> None:
    drop = once(
        "n1/data/datanode/consensus/data_region/1_2/1_configuration.dat",
        lambda: shutil.rmtree(home / "data/datanode/system/schema/root.b"),
    )
    archive, journal = Recorder(after=drop), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert "Copying from the start." in journal.at("WARN")[-1]


def test_gives_up_when_databases_are_dropped_in_every_attempt(home: Path, pauses: list[float]) -> None:
    for number in range(10):
        (home / f"data/datanode/system/schema/root.x/{number}").mkdir(parents=True)

    def drop(name: str) -> None:
        if name == LOG:
            shutil.rmtree(next((home / "data/datanode/system/schema/root.x").iterdir()))

    with pytest.raises(KeepsChanging, match="dropped at each of 5 attempts"):
        copy(Recorder(after=drop), Journal(), pauses, node_of(home))


def test_a_database_created_meanwhile_is_no_reason_to_start_again(home: Path, pauses: list[float]) -> None:
    def create() -> None:
        path = home / f"{SCHEMA_GROUP}7/current/log_inprogress_0"
        path.parent.mkdir(parents=True)
        path.write_text("new")

    archive, journal = Recorder(after=once(f"n1/{CONFIG_GROUP}/current/raft-meta", create)), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert f"n1/{SCHEMA_GROUP}7/current/log_inprogress_0" in archive.names
    assert journal.at("WARN") == []
