"""Directories of this machine in which no other account can exchange what is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from storage.errors import PermissionDenied


def require_ours(root: Path, folder: Path, *, owned: bool) -> None:
    """Refuse ``folder``, right below ``root``, where another account of this machine could exchange files.

    It may have been laid out by somebody before the console came, where everybody may write to the one above it.
    ``owned`` tells that it has to belong to the account of the console, or to root. Raises ``PermissionDenied`` and
    ``OSError``.
    """
    above, here = root.stat(), folder.lstat()
    foreign = owned and here.st_uid not in (os.geteuid(), 0)
    if not stat.S_ISDIR(here.st_mode) or here.st_mode & stat.S_IWOTH or foreign:
        raise PermissionDenied(
            f"{folder} is a link, belongs to another account, or lets everybody write: files are not safe there.",
            cure="Find out who made it, move it away, and run the task again.",
        )
    if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
        raise PermissionDenied(
            f"Every account of this machine may write to {root}: files are not safe there.",
            cure=f"Take that right away: chmod o-w {root}.",
        )


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk; raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
