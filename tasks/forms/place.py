"""Where LocalDir keeps the files of a task, and how much room is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from storage.base import Space


@dataclass(frozen=True)
class LocalPlace:
    """A directory of this machine, the room on its disk in bytes where that can be told, and the machine's name."""

    path: str
    space: Space | None
    host: str


def local_place(directory: str = "") -> LocalPlace:
    """Return where the files of a task with this directory lie; nothing is made on the disk."""
    root = Path(settings.DATA_STORAGE_PATH) / "LocalBackup"
    return LocalPlace(f"{root / directory}/", _room(root), str(settings.HOST_NAME))


def _room(path: Path) -> Space | None:
    """Return the room on the disk that holds ``path`` or would hold it."""
    for candidate in (path, *path.parents):
        try:
            figures = os.statvfs(candidate)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return Space(figures.f_bavail * figures.f_frsize, figures.f_blocks * figures.f_frsize)
    return None
