"""Copies over SFTP from a real OpenSSH server: the same archive as from here, and nodes of two machines together."""

from __future__ import annotations

import os
import pwd
import shutil
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.hosts import HostSpec, connect
from tasks.sources import NodeSpec
from tasks.sources.iotdb_copy import copy_metadata
from tasks.sources.iotdb_survey import open_layout
from tasks.sources.sites import Site
from tests.engine.iotdb_source_kit import back_up
from tests.hosts.copies_kit import (
    GROUP,
    SAMPLE,
    account_by_sudo,  # noqa: F401
    archived,
    copy,
    members,
    node,
    service,
    what_is_frozen,  # noqa: F401
)
from tests.servers.sshaccounts import Accounts, accounts, home_of_iotdb, openssh
from tests.storage.faults import frozen
from tests.unit.source_home import FILES, SCHEMA_GROUP, Journal, Recorder, make_home

__all__ = ["accounts", "frozen", "home_of_iotdb", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]


# --- The same archive -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["shell", "sudo", "sftp only"])
def test_a_copy_over_sftp_equals_the_local_copy_byte_for_byte(accounts: Accounts, tmp_path: Path, way: str) -> None:
    above, seen, owner, spec = {
        "shell": (accounts.own, str(accounts.own), accounts.shell, accounts.spec(accounts.shell)),
        "sudo": (
            accounts.closed,
            str(accounts.closed),
            accounts.iotdb,
            accounts.spec(accounts.asked, sudo_user=accounts.iotdb),
        ),
        "sftp only": (
            accounts.server.root / "store",
            "/store",
            accounts.server.user,
            accounts.spec(accounts.server.user, secrets={"private_key": accounts.server.key}),
        ),
    }[way]
    home = above / "sample"
    shutil.copytree(SAMPLE, home, symlinks=True)
    try:
        (home / "ext/udf").mkdir(parents=True, exist_ok=True)
        (home / "ext/udf/current").symlink_to(f"{seen}/sample/ext/udf/missing.jar")
        number = pwd.getpwnam(owner).pw_uid
        for path in [home, *home.rglob("*")]:
            os.lchown(path, number, number)
        here, there, journal = tmp_path / "here.tar.gz", tmp_path / "there.tar.gz", Journal()
        far_facts = back_up(service(node("n1", f"{seen}/sample", spec)), there, journal)
        near_facts = back_up(service(node("n1", home, HostSpec())), here, Journal())
    finally:
        shutil.rmtree(home)
    assert journal.at("WARN") == []
    found, expected = members(there), members(here)
    if way == "sftp only":
        # The link is absolute and means another file outside of the jail.
        found.pop("n1/ext/udf/current")
        expected.pop("n1/ext/udf/current", None)
    assert found == expected
    assert far_facts["parts"] == near_facts["parts"]
    assert far_facts["nodes"][0]["data_identity"] == near_facts["nodes"][0]["data_identity"]
    with tarfile.open(there) as tar:
        owners = {(one.uid, one.gid, one.uname, one.gname) for one in tar if one.name != "MANIFEST.json"}
    assert owners == {(number, number, "", "")}


def test_nodes_here_and_there_go_into_one_archive_confignodes_first(
    remote_home: Path, sudo: HostSpec, tmp_path: Path
) -> None:
    local = make_home(tmp_path / "home")
    both = service(node("far", remote_home, sudo), node("near", local, HostSpec()))
    facts = archived(both, tmp_path / "a.tar.gz")
    names = list(members(tmp_path / "a.tar.gz"))
    for name in FILES:
        wanted = not any(part in name for part in ("lock", "receiver", "datanode/data/", "wal/", "logs/"))
        assert (f"far/{name}" in names, f"near/{name}" in names) == (wanted, wanted), name
    config = [index for index, name in enumerate(names) if "/data/confignode/" in name]
    data = [index for index, name in enumerate(names) if "/data/datanode/" in name]
    assert max(config) < min(data)
    assert [(one["name"], one["home"]) for one in facts["nodes"]] == [
        ("far", str(remote_home)),
        ("near", str(local)),
    ]


@pytest.mark.parametrize("config_is_far", [True, False])
def test_a_confignode_on_one_machine_and_a_datanode_on_the_other(
    remote_home: Path, sudo: HostSpec, tmp_path: Path, config_is_far: bool
) -> None:
    local = make_home(tmp_path / "home")
    nodes = [
        node("a-data", *((local, HostSpec()) if config_is_far else (remote_home, sudo)), config_node=False),
        node("b-config", *((remote_home, sudo) if config_is_far else (local, HostSpec())), data_node=False),
    ]
    archived(service(*nodes), tmp_path / "a.tar.gz")
    places = [name for name in members(tmp_path / "a.tar.gz") if "/data/" in name]
    assert {name.split("/")[0] for name in places} == {"a-data", "b-config"}
    firsts = [name.startswith("b-config/data/confignode") for name in places]
    assert firsts == sorted(firsts, reverse=True)
    assert places[-1].startswith("a-data/data/datanode/system")


def test_a_database_dropped_on_one_of_two_machines_with_equal_directories_is_noticed(
    remote_home: Path, accounts: Accounts, sudo: HostSpec
) -> None:
    group = remote_home / f"{SCHEMA_GROUP}3"
    dropped: list[str] = []

    def drop(name: str) -> None:
        if name.startswith("n1/") and "schema_region" in name and not dropped:
            dropped.append(name)
            shutil.rmtree(group)

    # The same machine twice, at the same paths: as good as two machines with the same layout.
    twin = node("n2", remote_home, accounts.spec(accounts.asked, sudo_user=accounts.iotdb))
    archive, journal = Recorder(after=drop), Journal()
    copy(service(node("n1", remote_home, sudo), twin), archive, journal)
    assert any(line.startswith("Regions went away while the copy ran") for line in journal.at("WARN"))
    assert not any(f"{SCHEMA_GROUP}3" in name for name in archive.names)


# --- Times in whole seconds -------------------------------------------------------------------------------------------
def test_a_change_of_the_same_size_within_the_same_second_is_not_missed(remote_home: Path, sudo: HostSpec) -> None:
    path = remote_home / GROUP / "current/raft-meta"
    member = f"n1/{GROUP}/current/raft-meta"
    stop = threading.Event()
    written = [b"0000"]

    def disturb() -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end and not stop.is_set():
            written.append(b"%04d" % len(written))
            path.write_bytes(written[-1])
            time.sleep(0.002)

    archive, journal = Recorder(), Journal()
    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        copy(service(node("n1", remote_home, sudo)), archive, journal)
    finally:
        stop.set()
        writer.join()
    assert archive.contents[member] == path.read_bytes() == written[-1]


def paused(node: NodeSpec, archive: Recorder, journal: Journal, before: Callable[[], object]) -> list[float]:
    """Copy a node and return for how long the copy rested; ``before`` is called when the machine is reached."""
    rested: list[float] = []

    def rest(seconds: float) -> None:
        rested.append(seconds)
        time.sleep(seconds)

    with connect(node.host, node.name) as host:
        before()
        copy_metadata([Site(host, node, open_layout(host, node))], archive, journal, rest)
    return rested


def test_a_young_group_is_waited_for_and_read_once(remote_home: Path, sudo: HostSpec) -> None:
    path = remote_home / GROUP / "current/raft-meta"
    archive, journal = Recorder(), Journal()

    def touch() -> None:
        # As far ahead as still counts as young, so that a busy machine does not make it old before it is listed.
        os.utime(path, (time.time() + 1.9, time.time() + 1.9))

    rested = paused(node("n1", remote_home, sudo), archive, journal, touch)
    assert len(rested) == 1 and 0 < rested[0] <= 4
    assert archive.rollbacks == 0
    assert journal.at("WARN") == []


def test_growth_of_an_open_log_is_not_waited_for(remote_home: Path, sudo: HostSpec) -> None:
    log = remote_home / GROUP / "current/log_inprogress_0"

    def grow(name: str = "") -> None:
        with log.open("ab") as file:
            file.write(b" and more")

    archive, journal = Recorder(before=grow), Journal()
    assert paused(node("n1", remote_home, sudo), archive, journal, grow) == []
    assert archive.rollbacks == 0
    assert archive.contents[f"n1/{GROUP}/current/log_inprogress_0"].startswith(b"schema log and more")
