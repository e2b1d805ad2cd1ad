"""LocalDir: backup files on the local disk of the active management node (seed, step 7)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from django.conf import settings

from storage.base import Buffer, DestinationForm, Entry, PathType, Space, Store, Upload
from storage.checks import LocalPlace
from storage.errors import (
    AlreadyExists,
    Corrupt,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.ownership import require_ours, sync_directory
from storage.remote import check_parts


def _translate(error: OSError, path: Path) -> StoreError:
    """Return the console's word for what the operating system said about ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The disk that holds {path.parent} is full.", cure="Free space there or keep fewer copies.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDenied(
            f"The console may not write to {path.parent}.",
            cure="Give its account the right to write there, or set another data storage path.",
        )
    if error.errno == errno.ENOENT:
        return PathMissing(f"{path} is not there.")
    if error.errno == errno.EEXIST:
        return AlreadyExists(f"{path} is there already and is not overwritten.", cure="Run the task again.")
    return StoreFault(f"{path}: {os.strerror(error.errno or errno.EIO)}.", cure="Look at the disk of this machine.")


class LocalUpload(Upload):
    """A file that grows in the destination itself under its hidden name; nothing is copied a second time."""

    def __init__(self, partial: Path, final: Path) -> None:
        self.partial = partial
        self.final = final
        try:
            self._fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _translate(error, partial) from error

    def write(self, data: Buffer) -> None:
        """Write all of ``data``; raise ``NoSpace`` where the disk is full."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise _translate(error, self.partial) from error

    def truncate(self, size: int) -> None:
        """Drop everything after ``size`` bytes."""
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)

    def seal(self, size: int) -> None:
        """Flush to the disk and compare the size."""
        try:
            os.fsync(self._fd)
            found = os.fstat(self._fd).st_size
        except OSError as error:
            raise _translate(error, self.partial) from error
        if found != size:
            raise Corrupt(
                f"{self.final.name} was not stored as it was written: {found} of {size} bytes.",
                cure="Check the disk of this machine.",
            )

    def reader(self) -> BinaryIO:
        """Open the file again, its pages dropped from memory: a check of the cache would prove nothing of the disk."""
        try:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return open(self.partial, "rb")
        except OSError as error:
            raise _translate(error, self.partial) from error

    def publish(self) -> str:
        """Rename to the final name; another file of that name is never overwritten."""
        try:
            self._link()
            sync_directory(self.final.parent)
        except OSError as error:
            raise _translate(error, self.final) from error
        self._close()
        return str(self.final)

    def _link(self) -> None:
        """Give the final name by a hard link, which unlike a rename refuses to overwrite."""
        try:
            os.link(self.partial, self.final)
        except OSError as error:
            # File systems without hard links: a rename, guarded as well as it can be there.
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            if self.final.exists():
                raise FileExistsError(errno.EEXIST, "exists") from error
            os.rename(self.partial, self.final)
        else:
            os.unlink(self.partial)

    def abort(self) -> None:
        """Remove the partial file."""
        self._close()
        with suppress(OSError):
            os.unlink(self.partial)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LocalDirStore(Store):
    """A directory of this machine. Directories are 0700 and files 0600: archives of IoTDB hold passwords in clear."""

    in_place = True
    # Whether the directories of tasks belong to the account of the console; a server may give files another owner.
    owned: ClassVar[bool] = True

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _translate(error, root) from error

    def _path(self, *parts: str) -> Path:
        check_parts(parts)
        return self.root.joinpath(*parts)

    def free_space(self) -> Space:
        """Return the room on the disk, as far as this account may use it."""
        figures = os.statvfs(self.root)
        return Space(free=figures.f_bavail * figures.f_frsize, total=figures.f_blocks * figures.f_frsize)

    def put(self, directory: str, name: str, partial: str) -> Upload:
        """Begin a file; its directory is made where it is missing."""
        try:
            return self._put(directory, name, partial)
        except PathMissing:
            # Whoever removed the last file of a run that was lost took the empty directory along in this moment.
            return self._put(directory, name, partial)

    def _put(self, directory: str, name: str, partial: str) -> Upload:
        folder = self._path(directory)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.root)
            require_ours(self.root, folder, owned=self.owned)
        except OSError as error:
            raise _translate(error, folder) from error
        return LocalUpload(self._path(directory, partial), self._path(directory, name))

    def full_path(self, directory: str, name: str) -> str:
        """Return the absolute path of a file."""
        return str(self._path(directory, name))

    def directories(self) -> list[str]:
        """Return the names of the directories at the root."""
        return [entry.name for entry in self._scan(self.root) if entry.is_directory]

    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``."""
        try:
            return [*self._scan(self._path(directory))]
        except PathMissing:
            return []

    def _scan(self, folder: Path) -> Sequence[Entry]:
        try:
            with os.scandir(folder) as items:
                return sorted(
                    (_entry(item.name, item.stat(follow_symlinks=False)) for item in items),
                    key=lambda entry: entry.name,
                )
        except OSError as error:
            raise _translate(error, folder) from error

    def stat(self, directory: str, name: str) -> Entry:
        """Return the entry of a file."""
        path = self._path(directory, name)
        try:
            return _entry(name, path.lstat())
        except OSError as error:
            raise _translate(error, path) from error

    def open(self, directory: str, name: str) -> BinaryIO:
        """Open a file for reading."""
        path = self._path(directory, name)
        try:
            return open(path, "rb")
        except OSError as error:
            raise _translate(error, path) from error

    def delete(self, directory: str, name: str) -> None:
        """Remove a file and, when it was the last one, its directory."""
        path = self._path(directory, name)
        try:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
        except OSError as error:
            raise _translate(error, path) from error


def _entry(name: str, figures: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(figures.st_mtime, UTC)
    return Entry(name, figures.st_size, modified, (figures.st_mode & 0o170000) == 0o040000)


# Where the data storage path stands among the values that were prepared for another thread.
_LOOKED_UP = "local_backup"


def _from_settings() -> str:
    return ""


_chosen: Callable[[], str] = _from_settings


def choose_data_storage_path(source: Callable[[], str]) -> None:
    """Have ``source`` say where the *Data storage path* is; the empty text stands for the setting."""
    global _chosen
    _chosen = source


def data_storage_path() -> Path:
    """Return the *Data storage path* of the active management node."""
    return Path(_chosen() or settings.DATA_STORAGE_PATH)


class LocalDirForm(DestinationForm):
    """LocalDir asks for the number of copies only; the directory follows from the data storage path."""


class LocalDir(PathType):
    """The local disk of the active management node, below *Data storage path*/LocalBackup/."""

    name = "LocalDir"
    note = "Backup files are stored on the local disk of the active management node, in Data storage path/LocalBackup/."
    form_class = LocalDirForm
    available = True
    has_standby = True

    def summary(self, parameters: Mapping[str, Any]) -> str:
        """Return the host whose disk it is."""
        return str(settings.HOST_NAME)

    def location(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the host and the directory: whoever changes the data storage path changes the destination."""
        return (str(settings.HOST_NAME), str(parameters.get(_LOOKED_UP) or self._root()))

    def title(self, parameters: Mapping[str, Any]) -> str:
        """Return the directory's name in the seed, and the host."""
        return f"LocalBackup on {settings.HOST_NAME}"

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the directory, made where it is missing."""
        return LocalDirStore(Path(parameters.get(_LOOKED_UP) or self._root()))

    def connect_to_read(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the directory; one that is not there may lie on a disk that is not mounted, and is not made."""
        root = Path(parameters.get(_LOOKED_UP) or self._root())
        if not root.is_dir():
            raise Unreachable(f"{root} is not there.", cure="Mount the disk that it lies on, then try again.")
        return self.connect(parameters, secrets)

    def prepare(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Look up the data storage path, which may stand in the database."""
        return {**parameters, _LOOKED_UP: str(self._root())}

    def path_words(self, parameters: Mapping[str, Any], store: Store) -> str:
        """Return which directory is there."""
        return f"{parameters[_LOOKED_UP]} is there."

    def place(self, directory: str) -> LocalPlace:
        """Return where the files of a task with this directory lie; nothing is made on the disk."""
        root = self._root()
        return LocalPlace(f"{root / directory}/", room(root), str(settings.HOST_NAME))

    def _root(self) -> Path:
        return data_storage_path() / "LocalBackup"


def room(path: Path) -> Space | None:
    """Return the room on the disk that holds ``path`` or would hold it; None where the system does not tell."""
    for candidate in (path, *path.parents):
        try:
            figures = os.statvfs(candidate)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return Space(figures.f_bavail * figures.f_frsize, figures.f_blocks * figures.f_frsize)
    return None


PATH_TYPE = LocalDir()
