"""What is asked of an SFTP session about names: one function a request. They raise ``Refusal`` and ``Lost``."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from storage.base import Space
from storage.connection import Lost
from storage.sftp.wire import Attributes, Code, Packet, Refusal, Wire, path_bytes, string

READ = struct.pack(">I", 1)
# Flags of OPEN: WRITE, CREAT, EXCL. The last one refuses a name that is taken, a symbolic link too.
CREATE = struct.pack(">I", 0x02 | 0x08 | 0x20)
NO_ATTRIBUTES = struct.pack(">I", 0)
FSYNC = "fsync@openssh.com"
_STATVFS = "statvfs@openssh.com"
_AHEAD = 4


def mode_attributes(mode: int) -> bytes:
    """Return permission bits as they are sent."""
    return struct.pack(">II", 4, mode)


def attributes(wire: Wire, path: str, *, follow: bool = False) -> Attributes:
    """Return what the server tells of a name itself, or with ``follow`` of what it stands for."""
    kind = Packet.STAT if follow else Packet.LSTAT
    return wire.ask(kind, path_bytes(path), expect=Packet.ATTRS).attributes()


def open_file(wire: Wire, path: str, flags: bytes = READ, attributes: bytes = NO_ATTRIBUTES) -> bytes:
    """Return the handle of an opened file."""
    return wire.ask(Packet.OPEN, path_bytes(path), flags, attributes, expect=Packet.HANDLE).string()


def close_handle(wire: Wire, handle: bytes) -> None:
    """Give a handle back; nothing more is to be learnt by it."""
    with suppress(Refusal, Lost):
        wire.ask(Packet.CLOSE, string(handle))


def listing(wire: Wire, path: str) -> Iterator[tuple[str, Attributes]]:
    """Yield the names in a directory, ``.`` and ``..`` where the server tells them, with what each itself is."""
    handle = wire.ask(Packet.OPENDIR, path_bytes(path), expect=Packet.HANDLE).string()
    pending: list[int] = []
    try:
        while True:
            while len(pending) < _AHEAD:
                pending.append(wire.send(Packet.READDIR, string(handle)))
            try:
                answer = wire.take(pending.pop(0), Packet.NAME)
            except Refusal as refusal:
                if refusal.code == Code.EOF:
                    return
                raise
            for _ in range(answer.number()):
                name = answer.string().decode("utf-8", "surrogateescape")
                answer.string()
                yield name, answer.attributes()
    finally:
        for number in pending:
            wire.forget(number)
        close_handle(wire, handle)


def real_path(wire: Wire, path: str) -> str:
    """Return a path as the server resolves it."""
    return _one_name(wire, Packet.REALPATH, path)


def read_link(wire: Wire, path: str) -> str:
    """Return where a link points to."""
    return _one_name(wire, Packet.READLINK, path)


def make_link(wire: Wire, target: str, path: str) -> None:
    """Make a link. The target comes first: OpenSSH's order, which other servers took over, not that of the draft."""
    wire.ask(Packet.SYMLINK, path_bytes(target), path_bytes(path))


def make_directory(wire: Wire, path: str, mode: int) -> None:
    """Make a directory."""
    wire.ask(Packet.MKDIR, path_bytes(path), mode_attributes(mode))


def set_owner(wire: Wire, path: str, uid: int, gid: int) -> None:
    """Set the owner of what a name stands for."""
    wire.ask(Packet.SETSTAT, path_bytes(path), struct.pack(">III", 2, uid, gid))


def set_mode_and_time(wire: Wire, path: str, mode: int, mtime: int) -> None:
    """Set permission bits and the time of the last change, in seconds since 1970, of what a name stands for."""
    held = min(max(mtime, 0), 0xFFFFFFFF)
    wire.ask(Packet.SETSTAT, path_bytes(path), struct.pack(">IIII", 4 | 8, mode, held, held))


def rename(wire: Wire, old: str, new: str) -> None:
    """Rename; OpenSSH refuses a name that is taken, not every server of version 3 does."""
    wire.ask(Packet.RENAME, path_bytes(old), path_bytes(new))


def sync_directory(wire: Wire, path: str) -> None:
    """Bring the names in a directory to the disk where the server can: OpenSSH lets a directory be opened."""
    if FSYNC not in wire.extensions:
        return
    with suppress(Refusal):
        handle = open_file(wire, path)
        with suppress(Refusal):
            wire.extended(FSYNC, string(handle), expect=Packet.STATUS)
        wire.ask(Packet.CLOSE, string(handle))


def space(wire: Wire, path: str) -> Space | None:
    """Return the room on the disk of a path, as far as an ordinary account may use it; None where it is not told."""
    try:
        answer = wire.extended(_STATVFS, path_bytes(path))
    except Refusal as refusal:
        if refusal.code == Code.UNSUPPORTED:
            return None
        raise
    _, unit, blocks, _, available, files, _, free_files = (answer.long() for _ in range(8))
    # A file system without a free inode takes no file; those that count none report zero of zero.
    if files and not free_files:
        available = 0
    return Space(free=available * unit, total=blocks * unit)


def _one_name(wire: Wire, kind: Packet, path: str) -> str:
    answer = wire.ask(kind, path_bytes(path), expect=Packet.NAME)
    if answer.number() != 1:
        raise Lost
    return answer.string().decode("utf-8", "surrogateescape")
