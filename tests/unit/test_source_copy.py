"""The clauses that make a copy of a running IoTDB safe: order, exclusions, reading again, dropped regions."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from tasks.errors import RunStopped, Unreadable
from tests.unit.source_home import (
    CONFIG_GROUP,
    SCHEMA_GROUP,
    Journal,
    Recorder,
    copy,
    home,
    make_home,
    node_of,
    pauses,
)

__all__ = ["home", "pauses"]

ORDER = [
    f"{CONFIG_GROUP}/",
    "data/confignode/system/",
    f"{SCHEMA_GROUP}0/",
    f"{SCHEMA_GROUP}3/",
    "data/datanode/consensus/data_region/",
    "data/datanode/system/",
    "ext/udf/",
    "conf/",
]
LOG = f"n1/{SCHEMA_GROUP}0/current/log_inprogress_0"
TREE = f"n1/{SCHEMA_GROUP}0/sm/1_9/mtree.snapshot"


def steps(names: list[str], node: str) -> list[str]:
    """Return the places of the order in which files appear, each once."""
    found: list[str] = []
    for name in names:
        place = next((place for place in ORDER if name.startswith(f"{node}/{place}")), name)
        if not found or found[-1] != place:
            found.append(place)
    return found


# --- Order ----------------------------------------------------------------------------------------------------------
def test_confignode_then_schema_regions_then_data_regions_then_system_then_ext_and_conf(
    home: Path, pauses: list[float]
) -> None:
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    assert steps(archive.names, "n1") == ORDER


def test_every_confignode_comes_before_any_datanode(tmp_path: Path, pauses: list[float]) -> None:
    nodes = [node_of(make_home(tmp_path / name), name) for name in ("n1", "n2")]
    archive = Recorder()
    copy(archive, Journal(), pauses, *nodes)
    kinds = [re.sub(r"n\d/(data/confignode|data/datanode)?.*", r"\1", name) for name in archive.names]
    assert kinds == sorted(kinds, key=["data/confignode", "data/datanode", ""].index)
    assert {name.split("/")[0] for name in archive.names} == {"n1", "n2"}


def test_in_a_ratis_group_the_log_comes_before_the_snapshots(home: Path, pauses: list[float]) -> None:
    (home / CONFIG_GROUP / "aaa").write_text("sorts first by name")
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    group = [name.removeprefix(f"n1/{CONFIG_GROUP}") for name, _ in archive.entries if CONFIG_GROUP in name]
    assert group == [
        "", "/current", "/current/log_0-40", "/current/log_inprogress_41", "/current/raft-meta",
        "/sm", "/sm/1_40", "/sm/1_40/cluster_schema.bin", "/aaa",
    ]  # fmt: skip


def test_only_the_roles_of_the_node_are_copied(home: Path, pauses: list[float]) -> None:
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home, data_node=False))
    assert steps(archive.names, "n1") == [ORDER[0], ORDER[1], ORDER[6], ORDER[7]]


def test_names_are_canonical_wherever_the_directories_are(home: Path, tmp_path: Path, pauses: list[float]) -> None:
    elsewhere = tmp_path / "disk2"
    shutil.move(home / "data/datanode/consensus", elsewhere)
    (home / "conf/iotdb-system.properties").write_text(f"dn_consensus_dir={elsewhere}\n")
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    assert archive.contents[LOG] == b"schema log"


# --- Exclusions -----------------------------------------------------------------------------------------------------
def test_locks_received_files_time_series_and_logs_are_left_out(home: Path, pauses: list[float]) -> None:
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    for part in ("in_use.lock", ".iotdb-lock", "chunk.tsfile", "sequence", "/wal/", "/logs/"):
        assert not [name for name in archive.names if part in name], part


def test_a_database_called_receiver_is_not_left_out(home: Path, pauses: list[float]) -> None:
    path = home / "data/datanode/system/schema/receiver/7/tlog.txt"
    path.parent.mkdir(parents=True)
    path.write_text("tags of a table model database")
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    assert "n1/data/datanode/system/schema/receiver/7/tlog.txt" in archive.names


def test_special_files_are_reported_and_not_read(home: Path, pauses: list[float]) -> None:
    os.mkfifo(home / "conf/pipe")
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(home / "conf")  # the path of a socket may have 107 bytes
    listener.bind("listener")
    os.chdir(here)
    archive, journal = Recorder(), Journal()
    copy(archive, journal, pauses, node_of(home))
    listener.close()
    assert [line.split(" on node ")[1] for line in journal.at("WARN")] == ["n1 is a socket.", "n1 is a named pipe."]
    assert not [name for name in archive.contents if name.endswith(("/pipe", "/listener")) and "/conf/" in name]


def test_links_inside_a_group_stay_links_and_links_out_are_reported(home: Path, pauses: list[float]) -> None:
    install = home / "ext/udf/install"
    (install / "current.jar").symlink_to("functions.jar")
    (install / "absolute.jar").symlink_to(install / "functions.jar")
    (install / "outside.jar").symlink_to(home / "logs/log_all.log")
    (install / "up").symlink_to("../../..")
    (install / "nowhere").symlink_to("not-there")
    archive, journal = Recorder(), Journal()
    copy(archive, journal, pauses, node_of(home))
    base = "n1/ext/udf/install"
    assert archive.contents[f"{base}/current.jar"] == "functions.jar"
    assert archive.contents[f"{base}/absolute.jar"] == "functions.jar"
    assert archive.contents[f"{base}/nowhere"] == "not-there"
    assert f"{base}/outside.jar" not in archive.contents
    assert f"{base}/up" not in archive.contents
    assert len([line for line in journal.at("WARN") if "leads out of its directory" in line]) == 2


def test_a_group_whose_own_directory_is_a_link_is_followed(home: Path, tmp_path: Path, pauses: list[float]) -> None:
    shutil.move(home / f"{SCHEMA_GROUP}0", tmp_path / "big-disk")
    (home / f"{SCHEMA_GROUP}0").symlink_to(tmp_path / "big-disk")
    archive, journal = Recorder(), Journal()
    copy(archive, journal, pauses, node_of(home))
    assert archive.contents[LOG] == b"schema log"
    assert archive.contents[f"n1/{SCHEMA_GROUP}0"] is None
    assert journal.at("WARN") == []


def test_names_that_are_not_utf8_survive(home: Path, pauses: list[float]) -> None:
    name = os.fsdecode(b"caf\xe9.jar")
    (home / "ext/udf/install" / name).write_text("jar")
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    assert archive.contents[f"n1/ext/udf/install/{name}"] == b"jar"


def test_empty_directories_are_kept(home: Path, pauses: list[float]) -> None:
    (home / "data/confignode/system/users").mkdir()
    archive = Recorder()
    copy(archive, Journal(), pauses, node_of(home))
    assert archive.contents["n1/data/confignode/system/users"] is None


# --- Errors and the log ---------------------------------------------------------------------------------------------
def test_a_directory_that_cannot_be_listed_is_never_taken_for_an_empty_one(
    home: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def guarded(path: str) -> object:
        if path.endswith("/sm"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(Unreadable) as raised:
        copy(Recorder(), Journal(), pauses, node_of(home))
    assert f"{CONFIG_GROUP}/sm on node n1 cannot be read: the account" in raised.value.message
    assert "read permission" in raised.value.cure


def test_a_read_error_names_the_file_and_a_write_error_passes_through(home: Path, pauses: list[float]) -> None:
    def fail(name: str) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(Unreadable, match="cannot be read: Input/output error"):
        copy(Recorder(before=fail), Journal(), pauses, node_of(home))
    with pytest.raises(OSError, match="Input/output error"):
        copy(Recorder(before=fail, broken=True), Journal(), pauses, node_of(home))


def test_a_stop_comes_out_of_the_copy(home: Path, pauses: list[float]) -> None:
    def stop(name: str) -> None:
        raise RunStopped("Stopped by anna.")

    with pytest.raises(RunStopped):
        copy(Recorder(before=stop), Journal(), pauses, node_of(home))


def test_the_log_counts_every_part(home: Path, pauses: list[float]) -> None:
    journal = Journal()
    copy(Recorder(), journal, pauses, node_of(home))
    assert journal.lines == [
        ("INFO", "ConfigNode n1: consensus, 4 files, 30 B."),
        ("INFO", "ConfigNode n1: system, 1 file, 42 B."),
        ("INFO", "DataNode n1: schema regions, 4 files, 30 B."),
        ("INFO", "DataNode n1: data regions, 1 file, 6 B."),
        ("INFO", "DataNode n1: system, 3 files, 53 B."),
        ("INFO", "Node n1: functions, 1 file, 3 B."),
        ("INFO", "Node n1: configuration, 1 file, 28 B."),
    ]
