"""This machine as the machine of a node."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from tasks.hosts import commands, remarks
from tasks.hosts.base import Buffer, Done, FileStat, Host, HostSpec, Remark

# Without O_NONBLOCK a file that became a named pipe meanwhile would hold the caller for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRY_SECONDS = 10.0
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFile:
    """An open regular file of this machine; ``fd`` is its descriptor, for whoever can read faster by it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def stat(self) -> FileStat:
        """Return what is known of it now."""
        return _known(os.fstat(self.fd))

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        return os.read(self.fd, size)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)


class LocalHost(Host):
    """Files are those of the console's own account; only commands are run as ``sudo_user``."""

    def __init__(self, spec: HostSpec | None = None) -> None:
        self.spec = spec or HostSpec()

    @property
    def account(self) -> str:
        """Return the console's account."""
        return f"{_account() or f'with the number {os.geteuid()}'} of the console"

    def stat(self, path: str) -> FileStat:
        """Return what a name stands for, links followed."""
        return _known(os.stat(path))

    def lstat(self, path: str) -> FileStat:
        """Return what a name itself is."""
        return _known(os.lstat(path))

    def scan(self, path: str) -> list[tuple[str, FileStat]]:
        """Return the names in a directory; one that goes away meanwhile is left out."""
        found = []
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found.append((entry.name, _known(entry.stat(follow_symlinks=False))))
        return found

    def readlink(self, path: str) -> str:
        """Return where a link points to."""
        return os.readlink(path)

    def realpath(self, path: str) -> str:
        """Return a path without links."""
        return os.path.realpath(path)

    def open(self, path: str) -> LocalFile:
        """Open a regular file; ENXIO for anything else, ELOOP for a link."""
        fd = os.open(path, _READ)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)
        return LocalFile(fd)

    def forbidden(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield those of ``paths`` that may not be read."""
        for path in paths:
            if not os.access(path, os.R_OK, effective_ids=True) and os.path.lexists(path):
                yield path

    def now(self) -> float:
        """Return the clock."""
        return time.time()

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        """Make a directory."""
        os.mkdir(path, mode)
        os.chmod(path, mode)

    def write(self, path: str, chunks: Iterable[Buffer], mode: int) -> None:
        """Make a new file and bring it to the disk; nothing is left of one that could not be written whole."""
        fd = os.open(path, _CREATE, mode & 0o700)
        try:
            try:
                for chunk in chunks:
                    _write_all(fd, memoryview(chunk).cast("B"))
                os.fchmod(fd, mode)
                os.fsync(fd)
            except OSError as error:
                error.filename = error.filename or path
                raise
            finally:
                os.close(fd)
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise

    def symlink(self, target: str, path: str) -> None:
        """Make a link."""
        os.symlink(target, path)

    def set_attributes(self, path: str, *, mode: int, uid: int, gid: int, mtime: float) -> None:
        """Set them; the owner first, as changing it takes set-user-id bits away."""
        with suppress(PermissionError):
            os.chown(path, uid, gid)
        os.chmod(path, mode)
        os.utime(path, (mtime, mtime))

    def rename(self, old: str, new: str) -> None:
        """Rename, and bring the names to the disk."""
        # Whoever makes the new name in between would be the restoration's own rival; runs of a cluster are in a line.
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        os.rename(old, new)
        for directory in {os.path.dirname(old), os.path.dirname(new)}:
            _sync(directory)

    def remove_tree(self, path: str) -> None:
        """Remove a directory with all that is in it."""
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            shutil.rmtree(path)

    def run(self, command: str, seconds: float) -> Done:
        """Run a shell command in a session of its own."""
        line = commands.kept(command)
        if self._by_sudo():
            line = commands.by_sudo(self.spec.sudo_user, ["-n"], line)
        try:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=commands.environment(),
                cwd="/",
                start_new_session=True,
            )
        except FileNotFoundError:
            return Done(127, f"{line[0]} is not installed on this machine.")
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"The command did not end within {seconds:g} s.") from error
        finally:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        return Done(process.returncode, commands.text(output or (errors if process.returncode else b"")))

    def remarks(self) -> list[Remark]:
        """Return whether commands can be run as the IoTDB account, where there is one."""
        return [remarks.of_sudo(self.spec, self.tried("true", _TRY_SECONDS))] if self._by_sudo() else []

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _by_sudo(self) -> bool:
        return self.spec.sudo_user not in ("", _account())


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def _known(seen: os.stat_result) -> FileStat:
    return FileStat(seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_uid, seen.st_gid, seen.st_ino)


def _write_all(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
