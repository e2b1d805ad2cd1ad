"""NFS on a real NFS-Ganesha, by NFS 4.1 and by NFS 3."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import nfs_rs
import pytest

from storage.base import Store
from storage.errors import AlreadyExists, StoreError
from storage.nfs import dial
from storage.nfs.dial import Target
from storage.nfs.store import NFSStore
from storage.nfs.upload import PIECE
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract
from tests.storage.nfs_kit import connect

if TYPE_CHECKING:
    from tests.servers.nfs import Ganesha

pytest_plugins = ["tests.servers.nfs"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("nfs")]


@pytest.fixture
def clear() -> Iterator[Callable[[Store], None]]:
    """Remove through the server what tests left; behind its back would confuse it."""

    def emptied(store: Store) -> None:
        assert isinstance(store, NFSStore)
        for entry in store.list(DIRECTORY):
            store.delete(DIRECTORY, entry.name)

    yield emptied


class NFSContract(StoreContract):
    """What holds of both versions, on a real server."""

    VERSION = ""
    SHARED = "/export/backup"

    @pytest.fixture
    def store(
        self, nfs_server: Ganesha, monkeypatch: pytest.MonkeyPatch, clear: Callable[[Store], None]
    ) -> Iterator[Store]:
        monkeypatch.setattr(dial, "VERSIONS", (self.VERSION,))
        with connect(nfs_server, self.SHARED) as store:
            clear(store)
            yield store
            clear(store)

    def test_the_version_is_the_one_meant(self, store: NFSStore) -> None:
        assert store.client.version == self.VERSION

    def test_the_path_is_the_one_that_is_typed(self, store: NFSStore) -> None:
        assert self.published(store, b"x") == f"127.0.0.1:{self.SHARED}/{DIRECTORY}/{NAME}"

    def test_only_the_console_may_read_archives(self, store: NFSStore) -> None:
        self.published(store, b"passwords")
        folder = store._path(DIRECTORY)
        assert store.client.stat(folder).mode & 0o777 == 0o700
        assert store.client.stat(f"{folder}/{NAME}").mode & 0o777 == 0o600
        assert store.client.stat(folder).uid == 65534

    def test_pieces_of_every_size_arrive_in_order(self, store: NFSStore) -> None:
        content = os.urandom(2 * PIECE + 12_345)
        upload = self.begin(store)
        at = 0
        for size in (1, 100_000, PIECE - 100_001, PIECE + 7, 5, len(content)):
            upload.write(content[at : at + size])
            at += size
        upload.seal(len(content))
        with upload.reader() as reader:
            assert reader.read() == content
            reader.seek(PIECE - 3)
            assert reader.read(6) == content[PIECE - 3 : PIECE + 3]
        upload.publish()

    def test_truncate_goes_back_over_what_was_sent_and_what_is_held(self, store: NFSStore) -> None:
        upload = self.begin(store)
        upload.write(b"a" * (PIECE + 10))
        upload.truncate(PIECE + 5)
        upload.truncate(PIECE - 5)
        upload.write(b"b" * 5)
        upload.seal(PIECE)
        with upload.reader() as reader:
            assert reader.read() == b"a" * (PIECE - 5) + b"b" * 5
        upload.abort()

    def test_the_last_file_takes_its_directory_along(self, store: NFSStore) -> None:
        self.published(store, b"x")
        store.delete(DIRECTORY, NAME)
        assert not store.client.exists(store._path(DIRECTORY))

    def test_a_directory_is_no_file(self, store: NFSStore) -> None:
        self.published(store, b"x")
        store.client.mkdir(store._path(DIRECTORY, "sub"))
        assert [entry.is_directory for entry in store.list(DIRECTORY)] == [False, True]
        with pytest.raises(StoreError):
            store.open(DIRECTORY, "sub")
        store.client.rmdir(store._path(DIRECTORY, "sub"))

    def test_the_time_of_a_file_is_that_of_now(self, store: NFSStore) -> None:
        self.published(store, b"x")
        assert abs(store.stat(DIRECTORY, NAME).modified.timestamp() - time.time()) < 5

    def test_servers_without_hard_links(self, store: NFSStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise nfs_rs.NfsUnsupportedError(message="no")

        real = store.client
        store.client = _Proxy(real, link=refuse)  # type: ignore[assignment]
        self.test_a_published_file_is_read_back_whole(store)
        store.delete(DIRECTORY, NAME)
        self.test_a_file_is_never_overwritten(store)
        store.delete(DIRECTORY, NAME)
        self.test_two_writers_cannot_share_a_partial_name(store)
        store.client = real

    def test_an_answer_that_got_lost_is_looked_up(self, store: NFSStore) -> None:
        upload = self.begin(store)
        upload.write(b"whole")
        upload.seal(5)
        real = store.client

        def link_then_fail(source: str, target: str) -> None:
            real.link(source, target)
            raise nfs_rs.NfsUncertainOutcomeError(message="lost")

        store.client = _Proxy(real, link=link_then_fail)  # type: ignore[assignment]
        assert upload.publish() == store.full_path(DIRECTORY, NAME)
        store.client = real
        assert self.names(store) == [NAME]

    def test_links_are_not_followed(self, store: NFSStore) -> None:
        self.published(store, b"x")
        store.client.symlink("/etc", store._path("link"))
        try:
            with pytest.raises(StoreError):
                store.put("link", NAME, PARTIAL)
        finally:
            store.client.remove(store._path("link"))


class TestNFS41(NFSContract):
    VERSION = "4.1"


class TestNFS3(NFSContract):
    VERSION = "3"


class TestNamesThatNoAddressTakes(NFSContract):
    """Blanks, letters beyond ASCII and ``#`` in the shared path are looked up below the mount."""

    VERSION = "4.1"
    SHARED = "/export/été 1#2"


class _Proxy:
    """A client of which some methods are others."""

    def __init__(self, client: nfs_rs.Client, **methods: Callable[..., Any]) -> None:
        self._client = client
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_over_ipv6(nfs_server_v6: Ganesha) -> None:
    with connect(nfs_server_v6) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(b"six")
        upload.seal(3)
        assert upload.publish() == f"[::1]:/export/backup/{DIRECTORY}/{NAME}"
        with pytest.raises(AlreadyExists):
            store.put(DIRECTORY, "x", NAME)
        store.delete(DIRECTORY, NAME)


def test_memory_stays_flat(nfs_server: Ganesha) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    block = os.urandom(1 << 20)
    with connect(nfs_server) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        for _ in range(16):
            upload.write(block)
        before = resident()
        for _ in range(112):
            upload.write(block)
        upload.seal(128 << 20)
        assert resident() - before < 48 << 20
        upload.abort()
        assert store.list(DIRECTORY) == []


def test_ports_below_1024_are_used_where_they_may_be() -> None:
    assert dial.may_bind_low_ports() == (os.geteuid() == 0)
    assert Target.of({"server_ip": "10.0.0.1", "shared_path": "/a//b/"}).shared == "/a/b"
