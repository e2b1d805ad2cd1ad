"""NFS where there is no client package for the machine: only on a directory that the mount table shows as mounted."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from storage.base import Store
from storage.errors import BadPath
from storage.nfs import PATH_TYPE, form, mounted
from storage.nfs.mounted import MountedStore, NotMounted, locate, nfs_mounts
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract

# The lines of a machine with two exports, one of them a directory below another, a disk and a mount by name.
TABLE = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
90 22 0:50 / /mnt/nas rw,relatime shared:40 - nfs4 10.0.0.9:/export rw,vers=4.2,addr=10.0.0.9
91 22 0:51 / /mnt/deep\040one rw,relatime - nfs 10.0.0.9:/export/deep\0401 rw,vers=3,addr=10.0.0.9
92 22 0:52 / /mnt/named rw,relatime - nfs4 nas.example:/data rw,vers=4.1,clientaddr=10.0.0.2,addr=10.0.0.7
93 22 0:53 / /mnt/six rw,relatime - nfs4 [fd12::9]:/six rw,vers=4.2,addr=fd12::9
94 22 0:54 /part /mnt/part rw,relatime - nfs4 10.0.0.8:/all rw,addr=10.0.0.8
95 22 0:55 / /export rw,relatime - ext4 /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("server", "shared", "expected"),
    [
        ("10.0.0.9", "/export", "/mnt/nas"),
        ("10.0.0.9", "/export/a/b", "/mnt/nas/a/b"),
        ("10.0.0.9", "/export/deep 1/x", "/mnt/deep one/x"),
        ("10.0.0.7", "/data/iotdb", "/mnt/named/iotdb"),
        ("fd12:0::9", "/six", "/mnt/six"),
        ("10.0.0.8", "/all/part/x", "/mnt/part/x"),
    ],
)
def test_where_a_shared_directory_is(server: str, shared: str, expected: str) -> None:
    assert str(locate(server, shared, TABLE)[0]) == expected


@pytest.mark.parametrize(
    ("server", "shared"),
    [("10.0.0.9", "/exports"), ("10.0.0.6", "/export"), ("10.0.0.8", "/all"), ("10.0.0.9", "/")],
)
def test_what_is_not_mounted_is_refused(server: str, shared: str) -> None:
    with pytest.raises(NotMounted) as caught:
        locate(server, shared, TABLE)
    assert not caught.value.retryable
    assert caught.value.field == "shared_path"
    assert f"{server}:{shared} is not mounted on this machine" in caught.value.message


def test_only_nfs_counts() -> None:
    assert [mount.point for mount in nfs_mounts(TABLE)] == [
        "/mnt/nas",
        "/mnt/deep one",
        "/mnt/named",
        "/mnt/six",
        "/mnt/part",
    ]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount table by which ``tmp_path``/nas is an export, on a machine without the client package."""
    path = tmp_path / "mountinfo"
    (tmp_path / "nas" / "iotdb").mkdir(parents=True)
    path.write_text(f"90 22 0:50 / {tmp_path}/nas rw - nfs4 10.0.0.9:/export rw,addr=10.0.0.9\n")
    monkeypatch.setattr(mounted, "MOUNT_TABLE", path)
    real = importlib.util.find_spec
    monkeypatch.setattr(form, "find_spec", lambda name: None if name == "nfs_rs" else real(name))
    return path


VALUES: dict[str, Any] = {"server_ip": "10.0.0.9", "shared_path": "/export/iotdb"}


class TestMounted(StoreContract):
    @pytest.fixture
    def store(self, table: Path) -> Store:
        return PATH_TYPE.connect(VALUES, {})

    def test_a_mount_that_is_lost_does_not_fill_the_system_disk(self, store: Store, table: Path) -> None:
        self.published(store, b"x")
        table.write_text("")
        with pytest.raises(NotMounted):
            store.put(DIRECTORY, "other", PARTIAL)
        with pytest.raises(NotMounted):
            store.free_space()

    def test_a_mount_that_is_another_one_now(self, store: Store, table: Path) -> None:
        table.write_text(table.read_text().replace("0:50", "0:99"))
        with pytest.raises(NotMounted, match="changed"):
            store.put(DIRECTORY, NAME, PARTIAL)


def test_a_missing_directory_of_the_export_is_not_made(table: Path) -> None:
    with pytest.raises(BadPath, match="does not exist"):
        PATH_TYPE.connect(VALUES | {"shared_path": "/export/other"}, {})


@pytest.mark.parametrize("shared", ["/", "/export/../..", "export"])
def test_paths_are_checked_here_too(table: Path, shared: str) -> None:
    with pytest.raises(BadPath):
        PATH_TYPE.connect(VALUES | {"shared_path": shared}, {})


def test_the_store_is_that_of_the_mount(table: Path, tmp_path: Path) -> None:
    store = PATH_TYPE.connect(VALUES, {})
    assert isinstance(store, MountedStore)
    assert store.full_path(DIRECTORY, NAME) == f"{tmp_path}/nas/iotdb/{DIRECTORY}/{NAME}"
