"""What goes wrong on a real NFS-Ganesha, and what the admin learns."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage.errors import BadPath, NoSpace, PathMissing, PermissionDenied, Unreachable
from storage.nfs import dial
from storage.nfs.store import NFSStore
from storage.nfs.upload import PIECE
from tests.lacks import NO_SMALL_DISK, leave_out
from tests.patience import Stopwatch
from tests.servers.unixkit import Listener
from tests.storage.contract import DIRECTORY, NAME, PARTIAL
from tests.storage.nfs_kit import (
    connect,
    refusal,
    short_limits,  # noqa: F401
)

if TYPE_CHECKING:
    from tests.servers.nfs import Ganesha

pytest_plugins = ["tests.servers.nfs"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("nfs")]


# --- What the admin learns --------------------------------------------------------------------------------------------
def test_the_newer_version_is_taken_first_and_the_older_where_it_must(
    nfs_server: Ganesha, nfs3_server: Ganesha
) -> None:
    with connect(nfs_server) as store:
        assert store.client.version == "4.1"
    with connect(nfs3_server) as store:
        assert store.client.version == "3"
        store.put(DIRECTORY, NAME, PARTIAL).abort()


@pytest.mark.parametrize("shared", ["/export/nothing-here", "/not-exported"])
@pytest.mark.parametrize("version", ["4.1", "3"])
def test_a_missing_path(nfs_server: Ganesha, shared: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "VERSIONS", (version,))
    error = refusal(nfs_server, shared)
    assert isinstance(error, PathMissing)
    assert error.field == "shared_path"
    assert f"127.0.0.1:{shared} does not exist" in error.message
    assert not error.retryable


@pytest.mark.parametrize("version", ["4.1", "3"])
def test_a_directory_that_is_not_nobodys(nfs_server: Ganesha, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "VERSIONS", (version,))
    error = refusal(nfs_server, "/export/root-owned")
    assert isinstance(error, BadPath)
    assert error.message == "127.0.0.1:/export/root-owned belongs to 0:0, not to nobody:nobody."
    assert "chown nobody:nobody /export/root-owned" in error.cure
    assert error.field == "shared_path"


@pytest.mark.parametrize("version", ["4.1", "3"])
def test_an_export_to_read_only(nfs_server: Ganesha, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "VERSIONS", (version,))
    with connect(nfs_server, "/ro") as store, pytest.raises(PermissionDenied) as caught:
        store.put(DIRECTORY, NAME, PARTIAL)
    assert "is exported read-only" in caught.value.message
    assert caught.value.field == "shared_path"


@pytest.mark.parametrize("versions", [("4.1", "3"), ("4.1",), ("3",)])
def test_an_export_that_wants_kerberos(
    nfs_server: Ganesha, versions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "VERSIONS", versions)
    error = refusal(nfs_server, "/kerberos")
    assert isinstance(error, PermissionDenied)
    assert error.message == "127.0.0.1:/kerberos is exported to Kerberos logins only, and the console has none."
    assert "sec=sys" in error.cure
    assert error.field == "shared_path"
    assert not error.retryable


def test_a_directory_that_another_account_owns(nfs_server: Ganesha) -> None:
    with connect(nfs_server) as store:
        other = NFSStore(replace(store.target, uid=4711, gid=4711))
        with other, pytest.raises(PermissionDenied) as caught:
            other.put(DIRECTORY, NAME, PARTIAL)
    assert "nobody:nobody" in caught.value.cure
    assert not caught.value.retryable


@pytest.mark.parametrize("shared", ["/", "//", "/.", "/export/..", "/export/../etc", "export", "/a\0b", ""])
def test_paths_that_no_store_takes(nfs_server: Ganesha, shared: str) -> None:
    error = refusal(nfs_server, shared)
    assert isinstance(error, BadPath)
    assert error.field == "shared_path"


def test_a_link_local_address_is_not_offered(nfs_server: Ganesha) -> None:
    error = refusal(nfs_server, "/export", server_ip="fe80::1%eth0")
    assert isinstance(error, BadPath)
    assert error.field == "server_ip"


@pytest.mark.parametrize("version", ["4.1", "3"])
def test_a_full_disk(nfs_server: Ganesha, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "VERSIONS", (version,))
    with connect(nfs_server, "/small") as store:
        space = store.free_space()
        assert space is not None
        if space.total > 64 << 20:
            leave_out(NO_SMALL_DISK)
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        with pytest.raises(NoSpace) as caught:
            for _ in range(12):
                upload.write(bytes(1 << 20))
            upload.seal(12 << 20)
        assert caught.value.message == "127.0.0.1:/small is full, or a quota there is."
        assert not caught.value.retryable
        upload.abort()
        assert store.list(DIRECTORY) == []
        store.delete(DIRECTORY, NAME)


def test_nobody_listens(nfs_server: Ganesha, brief: None) -> None:
    error = refusal(nfs_server, "/export", nfs_port=1, mount_port=1)
    assert isinstance(error, Unreachable)
    assert error.message == "No NFS server answers on 127.0.0.1: the connection was refused."
    assert error.field == "server_ip"
    assert error.retryable


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_kind_of_server(nfs_server: Ganesha, brief: None, greeting: bytes) -> None:
    listener = Listener(greeting)
    error = refusal(nfs_server, "/export", nfs_port=listener.port, mount_port=listener.port)
    listener.close()
    assert isinstance(error, Unreachable)
    assert error.message == "What answers on 127.0.0.1 is not an NFS server."


def test_a_server_that_never_answers(nfs_server: Ganesha, brief: None) -> None:
    listener = Listener()
    began = Stopwatch()
    error = refusal(nfs_server, "/export", nfs_port=listener.port, mount_port=listener.port)
    assert began.seconds < 4
    listener.close()
    assert isinstance(error, Unreachable)
    assert error.message == "The NFS server 127.0.0.1 did not answer for 2 s."


@pytest.mark.parametrize("version", ["4.1", "3"])
def test_a_server_that_hangs_during_a_write(
    own_nfs_server: Ganesha, brief: None, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "VERSIONS", (version,))
    threads = threading.active_count()
    with connect(own_nfs_server) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(PIECE))
        own_nfs_server.suspend()
        began = Stopwatch()
        with pytest.raises(Unreachable) as caught:
            upload.write(bytes(PIECE))
        assert caught.value.message == "The NFS server 127.0.0.1 did not answer for 3 s."
        upload.abort()
    assert began.seconds < 3 + 3
    assert threading.active_count() == threads
    own_nfs_server.resume()
    with connect(own_nfs_server) as store:
        assert [entry.name for entry in store.list(DIRECTORY)] in ([PARTIAL], [])
        store.delete(DIRECTORY, PARTIAL)


def test_a_server_that_is_killed_during_a_write(own_nfs_server: Ganesha, brief: None) -> None:
    store = connect(own_nfs_server)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(PIECE))
    own_nfs_server.kill()
    began = Stopwatch()
    with pytest.raises(Unreachable) as caught:
        upload.write(bytes(PIECE))
    assert caught.value.retryable
    assert began.seconds < 3 + 2
    own_nfs_server.start()
    upload.abort()
    store.close()
    with connect(own_nfs_server) as anew:
        assert anew.list(DIRECTORY) == []
