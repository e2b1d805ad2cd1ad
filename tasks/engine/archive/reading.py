"""What may become a member, and how its bytes are read: exactly as many as promised, or an error that names it."""

from __future__ import annotations

import os
from collections.abc import Callable

from . import tar
from .manifest import MANIFEST_NAME

_PART = 1 << 18


class FileShrank(Exception):
    """A file ended before the size it had when it was opened; the archive is as it was before it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} became shorter while it was read")
        self.name = name


def read_next(name: str, read: Callable[[int], bytes], data: memoryview, offset: int) -> None:
    """Fill ``data`` with what comes next of a stream, after ``offset`` bytes; OSError names the member."""
    got = 0
    try:
        while got < len(data):
            part = read(min(len(data) - got, _PART))
            if not part:
                raise FileShrank(name)
            data[got : got + len(part)] = part
            got += len(part)
    except OSError as error:
        error.filename = name
        raise


def read_at(name: str, fd: int, data: memoryview, offset: int) -> None:
    """Fill ``data`` from ``offset`` of the file; OSError names the member."""
    try:
        got = os.preadv(fd, [data], offset)
        while got < len(data):
            more = os.preadv(fd, [data[got:]], offset + got)
            if not more:
                raise FileShrank(name)
            got += more
    except OSError as error:
        error.filename = name
        raise


def member_name(name: str) -> bytes:
    """Return the bytes of a member name; ValueError where it could lead out of the place it is unpacked to."""
    if not name or name[0] == "/" or name[-1] == "/" or name == MANIFEST_NAME or "\0" in name:
        raise ValueError(f"{name!r} cannot be the name of a member")
    if (name[0] == "." or "/." in name or "//" in name) and not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"{name!r} cannot be the name of a member")
    return tar.encode_name(name)
