"""Copies over SFTP from a real OpenSSH server: whether a role runs there, and what goes wrong on the way."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.errors import AuthenticationFailed, HostKeyChanged, PermissionDenied, StoreError, Unreachable
from storage.sftp.link import Link
from tasks.engine.archive import ArchiveWriter
from tasks.errors import Unreadable
from tasks.hosts import HostSpec, connect
from tasks.sources import NodeSpec
from tasks.sources.iotdb_running import MAIN_CLASSES, ports_of, roles_running
from tasks.sources.iotdb_survey import open_layout
from tests.engine.iotdb_source_kit import FileSink
from tests.hosts.copies_kit import (
    GROUP,
    SOURCE,
    account_by_sudo,  # noqa: F401
    node,
    service,
    what_is_frozen,  # noqa: F401
)
from tests.servers.openssh import PASSWORD
from tests.servers.sshaccounts import Accounts, accounts, give, home_of_iotdb, openssh
from tests.servers.unixkit import wait_until
from tests.storage.faults import frozen
from tests.unit.source_home import Journal

__all__ = ["accounts", "frozen", "home_of_iotdb", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]


# --- Running or not -------------------------------------------------------------------------------------------------
def roles(node: NodeSpec) -> dict[str, bool]:
    with connect(node.host, node.name) as host:
        return roles_running(node, open_layout(host, node), host)


@contextmanager
def pretending(*words: str) -> Iterator[None]:
    """A process with these words on its command line."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)", *words]) as process:
        yield
        process.kill()


def test_a_role_runs_where_a_process_of_it_names_the_home(remote_home: Path, sudo: HostSpec) -> None:
    here = node("n1", remote_home, sudo)
    (remote_home / "conf/iotdb-system.properties").write_text(
        "cn_internal_port=1\ncn_consensus_port=2\ndn_rpc_port=3\ndn_internal_port=4\n"
        "dn_mpp_data_exchange_port=5\ndn_schema_region_consensus_port=6\ndn_data_region_consensus_port=7\n"
    )
    assert roles(here) == {"ConfigNode": False, "DataNode": False}
    with pretending(f"-DIOTDB_CONF={remote_home}/conf", MAIN_CLASSES["DataNode"], "-s"):
        assert roles(here) == {"ConfigNode": False, "DataNode": True}
    with pretending(f"-DCONFIGNODE_HOME={remote_home}", MAIN_CLASSES["ConfigNode"], "-s"):
        assert roles(here) == {"ConfigNode": True, "DataNode": False}
        assert SOURCE.survey(service(here)).running
    with pretending(f"-DIOTDB_HOME={remote_home}-2", MAIN_CLASSES["DataNode"]):
        assert not any(roles(here).values())
    assert not SOURCE.survey(service(here)).running


def test_a_role_runs_where_its_port_listens(remote_home: Path, sudo: HostSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        text = "cn_internal_port=1\ncn_consensus_port=2\ndn_rpc_port=3\ndn_internal_port=4\n"
        text += (
            f"dn_mpp_data_exchange_port=5\ndn_schema_region_consensus_port=6\ndn_data_region_consensus_port={port}\n"
        )
        (remote_home / "conf/iotdb-system.properties").write_text(text)
        here = node("n1", remote_home, sudo)
        assert roles(here) == {"ConfigNode": False, "DataNode": True}
        with connect(sudo, "n1") as host:
            assert ports_of(here, open_layout(host, here)) == {"ConfigNode": [1, 2], "DataNode": [3, 4, 5, 6, port]}
    assert not any(roles(here).values())


# --- Faults -----------------------------------------------------------------------------------------------------------
def refused(kind: type[StoreError], spec: HostSpec, home: Path) -> StoreError:
    """Return the error of a survey; Check says the same, and names the node in both."""
    with pytest.raises(kind) as raised:
        SOURCE.survey(service(node("dn-3", home, spec)))
    (finding,) = [one for one in SOURCE.check(node("dn-3", home, spec)) if one.level == "failed"]
    assert finding.what == "Connection"
    assert raised.value.message.startswith("Node dn-3: ")
    assert raised.value.cure
    assert PASSWORD not in str(raised.value)
    return raised.value


def test_a_wrong_password(accounts: Accounts, remote_home: Path) -> None:
    spec = accounts.spec(accounts.free, secrets={"password": "wrong"})
    error = refused(AuthenticationFailed, spec, remote_home)
    assert f"refused the user name or password of {accounts.free}" in error.message
    assert "SSH user" in error.cure


def test_a_changed_host_key_fails_closed(accounts: Accounts, remote_home: Path) -> None:
    error = refused(HostKeyChanged, accounts.spec(accounts.free, host_key="ssh-ed25519 SHA256:x"), remote_home)
    assert "Nothing was sent to it." in error.message


def test_nothing_listens_there(accounts: Accounts, remote_home: Path) -> None:
    error = refused(Unreachable, accounts.spec(accounts.free, port=1), remote_home)
    assert "Nothing listens on 127.0.0.1 port 1." in error.message
    assert (error.field, error.retryable) == ("ssh_port", True)
    assert "SSH address" in error.cure


@pytest.mark.parametrize(
    ("user", "account", "kind", "words"),
    [
        ("shell", "", PermissionDenied, "does not let user"),
        ("free", "root", PermissionDenied, "does not let user"),
        ("free", "nobody-of-that-name", PermissionDenied, "no account nobody-of-that-name"),
        ("key", "", PermissionDenied, "asks user"),
        ("jailed", "", StoreError, "runs no commands"),
    ],
)
def test_sudo_is_refused(
    accounts: Accounts, remote_home: Path, user: str, account: str, kind: type[StoreError], words: str
) -> None:
    users = {"key": accounts.asked, "jailed": accounts.server.user}
    changes = {"secrets": {"private_key": accounts.server.key}} if user == "key" else {}
    name = users.get(user) or getattr(accounts, user)
    error = refused(kind, accounts.spec(name, sudo_user=account or accounts.iotdb, **changes), remote_home)
    assert words in error.message
    assert (error.field, error.retryable) == ("sudo_user", False)


def test_a_password_of_sudo_that_is_not_the_one_of_the_login(accounts: Accounts, remote_home: Path) -> None:
    rule = f"Defaults:{accounts.asked} rootpw\n"
    rules = Path("/etc/sudoers.d") / accounts.server.directory.name
    kept = rules.read_text()
    rules.write_text(kept + rule)
    try:
        error = refused(AuthenticationFailed, accounts.spec(accounts.asked, sudo_user=accounts.iotdb), remote_home)
    finally:
        rules.write_text(kept)
    assert f"refused the password of {accounts.asked}" in error.message


def test_a_file_that_the_account_may_not_read_is_named_with_the_account(
    accounts: Accounts, remote_home: Path, sudo: HostSpec
) -> None:
    closed = remote_home / GROUP / "current/raft-meta"
    shutil.chown(closed, "root", "root")
    closed.chmod(0o600)
    with pytest.raises(Unreadable) as raised:
        SOURCE.survey(service(node("n1", remote_home, sudo)))
    assert str(closed) in raised.value.message
    assert f"the account {accounts.iotdb} on 127.0.0.1" in raised.value.message
    os.remove(closed)
    (remote_home / "conf").chmod(0o000)
    shutil.chown(remote_home / "conf", "root", "root")
    with pytest.raises(Unreadable):
        SOURCE.survey(service(node("n1", remote_home, sudo)))


def test_a_home_that_is_not_there(accounts: Accounts, remote_home: Path, sudo: HostSpec) -> None:
    (failed,) = [one for one in SOURCE.check(node("n1", remote_home / "none", sudo)) if one.level == "failed"]
    assert "is not there" in failed.detail
    assert "mount its file system on 127.0.0.1" in failed.cure


def test_check_says_how_the_machine_is_reached(accounts: Accounts, remote_home: Path, sudo: HostSpec) -> None:
    found = {one.what: one for one in SOURCE.check(node("n1", remote_home, sudo))}
    assert f"as {accounts.free}, and as {accounts.iotdb} by sudo" in found["Connection"].detail
    assert found["Commands"].detail == f"sudo lets commands be run as {accounts.iotdb}."
    assert found["Clock"].detail == "Equal to the one of this machine, to the second."
    assert found["State"].detail == "Stopped; a backup of it is a cold copy."
    assert {one.level for one in found.values()} == {"ok"}


def cut_in_a_group(
    accounts: Accounts, home: Path, spec: HostSpec, action: Callable[[], object], to: Path
) -> StoreError:
    """Copy, and do ``action`` in the middle of a large file of a group; return what comes of it."""
    big = home / GROUP / "current/log_0-9"
    big.write_bytes(os.urandom(12 << 20))
    give(home, accounts.iotdb)
    begun: list[str] = []

    class Watched(ArchiveWriter):
        def add_stream(self, name: str, read: Callable[[int], bytes], *rest: Any) -> Any:
            def reading(size: int) -> bytes:
                part = read(size)
                if name.endswith("log_0-9") and not begun:
                    begun.append(name)
                    action()
                return part

            return super().add_stream(name, reading, *rest)

    where = service(node("dn-3", home, spec))
    sink = FileSink(to)
    survey = SOURCE.survey(where)
    with Watched(sink, scratch=to.parent) as archive:
        with pytest.raises(Unreachable) as raised:
            SOURCE.copy(where, survey, archive, Journal())
        assert not archive.broken
    sink.close()
    assert begun
    return raised.value


def test_a_connection_that_is_cut_in_the_middle_of_a_group(
    accounts: Accounts, remote_home: Path, sudo: HostSpec, tmp_path: Path
) -> None:
    error = cut_in_a_group(accounts, remote_home, sudo, accounts.server.cut, tmp_path / "a")
    assert error.message == f"Node dn-3: The connection to 127.0.0.1 port {sudo.port} was lost."


def test_a_server_that_freezes_in_the_middle_of_a_group(
    accounts: Accounts,
    remote_home: Path,
    sudo: HostSpec,
    tmp_path: Path,
    frozen: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Link, "SILENCE", 1.5)
    begun: list[float] = []

    def freeze() -> None:
        begun.append(time.monotonic())
        frozen()

    error = cut_in_a_group(accounts, remote_home, sudo, freeze, tmp_path / "a")
    assert "stopped answering for 1.5 s" in error.message
    # Far less than the thirty seconds of silence that are allowed in life, also on a busy machine.
    assert time.monotonic() - begun[0] < 20
    wait_until(lambda: "watchdog" not in [one.name for one in threading.enumerate()])


def test_the_password_is_on_no_command_line(accounts: Accounts, remote_home: Path) -> None:
    lines: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
            lines.update(listed.splitlines())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        SOURCE.check(node("n1", remote_home, accounts.spec(accounts.asked, sudo_user=accounts.iotdb)))
    finally:
        stop.set()
        watcher.join()
    assert any("sftp-server" in line for line in lines)
    assert not any(PASSWORD in line for line in lines)


def test_an_account_that_is_made_to_run_something_else_is_as_good_as_one_for_sftp_only(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = accounts.server
    monkeypatch.setattr("tasks.hosts.ssh._ASK_SECONDS", 1.0)
    monkeypatch.setattr("tasks.hosts.sudo._SECONDS", 1.0)
    server.stop()
    try:
        serve = 'case "$SSH_ORIGINAL_COMMAND" in *sftp*|"") exec /usr/lib/openssh/sftp-server;; esac; exec sleep 3'
        server.extra = f"Match User {accounts.shell}\n  ForceCommand {serve}"
        server.start()
        with connect(accounts.spec(accounts.shell), "n1") as host:
            assert not host.scan(str(accounts.own))
            assert abs(host.now() - time.time()) < 1
            assert [one.what for one in host.remarks()] == ["Connection", "Commands", "Clock"]
            assert all(one.well for one in host.remarks())
        server.extra = f"Match User {accounts.free}\n  ForceCommand exec sleep 3"
        server.stop()
        server.start()
        with pytest.raises(Unreachable) as raised:
            connect(accounts.spec(accounts.free, sudo_user=accounts.iotdb), "n1")
        assert "Node n1: sudo on 127.0.0.1 does not answer" in raised.value.message
    finally:
        server.stop()
        server.extra = ""
        server.start()
