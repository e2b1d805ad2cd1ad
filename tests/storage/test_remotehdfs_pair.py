"""RemoteHDFS on an HA pair: either NameNode may be the active one, also in the middle of a write."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from storage.base import Store
from storage.errors import StoreError, Unreachable
from storage.remotehdfs import PATH_TYPE
from storage.remotehdfs.store import PIECE, HDFSStore
from tests.patience import Stopwatch
from tests.storage.contract import DIRECTORY, NAME, PARTIAL

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS

pytest_plugins = ["tests.servers.hdfs"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("hdfs")]

both = pytest.mark.parametrize("transport", ["rpc", "webhdfs"])
PIECES = 8


@pytest.fixture
def pair(hdfs_pair: HDFS) -> Iterator[HDFS]:
    """The pair with nn1 active, also for the next test."""
    yield hdfs_pair
    for name in ("nn1", "nn2"):
        if not hdfs_pair.runs(name):
            hdfs_pair.start_node(name)
            hdfs_pair.await_state(name, "standby", "active")
    if hdfs_pair.state("nn2") == "active":
        hdfs_pair.make_standby("nn2")
    if hdfs_pair.state("nn1") != "active":
        hdfs_pair.make_active("nn1")
    hdfs_pair.await_serving("nn1")
    with connect(hdfs_pair) as store:
        for entry in store.list(DIRECTORY):
            store.delete(DIRECTORY, entry.name)


def connect(server: HDFS, **changes: Any) -> Store:
    return PATH_TYPE.connect(server.parameters(**changes), {})


def write_around(store: Store, happening: Any) -> None:
    """Write a file of several blocks during which something happens, and read it back."""
    digest = hashlib.sha256()
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    for number in range(PIECES):
        piece = os.urandom(PIECE)
        digest.update(piece)
        upload.write(piece)
        if number == PIECES // 2:
            happening()
    upload.seal(PIECES * PIECE)
    upload.publish()
    with store.open(DIRECTORY, NAME) as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()
    assert [entry.name for entry in store.list(DIRECTORY)] == [NAME]
    store.delete(DIRECTORY, NAME)


@both
def test_the_standby_may_stand_in_the_first_field(pair: HDFS, transport: str) -> None:
    with connect(pair, transport=transport, active_ip="127.0.0.2", standby_ip="127.0.0.1") as store:
        write_around(store, lambda: None)
        assert store.free_space() is not None


@both
def test_a_failover_during_a_write(pair: HDFS, transport: str) -> None:
    def swap() -> None:
        pair.make_standby("nn1")
        pair.make_active("nn2")

    with connect(pair, transport=transport) as store:
        write_around(store, swap)


@both
def test_the_active_namenode_dies_during_a_write(pair: HDFS, transport: str) -> None:
    takeover = threading.Thread(target=lambda: pair.make_active("nn2", force=True))

    def lose() -> None:
        pair.kill("nn1")
        takeover.start()

    with connect(pair, transport=transport) as store:
        write_around(store, lose)
    takeover.join()


@both
def test_no_namenode_is_active(pair: HDFS, transport: str) -> None:
    pair.make_standby("nn1")
    began = Stopwatch()
    with pytest.raises(Unreachable) as caught:
        connect(pair, transport=transport)
    assert began.seconds < 5
    assert caught.value.message.startswith("Neither NameNode of hacluster is active: 127.0.0.1:")
    assert caught.value.retryable


@both
def test_a_datanode_dies_during_a_write(pair: HDFS, transport: str) -> None:
    """Within a block the write goes on; a block that is begun on a dead DataNode may fail, but then says so."""
    with connect(pair, transport=transport) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        piece = os.urandom(PIECE)
        upload.write(piece)
        pair.kill("dn2")
        try:
            upload.write(piece)
            upload.seal(2 * PIECE)
            with upload.reader() as file:
                assert file.read() == piece * 2
        except StoreError as error:
            assert error.retryable
            assert "hacluster" in error.message
        finally:
            pair.start_datanode(2)
        with suppress(StoreError):
            upload.abort()
    pair.await_serving("nn1")


def test_limits_of_the_product_are_those_that_are_promised() -> None:
    assert (HDFSStore.CONNECT_SECONDS, HDFSStore.SILENCE_SECONDS) == (10.0, 30.0)
