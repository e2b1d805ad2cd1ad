"""A scratch home: the members of an archive in a directory that nobody else may read, and nothing outside of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from tasks.engine.archive import Unpacked

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Directories have to be entered and written by the server, whatever their mode was.
_OWN = 0o700


class TooMuch(ValueError):
    """An archive holds more than its own manifest counted."""


def fill(root: Path, members: Iterable[Unpacked], limit: int, tell: Callable[[int], None]) -> int:
    """Write members below ``root``, which exists, and return the bytes of their files.

    Everything belongs to the account of the console, whatever the archive says. ``tell`` hears of the bytes so far.
    Members are the safe ones of ``unpack``. Raises TooMuch above ``limit`` bytes, and OSError.
    """
    written = 0
    for member in members:
        path = root / member.name
        path.parent.mkdir(mode=_OWN, parents=True, exist_ok=True)
        if member.kind == "directory":
            path.mkdir(mode=_OWN, exist_ok=True)
        elif member.kind == "symlink":
            # A link may point to where jars were installed outside of the home; the namespace shows it read-only.
            path.symlink_to(member.target)
        else:
            written = _file(path, member, written, limit, tell)
    return written


def _file(path: Path, member: Unpacked, written: int, limit: int, tell: Callable[[int], None]) -> int:
    fd = os.open(path, _NEW, 0o600 | (member.mode & 0o100))
    with open(fd, "wb", buffering=0) as file:
        for chunk in member.chunks:
            written += len(chunk)
            if written > limit:
                raise TooMuch(f"more than {limit} bytes")
            file.write(chunk)
            tell(written)
    return written


def remove(root: Path) -> bool:
    """Remove a scratch directory with all that is in it; return False where something of it stays."""
    for _ in range(3):
        shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            return True
    return False
