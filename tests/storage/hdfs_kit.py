"""Connections to a real HDFS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from storage.remotehdfs import PATH_TYPE
from storage.remotehdfs.store import HDFSStore
from tests.storage.contract import DIRECTORY

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS

both = pytest.mark.parametrize("transport", ["rpc", "webhdfs"])


def connect(server: HDFS, **changes: Any) -> HDFSStore:
    store = PATH_TYPE.connect(server.parameters(**changes), {})
    assert isinstance(store, HDFSStore)
    return store


def emptied(store: HDFSStore) -> HDFSStore:
    for entry in store.list(DIRECTORY):
        store.delete(DIRECTORY, entry.name)
    return store
