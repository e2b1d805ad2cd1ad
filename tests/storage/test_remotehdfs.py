"""RemoteHDFS on a real HDFS, by RPC and by WebHDFS."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from storage.base import Store
from storage.errors import (
    AlreadyExists,
    BadPath,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.remotehdfs import PATH_TYPE
from storage.remotehdfs.store import PIECE, CannotGoBack, HDFSStore
from tests.patience import Stopwatch
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS

pytest_plugins = ["tests.servers.hdfs"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("hdfs")]

both = pytest.mark.parametrize("transport", ["rpc", "webhdfs"])


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short limits, so that tests of silence are short."""
    monkeypatch.setattr(HDFSStore, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(HDFSStore, "SILENCE_SECONDS", 3.0)


def connect(server: HDFS, **changes: Any) -> HDFSStore:
    store = PATH_TYPE.connect(server.parameters(**changes), {})
    assert isinstance(store, HDFSStore)
    return store


def emptied(store: HDFSStore) -> HDFSStore:
    for entry in store.list(DIRECTORY):
        store.delete(DIRECTORY, entry.name)
    return store


def refusal(server: HDFS, **changes: Any) -> StoreError:
    with pytest.raises(StoreError) as caught:
        connect(server, **changes).close()
    return caught.value


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


# --- What the admin learns ----------------------------------------------------------------------------------------
@both
def test_a_missing_target_is_not_made(hdfs_server: HDFS, transport: str) -> None:
    error = refusal(hdfs_server, transport=transport, target_path="/backup/nothing-here")
    assert isinstance(error, PathMissing)
    assert error.message == "hdfs://hacluster/backup/nothing-here does not exist."
    assert error.cure == "Make it: hdfs dfs -mkdir -p /backup/nothing-here"
    assert error.field == "target_path"


@both
def test_a_file_is_no_target(hdfs_server: HDFS, transport: str) -> None:
    with connect(hdfs_server) as store:
        upload = store.put("folder", "file", ".file.partial-1")
        upload.seal(0)
        upload.publish()
        error = refusal(hdfs_server, transport=transport, target_path="/backup/iotdb/folder/file")
        assert isinstance(error, BadPath)
        assert error.field == "target_path"
        store.delete("folder", "file")


PATHS = ["/", "//", "/..", "/backup/../hbase", "/hbase", "/user/hbase/backup", "/backup/.snapshot", "/.reserved/raw"]


@pytest.mark.parametrize("path", [*PATHS, "/tmp/x", "backup", "/a:b", "/a\0b"])
def test_paths_that_no_store_takes(hdfs_server: HDFS, path: str) -> None:
    error = refusal(hdfs_server, target_path=path)
    assert isinstance(error, BadPath)
    assert error.field == "target_path"


def test_a_link_local_address_is_not_offered(hdfs_server: HDFS) -> None:
    error = refusal(hdfs_server, standby_ip="fe80::1%eth0")
    assert (type(error), error.field) == (BadPath, "standby_ip")


@both
def test_a_directory_of_somebody_else(hdfs_server: HDFS, transport: str) -> None:
    others = connect(hdfs_server, transport=transport, target_path="/others")
    with others as store, pytest.raises(PermissionDenied) as caught:
        store.put(DIRECTORY, NAME, PARTIAL)
    assert caught.value.message == f"HDFS does not let the user backup write to hdfs://hacluster/others/{DIRECTORY}."
    assert caught.value.cure == "Give Target Path to that user (hdfs dfs -chown backup /others), or change HDFS User."
    assert caught.value.field == "target_path"
    assert not caught.value.retryable


@both
def test_a_quota_that_is_used_up(hdfs_server: HDFS, transport: str) -> None:
    hdfs_server.admin("-setSpaceQuota", "20m", "/quota")
    with connect(hdfs_server, transport=transport, target_path="/quota") as store:
        space = store.free_space()
        assert space is not None
        assert space.free == 20 << 20
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        with pytest.raises(NoSpace) as caught:
            for _ in range(12):
                upload.write(bytes(PIECE))
            upload.seal(12 * PIECE)
        assert "The quota of space of hdfs://hacluster/quota is used up" in caught.value.message
        assert not caught.value.retryable
        upload.abort()
        assert store.list(DIRECTORY) == []


def test_safe_mode(hdfs_server: HDFS) -> None:
    hdfs_server.admin("-safemode", "enter")
    try:
        for transport in ("rpc", "webhdfs"):
            with connect(hdfs_server, transport=transport) as store, pytest.raises(StoreFault) as caught:
                store.put(DIRECTORY, NAME, PARTIAL)
            assert caught.value.message == "The HDFS hacluster is in safe mode and takes no files."
            assert caught.value.retryable
    finally:
        hdfs_server.admin("-safemode", "leave")


@both
def test_nothing_listens(hdfs_server: HDFS, transport: str) -> None:
    error = refusal(hdfs_server, transport=transport, rpc_port=1, http_port=1)
    assert isinstance(error, Unreachable)
    assert "No NameNode of hacluster can be reached: 127.0.0.1:1 refuses connections" in error.message
    assert error.field == ("rpc_port" if transport == "rpc" else "http_port")
    assert error.retryable


def test_the_port_of_the_other_protocol(hdfs_server: HDFS) -> None:
    error = refusal(hdfs_server, rpc_port=hdfs_server.http_port)
    assert "is an HTTP server" in error.message
    assert "Destination NameNode RPC Port" in error.cure
    assert (error.field, error.retryable) == ("rpc_port", False)
    error = refusal(hdfs_server, transport="webhdfs", http_port=hdfs_server.rpc_port)
    assert (error.field, error.retryable) == ("http_port", False)


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """A NameNode that takes connections and never answers."""
    with socket.create_server((address, port)):
        yield


@both
def test_a_namenode_that_never_answers_is_left_out(hdfs_server: HDFS, brief: None, transport: str) -> None:
    port = hdfs_server.rpc_port if transport == "rpc" else hdfs_server.http_port
    swapped = {"active_ip": "127.0.0.2", "standby_ip": "127.0.0.1"}
    with silent("127.0.0.2", port):
        began = Stopwatch()
        with connect(hdfs_server, transport=transport, **swapped) as store:
            assert store.list("absent") == []
        assert began.seconds < 5


@both
def test_no_namenode_answers(hdfs_server: HDFS, brief: None, transport: str) -> None:
    port = hdfs_server.rpc_port if transport == "rpc" else hdfs_server.http_port
    with silent("127.0.0.3", port), silent("127.0.0.4", port):
        began = Stopwatch()
        error = refusal(hdfs_server, transport=transport, active_ip="127.0.0.3", standby_ip="127.0.0.4")
        assert began.seconds < 4
    assert isinstance(error, Unreachable)
    assert "does not answer" in error.message
    assert error.field == "active_ip"


@both
@pytest.mark.parametrize("node", ["nn1", "dn1"])
def test_a_node_that_hangs_during_a_write(hdfs_server: HDFS, brief: None, node: str, transport: str) -> None:
    with emptied(connect(hdfs_server, transport=transport)) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(PIECE))
        hdfs_server.suspend(node)
        began = Stopwatch()
        try:
            with pytest.raises(Unreachable) as caught:
                for _ in range(20):
                    upload.write(bytes(PIECE))
                upload.seal(21 * PIECE)
            assert caught.value.retryable
            assert "hacluster" in caught.value.message
            assert began.seconds < 3 + 10
            began = Stopwatch()
            upload.abort()
            assert began.seconds < 6
        finally:
            hdfs_server.resume(node)
    time.sleep(0.5)
    with connect(hdfs_server) as store:
        emptied(store)


def test_a_process_whose_namenode_hangs_can_end(hdfs_server: HDFS) -> None:
    program = """
import sys, time, django
django.setup()
from storage.remotehdfs.store import HDFSStore
from storage.remotehdfs import PATH_TYPE
HDFSStore.SILENCE_SECONDS = 1.0
store = PATH_TYPE.connect(eval(sys.argv[1]), {})
print("connected", flush=True)
sys.stdin.readline()
try:
    store.list("x")
except Exception as error:
    print(type(error).__name__, flush=True)
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", program, repr(hdfs_server.parameters())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "connected\n"
        hdfs_server.suspend("nn1")
        try:
            output, _ = process.communicate("\n", timeout=15)
        finally:
            hdfs_server.resume("nn1")
            process.kill()
        assert output == "Unreachable\n"
        assert process.returncode == 0


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


def test_a_full_disk(hdfs_server: HDFS) -> None:
    block = os.urandom(PIECE)
    for transport in ("rpc", "webhdfs"):
        with emptied(connect(hdfs_server, transport=transport)) as store:
            size = wait_for_room(store)
            upload = store.put(DIRECTORY, NAME, PARTIAL)
            with pytest.raises(NoSpace) as caught:
                for _ in range(2 * size // PIECE):
                    upload.write(block)
                upload.seal(2 * size)
            assert "full" in caught.value.message
            assert "hacluster" in caught.value.message
            assert not caught.value.retryable
            upload.abort()
            assert store.list(DIRECTORY) == []


def wait_for_room(store: HDFSStore) -> int:
    """Return the size of the small disk once it is nearly empty: blocks of removed files go in the background."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        space = store.free_space()
        assert space is not None
        if space.total > 1 << 30:
            pytest.skip("this machine does not let a small disk be mounted")
        if space.free > space.total * 0.7:
            return space.total
        time.sleep(0.3)
    raise AssertionError("the removed blocks stayed")
