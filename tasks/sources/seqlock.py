"""Copy a group of files that others may be writing to: read it until it did not change while it was read.

The list of the group (names, sizes, times, inodes) is taken before and after. Where the two differ, the archive goes
back to where it was and the group is read again, after a pause that grows.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tasks.engine.archive import Attributes, FileShrank
from tasks.errors import KeepsChanging
from tasks.hosts.base import FileStat, Host, HostFile
from tasks.sources import iotdb_groups
from tasks.sources.base import Archive, Log
from tasks.sources.iotdb_groups import Group
from tasks.sources.listing import Entry, Vanished, changed, doubt, list_files, printable, reading, unreadable
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


def list_group(host: Host, group: Group) -> list[Entry]:
    """Return the files of a group in the order in which they are copied. Raises Vanished, Unreadable."""

    def left_out(name: str) -> bool:
        return name in group.skip or iotdb_groups.left_out(f"{group.member}/{name}")

    entries = list_files(host, group.path, group.part.node, deep=group.deep, left_out=left_out)
    return sorted(entries, key=lambda entry: (iotdb_groups.rank(entry.name), entry.name.replace("/", "\0")))


def copy_group(
    host: Host, group: Group, archive: Archive, log: Log, pause: Callable[[float], None] = time.sleep
) -> Copied:
    """Copy a group as it was at one moment, and return what was copied; every reading again is logged as WARN.

    Where times are in whole seconds, a group with files that were just written is not read before their times would
    show the next change (``doubt``). A group whose directory goes away is left out with a line in the log; the caller
    decides what that means. Raises KeepsChanging after 20 attempts, Unreadable, and whatever host or archive raise.
    """
    checkpoint = archive.checkpoint()
    rereads = 0
    for attempt in range(1, TRIES + 1):
        before, waiting = _listed(host, group)
        if not waiting:
            copied, steady = _attempt(host, group, before, archive)
            if rereads and before:
                log("WARN", _again(group, _size(before)))
            if steady:
                _report(group, before, log)
                return Copied(copied.files, copied.bytes, rereads)
            rereads += 1
            archive.rollback(checkpoint)
            if is_gone(host, group):
                log("WARN", f"{_place(group)} went away while it was read. It is not in the copy.")
                return Copied(rereads=rereads - 1)
        # A small group can be read again many times without filling a block of the archive.
        archive.check()
        pause(max(PAUSE * attempt, waiting))
    raise KeepsChanging(
        f"{_place(group)} changed at each of {TRIES} attempts to read it.",
        cure="Run the task again when fewer databases and regions are created, dropped or moved.",
    )


def _listed(host: Host, group: Group) -> tuple[list[Entry], float]:
    """Return the files of a group, none where they go away meanwhile, and how long to wait before they are read."""
    moment = 0.0 if host.exact_times else host.now()
    try:
        entries = list_group(host, group)
    except Vanished:
        return [], 0.0
    return entries, 0.0 if host.exact_times else doubt(entries, moment, iotdb_groups.grows)


def _attempt(host: Host, group: Group, before: list[Entry], archive: Archive) -> tuple[Copied, bool]:
    """Read what was listed, and return what was copied, and whether the group held still meanwhile."""
    # The list has the group itself at least.
    if before:
        with suppress(Vanished, FileShrank):
            copied = _write(host, group, before, archive)
            return copied, not changed(before, list_group(host, group), iotdb_groups.grows)
    return Copied(), False


def is_gone(host: Host, group: Group) -> bool:
    """Whether the directory of a group is not there any more."""
    try:
        with reading(host, group.part.node, group.path):
            host.lstat(group.path)
    except Vanished:
        return True
    return False


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


def _write(host: Host, group: Group, entries: list[Entry], archive: Archive) -> Copied:
    files = size = 0
    opened = host.opened(os.path.join(group.path, entry.name) for entry in entries if entry.kind == "file")
    for entry in entries:
        path = os.path.join(group.path, entry.name) if entry.name else group.path
        member = f"{group.part.node}/{group.member}/{entry.name}".rstrip("/")
        if entry.kind == "file":
            with reading(host, group.part.node, path):
                file = next(opened)
            size += _write_file(host, group.part.node, path, member, file, archive)
            files += 1
        elif entry.kind == "directory":
            with reading(host, group.part.node, path):
                seen = host.stat(path)
            archive.add_directory(member, _attributes(host, seen))
        elif entry.kind == "link":
            with reading(host, group.part.node, path):
                seen = host.lstat(path)
            archive.add_symlink(member, entry.detail, _attributes(host, seen))
    return Copied(files, size)


def _write_file(host: Host, node: str, path: str, member: str, file: HostFile, archive: Archive) -> int:
    try:
        if file.fd is not None:
            return archive.add_file(member, file.fd).size
        seen = file.stat()
        return archive.add_stream(member, file.read, seen.size, _attributes(host, seen)).size
    except OSError as error:
        # The same class of error may come from the destination; then it is not about this file.
        if archive.broken:
            raise
        raise unreadable(host, node, path, error) from error
    finally:
        file.close()


def _attributes(host: Host, seen: FileStat) -> Attributes:
    seconds, nanoseconds = divmod(seen.mtime_ns, 1_000_000_000)
    mode = stat.S_IMODE(seen.mode)
    return Attributes(mode, seconds, seen.uid, seen.gid, nanoseconds, host.spec.reach != "local")
