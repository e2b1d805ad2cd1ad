"""RemoteHDFS on a real HDFS, by RPC and by WebHDFS."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from storage.base import Store
from storage.errors import AlreadyExists, BadPath, PathMissing, Unreachable
from storage.remotehdfs.store import PIECE, CannotGoBack, HDFSStore
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract
from tests.storage.hdfs_kit import both, connect, emptied

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS

pytest_plugins = ["tests.servers.hdfs"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("hdfs")]


class HDFSContract(StoreContract):
    """What holds of both ways, on a real server."""

    TRANSPORT = ""

    @pytest.fixture
    def store(self, hdfs_server: HDFS) -> Iterator[Store]:
        with connect(hdfs_server, transport=self.TRANSPORT) as store:
            yield emptied(store)
            emptied(store)

    def test_the_path_is_the_one_that_is_typed(self, store: HDFSStore) -> None:
        assert self.published(store, b"x") == f"hdfs://hacluster/backup/iotdb/{DIRECTORY}/{NAME}"

    def test_only_the_console_may_read_archives(self, store: HDFSStore, hdfs_server: HDFS) -> None:
        self.published(store, b"passwords")
        from hdfs_native import Client

        client = Client(f"hdfs://127.0.0.1:{hdfs_server.rpc_port}")
        folder = client.get_file_info(store._path(DIRECTORY))
        file = client.get_file_info(store._path(DIRECTORY, NAME))
        assert (folder.permission & 0o777, folder.owner) == (0o700, "backup")
        assert (file.permission & 0o777, file.owner) == (0o600, "backup")

    def test_pieces_of_every_size_arrive_in_order(self, store: HDFSStore) -> None:
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
            reader.seek(-5, os.SEEK_END)
            assert reader.read() == content[-5:]
        upload.publish()

    def test_what_was_sent_cannot_be_cut(self, store: HDFSStore) -> None:
        upload = self.begin(store)
        upload.write(b"a" * (PIECE + 10))
        upload.truncate(PIECE + 5)
        with pytest.raises(CannotGoBack) as caught:
            upload.truncate(PIECE - 1)
        assert not caught.value.retryable
        upload.abort()

    def test_the_last_file_takes_its_directory_along(self, store: HDFSStore) -> None:
        self.published(store, b"x")
        store.delete(DIRECTORY, NAME)
        with pytest.raises(PathMissing):
            store.driver.info(store._path(DIRECTORY))

    def test_a_directory_is_no_file(self, store: HDFSStore) -> None:
        self.published(store, b"x")
        store.driver.make_directory(store._path(DIRECTORY, "sub"))
        assert [entry.is_directory for entry in store.list(DIRECTORY)] == [False, True]
        with pytest.raises(BadPath):
            store.open(DIRECTORY, "sub")

    def test_the_time_of_a_file_is_that_of_now(self, store: HDFSStore) -> None:
        self.published(store, b"x")
        assert abs(store.stat(DIRECTORY, NAME).modified.timestamp() - time.time()) < 5

    def test_an_empty_file(self, store: HDFSStore) -> None:
        self.published(store, b"")
        with store.open(DIRECTORY, NAME) as file:
            assert file.read() == b""

    def test_names_with_a_colon_are_refused_before_hdfs_does(self, store: HDFSStore) -> None:
        with pytest.raises(BadPath):
            store.put(DIRECTORY, "a:b", PARTIAL)

    def test_an_abort_during_a_write_leaves_nothing_and_the_name_free(self, store: HDFSStore) -> None:
        upload = self.begin(store)
        upload.write(bytes(3 * PIECE))
        upload.abort()
        assert self.names(store) == []
        time.sleep(0.3)
        assert self.names(store) == []
        self.published(store, b"x")

    def test_an_answer_that_got_lost_is_looked_up(self, store: HDFSStore, monkeypatch: pytest.MonkeyPatch) -> None:
        upload = self.begin(store)
        upload.write(b"whole")
        upload.seal(5)
        driver: Any = store.driver
        if self.TRANSPORT == "rpc":
            real, owner, name = driver.run, driver, "run"
        else:
            real, owner, name = driver._client.rename, driver._client, "rename"

        def lose(*words: Any, **more: Any) -> Any:
            answer = real(*words, **more)
            if self.TRANSPORT == "rpc" and words[0] != "rename":
                return answer
            raise Unreachable("lost") if self.TRANSPORT == "rpc" else ConnectionError

        monkeypatch.setattr(owner, name, lose)
        assert upload.publish() == store.full_path(DIRECTORY, NAME)
        assert self.names(store) == [NAME]


class TestRpc(HDFSContract):
    TRANSPORT = "rpc"


class TestWebHDFS(HDFSContract):
    TRANSPORT = "webhdfs"


def test_over_ipv6(hdfs_server: HDFS) -> None:
    """The server has no IPv6; the client's side goes through a forwarder."""
    with forwarder("::1", hdfs_server.rpc_port) as port:
        changes = {"ip_mode": "ipv6", "active_ip": "0:0:0:0:0:0:0:1", "standby_ip": "::2", "rpc_port": port}
        with emptied(connect(hdfs_server, **changes)) as store:
            upload = store.put(DIRECTORY, NAME, PARTIAL)
            upload.write(b"six")
            upload.seal(3)
            upload.publish()
            with pytest.raises(AlreadyExists):
                store.put(DIRECTORY, "x", NAME)
            store.delete(DIRECTORY, NAME)


@contextmanager
def forwarder(address: str, port: int) -> Iterator[int]:
    """Forward a port of ``address`` to the same host's IPv4 ``port``."""
    listener = socket.create_server((address, 0), family=socket.AF_INET6)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.close()


@both
def test_memory_stays_flat(hdfs_server: HDFS, transport: str) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    block = os.urandom(1 << 20)
    with emptied(connect(hdfs_server, transport=transport)) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        for _ in range(16):
            upload.write(block)
        before = resident()
        for _ in range(64):
            upload.write(block)
        upload.seal(80 << 20)
        assert resident() - before < 48 << 20
        upload.abort()
