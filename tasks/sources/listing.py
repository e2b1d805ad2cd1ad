"""Lists of the files of a directory that others are writing to, and whether two of them tell of a change."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from tasks.errors import Unreadable

Kind = Literal["directory", "file", "link", "refused"]
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.ENXIO})
_SPECIAL = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


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


@contextmanager
def reading(node: str, path: str) -> Iterator[None]:
    """Translate the errors of reading ``path``: Vanished where it went away, else Unreadable with the cure."""
    try:
        yield
    except OSError as error:
        if error.errno in _GONE:
            raise Vanished(path) from error
        raise unreadable(node, path, error) from error


def unreadable(node: str, path: str, error: OSError) -> Unreadable:
    """Return the error that names the path, the node and the account, and says what to do."""
    shown = printable(path)
    if isinstance(error, PermissionError):
        account = _account()
        return Unreadable(
            f"{shown} on node {node} cannot be read: the account {account} of the console has no permission.",
            cure=f"Give {account} read permission there, for example through the group that owns the IoTDB home.",
        )
    return Unreadable(
        f"{shown} on node {node} cannot be read: {os.strerror(error.errno or errno.EIO)}.",
        cure="Check the file system and the disk of that directory.",
    )


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"with the number {os.geteuid()}"


def list_files(
    root: str, node: str, *, deep: bool = True, left_out: Callable[[str], bool] = lambda name: False
) -> list[Entry]:
    """Return ``root`` and what is below it, in no particular order; without ``deep`` no directories but ``root``.

    ``root`` itself may be a link and is followed; links below it are not. ``left_out`` is asked with names relative
    to ``root``. Raises Vanished where something goes away meanwhile, and Unreadable: a directory that cannot be
    listed is never taken for an empty one.
    """
    with reading(node, root):
        top = os.stat(root)
    entries = [Entry("", "directory", 0, top.st_mtime_ns, top.st_ino)]
    pending = [""]
    while pending:
        directory = pending.pop()
        for child in _scan(root, directory, node):
            name = f"{directory}/{child.name}" if directory else child.name
            with reading(node, child.path):
                if left_out(name) or (not deep and child.is_dir()):
                    continue
                entry = _entry(root, name, child)
            entries.append(entry)
            if entry.kind == "directory":
                pending.append(name)
    return entries


def _scan(root: str, directory: str, node: str) -> list[os.DirEntry[str]]:
    path = os.path.join(root, directory) if directory else root
    with reading(node, path), os.scandir(path) as children:
        return list(children)


def _entry(root: str, name: str, child: os.DirEntry[str]) -> Entry:
    seen = child.stat(follow_symlinks=False)
    kind = stat.S_IFMT(seen.st_mode)
    if kind == stat.S_IFDIR:
        return Entry(name, "directory", 0, seen.st_mtime_ns, seen.st_ino)
    if kind == stat.S_IFREG:
        return Entry(name, "file", seen.st_size, seen.st_mtime_ns, seen.st_ino)
    if kind == stat.S_IFLNK:
        target = _inner_target(root, child.path)
        if target is not None:
            return Entry(name, "link", 0, seen.st_mtime_ns, seen.st_ino, target)
        return Entry(name, "refused", 0, seen.st_mtime_ns, seen.st_ino, "a link that leads out of its directory")
    return Entry(name, "refused", 0, seen.st_mtime_ns, seen.st_ino, _SPECIAL.get(kind, "of an unknown kind"))


def _inner_target(root: str, link: str) -> str | None:
    """Return where a link leads, relative to its own directory, or None where that is not below ``root``.

    An absolute target becomes relative: a copy unpacked elsewhere must not point back here.
    """
    target = os.readlink(link)
    top, place = os.path.realpath(root), os.path.realpath(link)
    if os.path.commonpath([top, place]) != top or place == top:
        return None
    if not os.path.isabs(target):
        return target
    return os.path.relpath(place, os.path.realpath(os.path.dirname(link)))


def changed(before: list[Entry], after: list[Entry], grows: Callable[[str], bool]) -> bool:
    """Whether a directory changed between two lists in a way that makes what was read of it doubtful.

    Growth of a file for which ``grows`` is true does not count; its shrinking, renaming or replacement does. Times of
    directories do not count either: every change that matters shows in names.
    """
    if len(before) != len(after):
        return True
    known = {entry.name: entry for entry in before}
    return any(_differs(known.get(entry.name), entry, grows) for entry in after)


def _differs(old: Entry | None, new: Entry, grows: Callable[[str], bool]) -> bool:
    if old is None or old.kind != new.kind:
        return True
    if new.kind == "directory":
        return False
    if new.kind == "file" and grows(new.name):
        return old.inode != new.inode or new.size < old.size
    return old != new
