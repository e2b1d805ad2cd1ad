"""Lists of the files of a directory that others are writing to, and whether two of them tell of a change."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from tasks.errors import Unreadable
from tasks.hosts.base import FileStat, Host

Kind = Literal["directory", "file", "link", "refused"]
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.ENXIO})
_SPECIAL = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


YOUNG = 2.0
"""Seconds for which a file is young."""
_YOUNG_NS = int(YOUNG * 1_000_000_000)


class Vanished(Exception):
    """A file or directory went away, or became something else, while it was looked at."""


class Entry(NamedTuple):
    """One name below a directory; ``name`` is relative to it and empty for the directory itself.

    ``detail`` is the target of a link, as it has to be stored, or the reason why an entry is refused. Times are in
    nanoseconds. Few fields, as a directory may hold 100,000 files.
    """

    name: str
    kind: Kind
    size: int
    mtime: int
    inode: int
    detail: str = ""


def printable(text: str) -> str:
    """Return a name as a message may hold it: bytes that are not UTF-8 and control characters are escaped."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in shown)


def is_directory(host: Host, path: str) -> bool:
    """Unlike os.path.isdir, a directory that may not be looked at is an error and not an absence. Raises OSError."""
    try:
        return stat.S_ISDIR(host.stat(path).mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def leads_to_directory(host: Host, path: str, seen: FileStat) -> bool:
    """Whether a name of a directory, known as ``seen``, is a directory or a link to one. Raises OSError."""
    return is_directory(host, path) if stat.S_ISLNK(seen.mode) else stat.S_ISDIR(seen.mode)


@contextmanager
def reading(host: Host, node: str, path: str) -> Iterator[None]:
    """Translate the errors of reading ``path``: Vanished where it went away, else Unreadable with the cure."""
    try:
        yield
    except OSError as error:
        if error.errno in _GONE:
            raise Vanished(path) from error
        raise unreadable(host, node, path, error) from error


def unreadable(host: Host, node: str, path: str, error: OSError) -> Unreadable:
    """Return the error that names the path, the node and the account, and says what to do."""
    shown = printable(path)
    if isinstance(error, PermissionError):
        name = host.account.split(" ", 1)[0]
        by_sudo = "" if host.spec.reach == "local" else ", or give the node its IoTDB account"
        return Unreadable(
            f"{shown} on node {node} cannot be read: the account {host.account} has no permission.",
            cure=f"Give {name} read permission there, for example through the group that owns the IoTDB home{by_sudo}.",
        )
    return Unreadable(
        f"{shown} on node {node} cannot be read: {os.strerror(error.errno or errno.EIO)}.",
        cure="Check the file system and the disk of that directory.",
    )


def list_files(
    host: Host, root: str, node: str, *, deep: bool = True, left_out: Callable[[str], bool] = lambda name: False
) -> list[Entry]:
    """Return ``root`` and what is below it, in no particular order; without ``deep`` no directories but ``root``.

    ``root`` itself may be a link and is followed; links below it are not. ``left_out`` is asked with names relative
    to ``root``. Raises Vanished where something goes away meanwhile, and Unreadable: a directory that cannot be
    listed is never taken for an empty one.
    """
    with reading(host, node, root):
        top = host.stat(root)
    entries = [Entry("", "directory", 0, top.mtime_ns, top.inode)]
    pending = [""]
    while pending:
        directory = pending.pop()
        place = os.path.join(root, directory) if directory else root
        with reading(host, node, place):
            children = host.scan(place)
        for child, seen in children:
            name = f"{directory}/{child}" if directory else child
            path = os.path.join(place, child)
            with reading(host, node, path):
                if left_out(name) or (not deep and leads_to_directory(host, path, seen)):
                    continue
                entry = _entry(host, root, path, name, seen)
            entries.append(entry)
            if entry.kind == "directory":
                pending.append(name)
    return entries


def _entry(host: Host, root: str, path: str, name: str, seen: FileStat) -> Entry:
    kind = stat.S_IFMT(seen.mode)
    if kind == stat.S_IFDIR:
        return Entry(name, "directory", 0, seen.mtime_ns, seen.inode)
    if kind == stat.S_IFREG:
        return Entry(name, "file", seen.size, seen.mtime_ns, seen.inode)
    if kind == stat.S_IFLNK:
        target = _inner_target(host, root, path)
        if target is not None:
            return Entry(name, "link", 0, seen.mtime_ns, seen.inode, target)
        return Entry(name, "refused", 0, seen.mtime_ns, seen.inode, "a link that leads out of its directory")
    return Entry(name, "refused", 0, seen.mtime_ns, seen.inode, _SPECIAL.get(kind, "of an unknown kind"))


def _inner_target(host: Host, root: str, link: str) -> str | None:
    """Return where a link leads, relative to its own directory, or None where that is not below ``root``.

    An absolute target becomes relative: a copy unpacked elsewhere must not point back here.
    """
    target = host.readlink(link)
    top, place = host.realpath(root), host.realpath(link)
    if os.path.commonpath([top, place]) != top or place == top:
        return None
    if not os.path.isabs(target):
        return target
    return os.path.relpath(place, host.realpath(os.path.dirname(link)))


def changed(before: list[Entry], after: list[Entry], grows: Callable[[str], bool]) -> bool:
    """Whether a directory changed between two lists in a way that makes what was read of it doubtful.

    Growth of a file for which ``grows`` is true does not count; its shrinking, renaming or replacement does. Times of
    directories do not count either: every change that matters shows in names.
    """
    if len(before) != len(after):
        return True
    known = {entry.name: entry for entry in before}
    return any(_differs(known.get(entry.name), entry, grows) for entry in after)


def doubt(entries: list[Entry], moment: float, grows: Callable[[str], bool]) -> float:
    """Return for how many seconds a list whose times are in whole seconds is in doubt, 0 where it is not.

    ``moment`` is when the list was begun, in seconds since 1970 by the clock of the machine. A file that was written
    within the two seconds around it may be written again within the second that its time names, at the same size, and
    no later list would tell. The doubt ends when the last such file is old enough. Files for which ``grows`` is true
    do not count. Two seconds: one that the time is rounded down by, and one for clocks that are not quite equal.
    """
    young = (
        entry.mtime / 1_000_000_000
        for entry in entries
        if entry.kind == "file" and not grows(entry.name) and abs(entry.mtime - moment * 1_000_000_000) <= _YOUNG_NS
    )
    return max((written + YOUNG - moment for written in young), default=0.0)


def _differs(old: Entry | None, new: Entry, grows: Callable[[str], bool]) -> bool:
    if old is None or old.kind != new.kind:
        return True
    if new.kind == "directory":
        return False
    if new.kind == "file" and grows(new.name):
        return old.inode != new.inode or new.size < old.size
    return old != new
