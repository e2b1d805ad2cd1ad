"""Verify against the real servers: each step passes where it should, and a wrong field is named where it is wrong."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from storage.checks import Check, Estimate
from storage.registry import get_path_type
from storage.verification import verify
from tests.lacks import NO_SMALL_DISK, leave_out
from tests.patience import Stopwatch
from tests.servers import openssh as sshd
from tests.servers import samba as smbd
from tests.servers.openssh import OpenSSH, openssh
from tests.servers.samba import Samba, samba
from tests.servers.unixkit import free_port

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS
    from tests.servers.nfs import Ganesha

__all__ = ["openssh", "samba"]
pytest_plugins = ["tests.servers.nfs", "tests.servers.hdfs"]
pytestmark = pytest.mark.server

PROBE, CONNECT = "Write, read, rename, delete", "Resolve and connect"
AFTER_LOGIN = ["Path", PROBE, "Free space", "Clock"]


def tried(name: str, parameters: dict[str, Any], secrets: dict[str, str] | None = None, behind: int = 0) -> list[Check]:
    """Return the lines; the console's clock is ``behind`` by so many seconds."""

    def now() -> datetime:
        return datetime.now(UTC) - timedelta(seconds=behind)

    began = Stopwatch()
    found = list(verify(get_path_type(name), parameters, secrets or {}, estimate=lambda: Estimate(10**6, 2), now=now))
    assert began.seconds < 16
    return found


def said(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.what, check.level) for check in checks]


def all_ok(*whats: str) -> list[tuple[str, str]]:
    return [(what, "ok") for what in whats]


# --- SFTP -----------------------------------------------------------------------------------------------------------
def sftp(server: OpenSSH, password: str = sshd.PASSWORD, behind: int = 0, **changes: Any) -> list[Check]:
    return tried("SFTP", server.parameters(**changes), {"password": password}, behind)


@pytest.mark.xdist_group("openssh")
class TestSFTP:
    def test_every_step(self, openssh: OpenSSH) -> None:
        found = sftp(openssh)
        assert said(found) == all_ok(CONNECT, "Identify", "Authenticate", *AFTER_LOGIN), found
        assert found[1].code == openssh.fingerprint()
        assert list((openssh.root / "store").glob(".backup-console*")) == []

    def test_an_unknown_key_is_offered_before_any_secret(self, openssh: OpenSSH) -> None:
        found = sftp(openssh, host_key="", password="never sent")
        assert said(found) == [(CONNECT, "ok"), ("Identify", "warning")]
        assert found[-1].offer and found[-1].offer.value == openssh.fingerprint()

    def test_a_changed_key_fails_closed(self, openssh: OpenSSH) -> None:
        found = sftp(openssh, host_key=f"ssh-ed25519 SHA256:{'A' * 43}")
        assert said(found)[-1] == ("Identify", "failed")
        assert found[-1].offer and found[-1].offer.label == "Trust the new key"

    def test_a_pinned_key_of_another_type_is_asked_for(self, openssh: OpenSSH) -> None:
        assert said(sftp(openssh, host_key=openssh.fingerprint("rsa")))[1] == ("Identify", "ok")

    @pytest.mark.parametrize(
        ("changes", "what", "field"),
        [
            ({"password": "wrong"}, "Authenticate", "password"),
            ({"username": "nobody-here"}, "Authenticate", "password"),
            ({"path": "/missing"}, "Path", "shared_path"),
            ({"path": "/file"}, "Path", "shared_path"),
            ({"path": "/loop"}, "Path", "shared_path"),
            ({"path": "/readable"}, PROBE, "shared_path"),
        ],
    )
    def test_a_wrong_field_is_named(self, openssh: OpenSSH, changes: dict[str, Any], what: str, field: str) -> None:
        last = sftp(openssh, **changes)[-1]
        assert (last.what, last.level, last.field) == (what, "failed", field), last
        assert ".backup-console" not in last.detail + last.cure

    def test_a_private_key(self, openssh: OpenSSH) -> None:
        secrets = {"private_key": openssh.locked_key, "passphrase": sshd.PASSPHRASE}
        assert said(tried("SFTP", openssh.parameters(), secrets))[-1] == ("Clock", "ok")

    def test_clocks_apart(self, openssh: OpenSSH) -> None:
        last = sftp(openssh, behind=47)[-1]
        assert (last.what, last.level) == ("Clock", "warning")
        assert "ahead of" in last.detail and "NTP" in last.cure

    def test_nothing_listens(self, openssh: OpenSSH) -> None:
        (only,) = sftp(openssh, port=free_port())
        assert (only.what, only.level, only.field) == (CONNECT, "failed", "port")

    def test_a_port_that_never_speaks(self, openssh: OpenSSH) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            found = sftp(openssh, port=silent.getsockname()[1])
        assert said(found) == [(CONNECT, "ok"), ("Identify", "failed")]

    def test_a_frozen_server_ends_in_time(self, openssh: OpenSSH) -> None:
        openssh.freeze()
        try:
            last = sftp(openssh)[-1]
        finally:
            openssh.thaw()
        assert last.level == "failed" and last.what in (CONNECT, "Identify")

    def test_a_full_disk(self, openssh: OpenSSH) -> None:
        if not openssh.has_small_disk:
            leave_out(NO_SMALL_DISK)
        found = tried("SFTP", openssh.parameters("/small"), {"password": sshd.PASSWORD})
        assert said(found)[-2:] == [("Free space", "ok"), ("Clock", "ok")]


# --- CIFS -----------------------------------------------------------------------------------------------------------
def cifs(server: Samba, password: str = smbd.PASSWORD, **changes: Any) -> list[Check]:
    return tried("CIFS", server.parameters(**changes), {"password": password})


@pytest.mark.xdist_group("samba")
class TestCIFS:
    def test_every_step(self, samba: Samba) -> None:
        found = cifs(samba)
        assert said(found) == all_ok(CONNECT, "Identify", "Authenticate", *AFTER_LOGIN), found
        assert found[1].detail == "SMB 3.1.1. What is sent is signed and encrypted."
        assert list(samba.share.rglob(".backup-console*")) == []

    @pytest.mark.parametrize(
        ("changes", "what", "field"),
        [
            ({"password": "wrong"}, "Authenticate", "password"),
            ({"path": "/no-share/x"}, "Path", "shared_path"),
            ({"path": "/backup/missing"}, "Path", "shared_path"),
            ({"path": "/backup/file"}, "Path", "shared_path"),
            ({"path": "/backup/locked"}, PROBE, "shared_path"),
            ({"path": "/ro"}, PROBE, "shared_path"),
        ],
    )
    def test_a_wrong_field_is_named(self, samba: Samba, changes: dict[str, Any], what: str, field: str) -> None:
        last = cifs(samba, **changes)[-1]
        assert (last.what, last.level, last.field) == (what, "failed", field), last
        assert ".backup-console" not in last.detail + last.cure

    def test_another_protocol(self, samba: Samba) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            found = cifs(samba, port=silent.getsockname()[1])
        assert said(found) == [(CONNECT, "ok"), ("Identify", "failed")]


# --- NFS ------------------------------------------------------------------------------------------------------------
@pytest.mark.xdist_group("nfs")
class TestNFS:
    def test_every_step(self, nfs_server: Ganesha) -> None:
        found = tried("NFS", nfs_server.parameters())
        assert said(found) == all_ok(CONNECT, "Authenticate", *AFTER_LOGIN), found
        assert found[1].detail == "Used as user 65534 and group 65534 by NFS 4.1."
        assert found[2].detail.endswith("It belongs to nobody:nobody.")

    @pytest.mark.parametrize("path", ["/export/root-owned", "/export/missing", "/no-export"])
    def test_a_wrong_path_is_named(self, nfs_server: Ganesha, path: str) -> None:
        last = tried("NFS", nfs_server.parameters(path))[-1]
        assert (last.what, last.level, last.field) == ("Path", "failed", "shared_path"), last

    def test_read_only(self, nfs_server: Ganesha) -> None:
        last = tried("NFS", nfs_server.parameters("/ro"))[-1]
        assert (last.level, last.field) == ("failed", "shared_path"), last


# --- RemoteHDFS -----------------------------------------------------------------------------------------------------
@pytest.mark.xdist_group("hdfs")
@pytest.mark.parametrize("transport", ["rpc", "webhdfs"])
class TestRemoteHDFS:
    def test_every_step(self, hdfs_server: HDFS, transport: str) -> None:
        found = tried("RemoteHDFS", hdfs_server.parameters(transport=transport))
        assert [level for _, level in said(found)].count("failed") == 0, found
        assert [what for what, _ in said(found)] == [CONNECT, "Identify", "Authenticate", *AFTER_LOGIN]

    def test_a_missing_directory_is_named(self, hdfs_server: HDFS, transport: str) -> None:
        last = tried("RemoteHDFS", hdfs_server.parameters(transport=transport, target_path="/backup/missing"))[-1]
        assert (last.what, last.level, last.field) == ("Path", "failed", "target_path"), last
