"""Copy a group of files that others may be writing to: read it until it did not change while it was read.

The list of the group (names, sizes, times, inodes) is taken before and after. Where the two differ, the archive goes
back to where it was and the group is read again, after a pause that grows.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass

from tasks.engine.archive import FileShrank
from tasks.errors import KeepsChanging
from tasks.sources import iotdb_groups
from tasks.sources.base import Archive, Log
from tasks.sources.iotdb_groups import Group
from tasks.sources.listing import Entry, Vanished, changed, list_files, printable, reading, unreadable
from tasks.units import format_size

TRIES = 20
PAUSE = 0.05


@dataclass(frozen=True)
class Copied:
    """What a copy of a group, or of several, holds: files, their bytes, and how often a group was read again."""

    files: int = 0
    bytes: int = 0
    rereads: int = 0

    def __add__(self, other: Copied) -> Copied:
        return Copied(self.files + other.files, self.bytes + other.bytes, self.rereads + other.rereads)


def amount(files: int, size: int) -> str:
    """Return how much that is, such as ``3,918 files, 1.40 GB``."""
    return f"{files:,} {'file' if files == 1 else 'files'}, {format_size(size)}"


def list_group(group: Group) -> list[Entry]:
    """Return the files of a group in the order in which they are copied. Raises Vanished, Unreadable."""

    def left_out(name: str) -> bool:
        return name in group.skip or iotdb_groups.left_out(f"{group.member}/{name}")

    entries = list_files(group.path, group.part.node, deep=group.deep, left_out=left_out)
    return sorted(entries, key=lambda entry: (iotdb_groups.rank(entry.name), entry.name.replace("/", "\0")))


def copy_group(group: Group, archive: Archive, log: Log, pause: Callable[[float], None] = time.sleep) -> Copied:
    """Copy a group as it was at one moment, and return what was copied; every reading again is logged as WARN.

    A group whose directory goes away is left out with a line in the log; the caller decides what that means. Raises
    KeepsChanging after 20 attempts, Unreadable, and whatever the archive raises.
    """
    checkpoint = archive.checkpoint()
    for attempt in range(1, TRIES + 1):
        copied, steady, before = Copied(), False, []
        try:
            before = list_group(group)
            copied = _write(group, before, archive)
            steady = not changed(before, list_group(group), iotdb_groups.grows)
        except (Vanished, FileShrank):
            pass
        if attempt > 1 and before:
            log("WARN", _again(group, _size(before)))
        if steady:
            _report(group, before, log)
            return Copied(copied.files, copied.bytes, attempt - 1)
        archive.rollback(checkpoint)
        if not os.path.lexists(group.path):
            log("WARN", f"{_place(group)} went away while it was read. It is not in the copy.")
            return Copied(rereads=attempt - 1)
        # A small group can be read again many times without filling a block of the archive.
        archive.check()
        pause(PAUSE * attempt)
    raise KeepsChanging(
        f"{_place(group)} changed at each of {TRIES} attempts to read it.",
        cure="Run the task again when fewer databases and regions are created, dropped or moved.",
    )


def _size(entries: list[Entry]) -> tuple[int, int]:
    sizes = [entry.size for entry in entries if entry.kind == "file"]
    return len(sizes), sum(sizes)


def _place(group: Group) -> str:
    part = group.part
    return f"Group {printable(group.title)} ({part.role} {part.node}, {part.label})"


def _again(group: Group, size: tuple[int, int]) -> str:
    return f"{_place(group)} changed while it was read. Copied again: {amount(*size)}."


def _report(group: Group, entries: list[Entry], log: Log) -> None:
    for sentence in refusals(group, entries):
        log("WARN", sentence)


def refusals(group: Group, entries: list[Entry]) -> list[str]:
    """Return one sentence for each entry of a group that cannot be copied as it is."""
    return [
        f"Not copied: {printable(os.path.join(group.path, entry.name))} on node {group.part.node} is {entry.detail}."
        for entry in entries
        if entry.kind == "refused"
    ]


def _write(group: Group, entries: list[Entry], archive: Archive) -> Copied:
    files = size = 0
    for entry in entries:
        path = os.path.join(group.path, entry.name) if entry.name else group.path
        member = f"{group.part.node}/{group.member}/{entry.name}".rstrip("/")
        if entry.kind == "file":
            size += _write_file(group.part.node, path, member, archive)
            files += 1
        elif entry.kind != "refused":
            with reading(group.part.node, path):
                seen = os.stat(path, follow_symlinks=entry.kind == "directory")
            if entry.kind == "directory":
                archive.add_directory(member, seen)
            else:
                archive.add_symlink(member, entry.detail, seen)
    return Copied(files, size)


def _write_file(node: str, path: str, member: str, archive: Archive) -> int:
    with reading(node, path):
        # Without O_NONBLOCK a file that became a named pipe meanwhile would hold the run for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode):
            raise Vanished(path)
        archive.add_file(member, fd, seen)
        return seen.st_size
    except OSError as error:
        # The same class of error may come from the destination; then it is not about this file.
        if archive.broken:
            raise
        raise unreadable(node, path, error) from error
    finally:
        os.close(fd)
