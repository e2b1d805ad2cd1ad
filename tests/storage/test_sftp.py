"""SFTP on a real OpenSSH server: the contract, and what the store does besides."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from storage.base import Store
from storage.errors import AlreadyExists, BadPath
from storage.registry import get_path_type
from storage.sftp.store import SFTPStore
from storage.sftp.wire import Packet
from tests.servers.openssh import PASSPHRASE, PASSWORD, OpenSSH, openssh
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract

__all__ = ["openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]


def connect(server: OpenSSH, path: str = "/store", secrets: dict[str, str] | None = None, **changes: Any) -> SFTPStore:
    parameters = server.parameters(path, **changes)
    store = get_path_type("SFTP").connect(parameters, secrets or {"password": PASSWORD})
    assert isinstance(store, SFTPStore)
    return store


def empty(server: OpenSSH, name: str = "store") -> None:
    for path in (server.root / name).iterdir():
        shutil.rmtree(path)


class TestSFTP(StoreContract):
    @pytest.fixture
    def store(self, openssh: OpenSSH) -> Iterator[Store]:
        empty(openssh)
        with connect(openssh) as store:
            yield store

    def test_only_the_account_may_read_archives(self, store: Store, openssh: OpenSSH) -> None:
        self.published(store, b"passwords")
        path = openssh.root / "store" / DIRECTORY / NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_the_path_is_an_address_for_sftp(self, store: Store, openssh: OpenSSH) -> None:
        assert self.published(store, b"x") == (
            f"sftp://{openssh.user}@127.0.0.1:{openssh.port}/store/{DIRECTORY}/{NAME}"
        )

    def test_the_last_file_takes_its_directory_along(self, store: Store, openssh: OpenSSH) -> None:
        self.published(store, b"x")
        store.delete(DIRECTORY, NAME)
        assert os.listdir(openssh.root / "store") == []

    def test_a_link_in_the_place_of_the_partial_file_is_refused(self, store: Store, openssh: OpenSSH) -> None:
        folder = openssh.root / "store" / DIRECTORY
        folder.mkdir()
        shutil.chown(folder, openssh.user)
        (folder / PARTIAL).symlink_to("/store/elsewhere")
        with pytest.raises(Exception, match="is not overwritten"):
            self.begin(store)
        assert not (openssh.root / "store/elsewhere").exists()

    @pytest.mark.parametrize("size", [0, 1, 261119, 261120, 261121, 9_000_001])
    def test_pieces_of_any_size_are_put_together(self, store: Store, size: int) -> None:
        content = os.urandom(size)
        upload = self.begin(store)
        view = memoryview(content)
        for step in (1, 70_000, 300_000, 261_120):
            upload.write(view[:step])
            view = view[step:]
        upload.write(view)
        upload.seal(size)
        with upload.reader() as reader:
            assert reader.read() == content
        upload.publish()

    def test_reading_in_small_steps_and_stopping_early(self, store: Store) -> None:
        content = os.urandom(3_000_000)
        self.published(store, content)
        with store.open(DIRECTORY, NAME) as file:
            assert file.read(10) + file.read(300_000) == content[:300_010]
        assert store.stat(DIRECTORY, NAME).size == len(content)

    def test_two_files_and_questions_in_turn(self, store: Store) -> None:
        first, second = self.begin(store), self.begin(store, "b.json", ".b.json.partial-7")
        for _ in range(30):
            first.write(b"a" * 100_000)
            second.write(b"b" * 50_000)
            assert store.free_space()
        first.seal(3_000_000)
        second.seal(1_500_000)
        second.publish()
        first.publish()
        assert self.names(store) == sorted([NAME, "b.json"])

    def test_entries_tell_size_and_time(self, store: Store, openssh: OpenSSH) -> None:
        self.published(store, b"12345")
        entry = store.list(DIRECTORY)[0]
        seen = (openssh.root / "store" / DIRECTORY / NAME).stat()
        assert (entry.size, int(entry.modified.timestamp()), entry.is_directory) == (5, int(seen.st_mtime), False)

    def test_many_names_are_listed(self, store: Store, openssh: OpenSSH) -> None:
        folder = openssh.root / "store" / DIRECTORY
        folder.mkdir()
        for number in range(700):
            (folder / f"file-{number}").touch()
        shutil.chown(folder, openssh.user)
        assert len(store.list(DIRECTORY)) == 700

    def test_the_free_space_is_that_of_the_disk(self, store: Store, openssh: OpenSSH) -> None:
        figures = os.statvfs(openssh.root / "store")
        space = store.free_space()
        assert space is not None
        assert space.total == figures.f_blocks * figures.f_frsize
        assert abs(space.free - figures.f_bavail * figures.f_frsize) < 1 << 30


class TestPlainServer(StoreContract):
    """The same without OpenSSH's extensions: no fsync, no free space, no limits told."""

    @pytest.fixture
    def store(self, openssh: OpenSSH) -> Iterator[Store]:
        empty(openssh)
        with connect(openssh) as store:
            store.wire.extensions = {}
            store.wire.piece = store.wire.PIECE
            yield store

    def test_the_free_space_is_unknown(self, store: Store) -> None:
        assert store.free_space() is None

    def test_a_server_that_renames_over_files_is_not_asked_to(self, store: SFTPStore) -> None:
        self.published(store, b"first")
        upload = self.begin(store)
        upload.seal(0)
        ask = store.wire.ask

        def overwriting(kind: Packet, *fields: Any, **more: Any) -> Any:
            assert kind != Packet.RENAME
            return ask(kind, *fields, **more)

        store.wire.ask = overwriting  # type: ignore[method-assign]
        with pytest.raises(AlreadyExists):
            upload.publish()


def test_secrets_are_not_in_the_text_of_a_store(openssh: OpenSSH) -> None:
    with connect(openssh) as store:
        assert PASSWORD not in repr(vars(store))


def test_the_connection_is_quick_and_notices_a_dead_server(openssh: OpenSSH) -> None:
    with connect(openssh) as store:
        link = store._link
        assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        assert link._running().local_cipher == "aes128-gcm@openssh.com"
        assert store.wire.piece == 261_120


def test_a_server_on_ipv6(openssh: OpenSSH) -> None:
    with connect(openssh, server_ip="::1", ip_mode="ipv6") as store:
        assert store.full_path("a", "b") == f"sftp://{openssh.user}@[::1]:{openssh.port}/store/a/b"
        assert store.list("nothing") == []


def test_a_private_key_opens_the_door(openssh: OpenSSH) -> None:
    for secrets in (
        {"private_key": openssh.key},
        {"private_key": openssh.locked_key, "passphrase": PASSPHRASE},
    ):
        with connect(openssh, secrets=secrets) as store:
            assert store.list("nothing") == []


@pytest.mark.parametrize("path", ["", "/", "//", "/.", "/store/..", "/../etc", "store", "/loop", "/loop/"])
def test_the_root_and_ways_out_are_refused(openssh: OpenSSH, path: str) -> None:
    with pytest.raises(BadPath) as caught:
        connect(openssh, path)
    assert caught.value.field == "shared_path"
    assert not caught.value.retryable


def test_odd_characters_in_the_path(openssh: OpenSSH) -> None:
    name = "Sicherung für 100 % #1?"
    (openssh.root / name).mkdir(exist_ok=True)
    shutil.chown(openssh.root / name, openssh.user)
    with connect(openssh, f"/{name}") as store:
        path = StoreContract().published(store, b"x")
        assert "/Sicherung%20f%C3%BCr%20100%20%25%20%231%3F/" in path
        assert store.stat(DIRECTORY, NAME).size == 1
