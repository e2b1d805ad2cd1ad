"""CIFS on a real Samba server: the contract, and what the store does besides."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from storage.base import Store
from storage.cifs.store import CIFSStore
from storage.cifs.upload import PIECE
from storage.errors import AuthenticationFailed, BadPath, StoreFault
from storage.registry import get_path_type
from tests.servers.samba import PASSWORD, Samba, samba
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract

__all__ = ["samba"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("samba")]
SMB_2_1, SMB_3_1_1 = 0x0210, 0x0311


def connect(server: Samba, path: str = "/backup/iotdb", password: str = PASSWORD, **changes: Any) -> CIFSStore:
    parameters = server.parameters(path, **changes)
    store = get_path_type("CIFS").connect(parameters, {"password": password})
    assert isinstance(store, CIFSStore)
    return store


def empty(server: Samba, name: str = "share/iotdb") -> None:
    for path in (server.directory / name).iterdir():
        shutil.rmtree(path)


class TestCIFS(StoreContract):
    @pytest.fixture
    def store(self, samba: Samba) -> Iterator[Store]:
        empty(samba)
        with connect(samba) as store:
            yield store

    def test_the_path_is_the_one_of_windows(self, store: Store, samba: Samba) -> None:
        path = self.published(store, b"x")
        assert path == rf"\\127.0.0.1:{samba.port}\backup\iotdb\{DIRECTORY}\{NAME}"

    def test_the_last_file_takes_its_directory_along(self, store: Store, samba: Samba) -> None:
        self.published(store, b"x")
        store.delete(DIRECTORY, NAME)
        assert os.listdir(samba.share / "iotdb") == []

    def test_a_link_in_the_place_of_the_partial_file_is_refused(self, store: Store, samba: Samba) -> None:
        folder = samba.share / "iotdb" / DIRECTORY
        folder.mkdir()
        folder.chmod(0o777)
        (folder / PARTIAL).symlink_to(samba.share / "iotdb" / "elsewhere")
        with pytest.raises(Exception, match="is not overwritten|does not exist"):
            self.begin(store)
        assert not (samba.share / "iotdb/elsewhere").exists()

    @pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 13_000_001])
    def test_pieces_of_any_size_are_put_together(self, store: Store, size: int) -> None:
        content = os.urandom(size)
        upload = self.begin(store)
        view = memoryview(content)
        for step in (1, 70_000, 5_000_000, PIECE):
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
            first.write(b"a" * 300_000)
            second.write(b"b" * 50_000)
            assert store.free_space()
        first.seal(9_000_000)
        second.seal(1_500_000)
        second.publish()
        first.publish()
        assert self.names(store) == sorted([NAME, "b.json"])

    def test_a_file_that_is_written_cannot_be_opened_but_can_be_swept(self, store: Store, samba: Samba) -> None:
        upload = self.begin(store)
        upload.write(b"half")
        with connect(samba) as other:
            with pytest.raises(StoreFault, match="in use by another program"):
                other.open(DIRECTORY, PARTIAL)
            other.delete(DIRECTORY, PARTIAL)
        upload.abort()
        assert self.names(store) == []

    def test_entries_tell_size_and_time(self, store: Store, samba: Samba) -> None:
        self.published(store, b"12345")
        entry = store.list(DIRECTORY)[0]
        seen = (samba.share / "iotdb" / DIRECTORY / NAME).stat()
        assert (entry.size, int(entry.modified.timestamp()), entry.is_directory) == (5, int(seen.st_mtime), False)
        assert store.stat(DIRECTORY, NAME) == entry

    def test_many_names_are_listed(self, store: Store, samba: Samba) -> None:
        folder = samba.share / "iotdb" / DIRECTORY
        folder.mkdir()
        for number in range(700):
            (folder / f"file-{number}").touch()
        assert len(store.list(DIRECTORY)) == 700

    def test_the_free_space_is_that_of_the_disk(self, store: Store, samba: Samba) -> None:
        figures = os.statvfs(samba.share)
        space = store.free_space()
        assert space is not None
        assert space.total == figures.f_blocks * figures.f_frsize
        assert abs(space.free - figures.f_bavail * figures.f_frsize) < 1 << 30

    @pytest.mark.parametrize("name", ["a\\b", "a:b", "what?", "dot.", "blank "])
    def test_names_that_windows_does_not_take(self, store: Store, name: str) -> None:
        with pytest.raises(BadPath):
            store.put(DIRECTORY, name, ".x.partial-1")


def test_secrets_are_not_in_the_text_of_a_store(samba: Samba) -> None:
    with connect(samba) as store:
        assert PASSWORD not in repr(vars(store)) + repr(vars(store.share))


def test_the_connection_is_quick_and_notices_a_dead_server(samba: Samba) -> None:
    with connect(samba) as store:
        transport = store.share._connection.transport
        assert transport is not None
        assert transport._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert transport._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert transport._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def test_messages_are_encrypted_where_the_server_can(samba: Samba) -> None:
    with connect(samba) as store:
        session = store.share._session
        assert session.connection.dialect == SMB_3_1_1
        assert session.encrypt_data


@pytest.mark.parametrize(("newest", "encryption"), [("SMB2_10", "default"), ("SMB3_02", "default"), ("SMB3", "off")])
def test_older_servers_are_signed(samba: Samba, newest: str, encryption: str) -> None:
    samba.stop()
    try:
        samba.extra = {"server max protocol": newest, "smb encrypt": encryption}
        samba.start()
        empty(samba)
        with connect(samba) as store:
            session = store.share._session
            assert session.encrypt_data or session.signing_required
            assert (session.connection.dialect == SMB_2_1) == (newest == "SMB2_10")
            content = os.urandom(9_000_000)
            upload = store.put(DIRECTORY, NAME, PARTIAL)
            upload.write(content)
            upload.seal(len(content))
            with upload.reader() as reader:
                assert reader.read() == content
            upload.publish()
    finally:
        samba.stop()
        samba.extra = {}
        samba.start()


def test_a_server_on_ipv6(samba: Samba) -> None:
    empty(samba)
    with connect(samba, server_ip="::1", ip_mode="ipv6") as store:
        assert store.full_path("a", "b") == rf"\\[::1]:{samba.port}\backup\iotdb\a\b"
        assert StoreContract().published(store, b"x")
        store.delete(DIRECTORY, NAME)


def test_a_changed_password_is_noticed(samba: Samba) -> None:
    with connect(samba), pytest.raises(AuthenticationFailed):
        connect(samba, password="another one")


def test_the_share_alone_and_odd_characters(samba: Samba) -> None:
    empty(samba)
    with connect(samba, "/backup") as store:
        assert store.list("iotdb") == []
        assert store.full_path("iotdb", "x").endswith(r"\backup\iotdb\x")
    name = "Sicherung für 100 % #1"
    (samba.share / name).mkdir(exist_ok=True)
    (samba.share / name).chmod(0o777)
    with connect(samba, f"backup\\{name}") as store:
        assert name in StoreContract().published(store, b"x")


@pytest.mark.parametrize("path", ["", "/", "//", "\\", "/.", "/backup/..", "/backup/../..", "/IPC$", "//host/share"])
def test_the_root_and_ways_out_are_refused(samba: Samba, path: str) -> None:
    with pytest.raises(BadPath) as caught:
        connect(samba, path)
    assert caught.value.field == "shared_path"
    assert not caught.value.retryable
