"""LocalDir on a real disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storage import localdir
from storage.base import Store
from storage.errors import NoSpace, PermissionDenied, StoreFault
from storage.localdir import LocalDirStore, LocalUpload, _translate
from storage.registry import all_path_types, available_path_types, get_path_type
from tests.storage.contract import DIRECTORY, NAME, PARTIAL, StoreContract


class TestLocalDir(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalDirStore(tmp_path / "LocalBackup")

    def test_only_the_console_may_read_archives(self, store: Store) -> None:
        path = Path(self.published(store, b"passwords"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700

    def test_a_link_in_the_place_of_the_partial_file_is_refused(self, store: Store, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere"
        upload = self.begin(store)
        upload.abort()
        folder = tmp_path / "LocalBackup" / DIRECTORY
        folder.mkdir(exist_ok=True)
        (folder / PARTIAL).symlink_to(target)
        with pytest.raises(Exception, match="is there already"):
            self.begin(store)
        assert not target.exists()

    def test_the_last_file_takes_its_directory_along(self, store: Store, tmp_path: Path) -> None:
        self.published(store, b"x")
        store.delete(DIRECTORY, NAME)
        assert not (tmp_path / "LocalBackup" / DIRECTORY).exists()

    def test_file_systems_without_hard_links(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "link", refuse)
        self.test_a_published_file_is_read_back_whole(store)
        store.delete(DIRECTORY, NAME)
        self.test_a_file_is_never_overwritten(store)


@pytest.mark.parametrize(
    ("number", "kind"), [(28, NoSpace), (122, NoSpace), (13, PermissionDenied), (30, PermissionDenied), (5, StoreFault)]
)
def test_what_the_system_says_is_translated(number: int, kind: type[Exception]) -> None:
    error = _translate(OSError(number, "x"), Path("/srv/backup/x"))
    assert isinstance(error, kind)
    assert "/srv/backup" in str(error)
    assert error.cure


def test_a_full_disk_is_said_to_be_full() -> None:
    upload = LocalUpload.__new__(LocalUpload)
    upload.partial, upload.final = Path("/dev/full"), Path("/dev/full")
    upload._fd = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(NoSpace):
        upload.write(b"x")
    os.close(upload._fd)


def test_all_five_path_types_of_the_seed_are_known_in_its_order() -> None:
    assert [path_type.name for path_type in all_path_types()] == ["LocalDir", "NFS", "RemoteHDFS", "CIFS", "SFTP"]
    assert "LocalDir" in [path_type.name for path_type in available_path_types()]
    assert get_path_type("SFTP").name == "SFTP"
    with pytest.raises(KeyError):
        get_path_type("FTP")


# --- Another account of this machine ----------------------------------------------------------------------------------
@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory LocalBackup, there already."""
    path = tmp_path / "LocalBackup"
    path.mkdir(mode=0o700)
    return path


def put(root: Path) -> None:
    LocalDirStore(root).put(DIRECTORY, NAME, PARTIAL).abort()


def test_a_link_in_the_place_of_the_directory_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (root / DIRECTORY).symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionDenied, match="is a link"):
        put(root)
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_directory_that_everybody_may_write_to_is_refused(root: Path) -> None:
    (root / DIRECTORY).mkdir()
    (root / DIRECTORY).chmod(0o777)
    with pytest.raises(PermissionDenied, match="lets everybody write"):
        put(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_somebody_else_is_refused(root: Path) -> None:
    (root / DIRECTORY).mkdir()
    os.chown(root / DIRECTORY, 65534, 65534)
    with pytest.raises(PermissionDenied, match="belongs to another account"):
        put(root)


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o1777, True), (0o775, True)])
def test_a_place_where_everybody_may_write_is_refused(mode: int, safe: bool, root: Path) -> None:
    root.chmod(mode)
    if safe:
        put(root)
        return
    with pytest.raises(PermissionDenied, match="chmod o-w"):
        put(root)


def test_a_directory_that_a_sweeping_takes_away_is_made_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, times = localdir.sync_directory, iter(range(9))

    def sync(path: Path) -> None:
        real(path)
        if next(times) == 0:
            (root / DIRECTORY).rmdir()

    monkeypatch.setattr(localdir, "sync_directory", sync)
    put(root)


def test_files_and_links_at_the_root_are_no_directories(tmp_path: Path) -> None:
    (tmp_path / "daily_20261124020000").mkdir()
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "elsewhere").symlink_to("/etc")
    assert LocalDirStore(tmp_path).directories() == ["daily_20261124020000"]
