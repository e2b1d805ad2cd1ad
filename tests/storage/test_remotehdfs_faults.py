"""What goes wrong on a real HDFS, by RPC and by WebHDFS, and what the admin learns."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from storage.errors import (
    BadPath,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.remotehdfs.store import PIECE, HDFSStore
from tests.lacks import NO_SMALL_DISK, leave_out
from tests.patience import Stopwatch
from tests.storage.contract import DIRECTORY, NAME, PARTIAL
from tests.storage.hdfs_kit import both, connect, emptied

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS

pytest_plugins = ["tests.servers.hdfs"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("hdfs")]


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short limits, so that tests of silence are short."""
    monkeypatch.setattr(HDFSStore, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(HDFSStore, "SILENCE_SECONDS", 3.0)


def refusal(server: HDFS, **changes: Any) -> StoreError:
    with pytest.raises(StoreError) as caught:
        connect(server, **changes).close()
    return caught.value


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
            leave_out(NO_SMALL_DISK)
        if space.free > space.total * 0.7:
            return space.total
        time.sleep(0.3)
    raise AssertionError("the removed blocks stayed")
