"""Connections to a real NFS-Ganesha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from storage.errors import StoreError
from storage.nfs import PATH_TYPE
from storage.nfs.store import NFSStore

if TYPE_CHECKING:
    from tests.servers.nfs import Ganesha


@pytest.fixture(name="brief")
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short limits, so that tests of silence are short."""
    monkeypatch.setattr(NFSStore, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(NFSStore, "SILENCE_SECONDS", 3.0)
    monkeypatch.setattr(NFSStore, "CLEANING_SECONDS", 1.0)


def connect(server: Ganesha, shared: str = "/export/backup", **changes: Any) -> NFSStore:
    store = PATH_TYPE.connect(server.parameters(shared) | changes, {})
    assert isinstance(store, NFSStore)
    return store


def refusal(server: Ganesha, shared: str, **changes: Any) -> StoreError:
    with pytest.raises(StoreError) as caught:
        connect(server, shared, **changes).close()
    return caught.value
