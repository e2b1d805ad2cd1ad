"""Put a directory and all that is in it into an archive, in an order that depends on names alone."""

from __future__ import annotations

import os
import stat as stat_modes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .reading import FileShrank
from .writer import ArchiveWriter

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe put in a file's place must not block
_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY


@dataclass
class TreeCount:
    """What ``add_tree`` added, and how many entries it left out."""

    files: int = 0
    directories: int = 0
    symlinks: int = 0
    skipped: int = 0


class _Walk:
    """One walk; directories are opened from their parent, so that a swapped symbolic link is never followed."""

    def __init__(
        self,
        archive: ArchiveWriter,
        skip: Callable[[str], bool] | None,
        on_error: Callable[[str, Exception], None] | None,
    ) -> None:
        self.archive = archive
        self.skip = skip
        self.on_error = on_error
        self.count = TreeCount()

    def directory(self, fd: int, name: str) -> None:
        """Add the directory open as ``fd``: itself, its files and links by name, then its directories by name."""
        self.archive.add_directory(name, os.fstat(fd))
        self.count.directories += 1
        files: list[str] = []
        links: list[str] = []
        directories: list[str] = []
        with os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                elif entry.is_symlink():
                    links.append(entry.name)
                else:
                    self.count.skipped += 1
        for step, entries_of_kind in ((self.file, files), (self.link, links), (self.below, directories)):
            entries_of_kind.sort()
            for entry_name in entries_of_kind:
                self.entry(step, fd, entry_name, f"{name}/{entry_name}")

    def entry(self, step: Callable[[int, str, str], None], fd: int, entry: str, name: str) -> None:
        """Add one entry, or tell why not; what breaks the archive itself is never passed over."""
        if self.skip is not None and self.skip(name):
            self.count.skipped += 1
            return
        try:
            step(fd, entry, name)
        except (OSError, FileShrank) as error:
            if self.on_error is None or self.archive.broken:
                raise
            self.count.skipped += 1
            self.on_error(name, error)

    def file(self, directory: int, entry: str, name: str) -> None:
        fd = os.open(entry, _FILE, dir_fd=directory)
        try:
            stat = os.fstat(fd)
            if stat_modes.S_ISREG(stat.st_mode):
                self.archive.add_file(name, fd, stat)
                self.count.files += 1
            else:
                self.count.skipped += 1
        finally:
            os.close(fd)

    def link(self, directory: int, entry: str, name: str) -> None:
        stat = os.stat(entry, dir_fd=directory, follow_symlinks=False)
        self.archive.add_symlink(name, os.readlink(entry, dir_fd=directory), stat)
        self.count.symlinks += 1

    def below(self, directory: int, entry: str, name: str) -> None:
        fd = os.open(entry, _DIRECTORY, dir_fd=directory)
        try:
            self.directory(fd, name)
        finally:
            os.close(fd)


def add_tree(
    archive: ArchiveWriter,
    root: str | os.PathLike[str],
    prefix: str,
    *,
    skip: Callable[[str], bool] | None = None,
    on_error: Callable[[str, Exception], None] | None = None,
) -> TreeCount:
    """Add ``root`` and everything under it as members below ``prefix``; symbolic links are kept as links.

    ``skip`` gets the name of a member (without a slash at the end) and tells whether to leave it out, a directory
    with all that is in it. Devices, pipes and sockets are left out and counted. ``on_error`` gets the name and the
    OSError or FileShrank of an entry that could not be added, and the walk goes on; without it the error is raised.
    """
    walk = _Walk(archive, skip, on_error)
    fd = os.open(Path(root), os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        walk.directory(fd, prefix.rstrip("/"))
    finally:
        os.close(fd)
    return walk.count
