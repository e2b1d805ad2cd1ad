"""What a rehearsal may see and touch, made from inside fresh namespaces: everything to read, its scratch to write.

The order matters: what is hidden is hidden first, then all that is left becomes read-only. The rights to undo that are
given up by every server before it starts, and by the first process once they have.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from tasks.rehearsal import system

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class NotIsolated(Exception):
    """The kernel did not do something that isolation needs; the text says what."""


def isolate(scratch: str, names: Iterable[tuple[str, str]], hidden: Iterable[str], keep: list[str]) -> None:
    """Close this process into its scratch directory; to be called once, in namespaces of its own.

    ``names`` are pairs of a host name and its address. ``hidden`` directories are empty afterwards, but for what of
    ``keep`` lies below them. What was done can be undone until ``system.give_up_rights``. Raises NotIsolated.
    """
    try:
        _hosts(os.path.join(scratch, "_hosts"), names)
        for directory in sorted(set(map(os.path.realpath, hidden)), key=len, reverse=True):
            _hide(directory, [scratch, *keep])
        _hide("/dev", list(_DEVICES))
        _writable(scratch)
        _fresh_proc()
        _read_only({scratch})
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise NotIsolated(f"{os.strerror(error.errno or errno.EIO)}{where}") from error
    _prove(scratch)


def _hosts(path: str, names: Iterable[tuple[str, str]]) -> None:
    """Let host names resolve here as they are given, and nothing else."""
    lines = [f"{address} {name}" for name, address in names]
    lines += ["127.0.0.1 localhost", "::1 localhost", f"127.0.0.1 {os.uname().nodename}"]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    system.mount(path, "/etc/hosts", flags=system.MS_BIND)


def _hide(directory: str, keep: list[str]) -> None:
    """Put an empty file system over a directory; what is to stay of it is shown again at its place."""
    if not os.path.isdir(directory) or directory in keep:
        return
    inner = [place for place in keep if place.startswith(directory + "/") and os.path.exists(place)]
    handles = [(place, os.open(place, os.O_PATH | os.O_CLOEXEC)) for place in inner]
    system.mount("tmpfs", directory, "tmpfs", system.MS_NOSUID, "size=64k,mode=755")
    for place, handle in handles:
        _put(place, stat.S_ISDIR(os.fstat(handle).st_mode))
        system.mount(f"/proc/self/fd/{handle}", place, flags=system.MS_BIND | system.MS_REC)
        os.close(handle)


def _put(place: str, directory: bool) -> None:
    os.makedirs(place if directory else os.path.dirname(place), mode=0o755, exist_ok=True)
    if not directory:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o600))


def _writable(scratch: str) -> None:
    """Make the scratch directory a mount of its own, which can stay writable."""
    system.mount(scratch, scratch, flags=system.MS_BIND)


def _fresh_proc() -> None:
    """Show this PID namespace only. Where a container forbids that, the one that is there becomes read-only below."""
    with suppress(PermissionError):
        flags = system.MS_NOSUID | system.MS_NODEV | system.MS_NOEXEC | system.MS_RDONLY
        system.mount("proc", "/proc", "proc", flags)


def _read_only(but: set[str]) -> None:
    for place, flags, already in system.mounts():
        if place in but or already:
            continue
        try:
            system.mount("", place, flags=system.MS_REMOUNT | system.MS_BIND | system.MS_RDONLY | flags)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR, errno.EACCES):
                raise
            # Another mount lies over it or over a directory above: nobody comes there any more.


def _prove(scratch: str) -> None:
    """Look that it is so, and do not trust that it was done."""
    top = os.statvfs("/").f_flag
    if not top & os.ST_RDONLY or os.statvfs(scratch).f_flag & os.ST_RDONLY:
        raise NotIsolated("the file systems could not be made read-only")
    for place, _, read_only in system.mounts():
        with suppress(OSError):
            if not read_only and place != scratch and not os.statvfs(place).f_flag & os.ST_RDONLY:
                raise NotIsolated(f"{place} could not be made read-only")
