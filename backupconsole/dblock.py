"""Whether one of our own processes keeps everybody else from writing to the database.

A worker that stands still in the middle of a transaction holds SQLite's lock for ever: no tick, no alarm and no page
can write any more, and the supervisor, who would have to say so, cannot either. The kernel knows who holds the lock.
PostgreSQL ends such a session by itself (``idle_in_transaction_session_timeout`` in the settings).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection

from backupconsole.processes import lock_holders
from backupconsole.workergroup import WorkerGroup

# WAL_WRITE_LOCK of SQLite's shared-memory file (sqlite.org/walformat.html, "WAL Locks").
_WRITE_LOCK_BYTE = 120


def writers() -> set[int]:
    """Return the processes of this machine that keep others from writing to the console's database (SQLite only)."""
    return writers_of(Path(settings.DATABASES["default"]["NAME"])) if connection.vendor == "sqlite" else set()


def writers_of(database: Path) -> set[int]:
    """Return the processes that are writing to a database of SQLite in WAL mode."""
    return lock_holders(Path(f"{database}-shm"), _WRITE_LOCK_BYTE)


class LockWatch:
    """Judges one group while the database cannot be used; durations are monotonic."""

    def __init__(self, group: WorkerGroup, find: Callable[[], set[int]] = writers) -> None:
        self._group = group
        self._find = find
        self._held: dict[int, float] = {}

    def usable(self) -> None:
        """Take note that the database can be used."""
        self._held.clear()

    def look(self) -> str:
        """Return why the group has to be replaced: one of its processes was found holding the lock at each look.

        That has to last twice ``STALL_SECONDS``: a machine may be slow.
        """
        now = time.monotonic()
        holders = self._find() & self._group.members()
        self._held = {pid: self._held.get(pid, now) for pid in holders}
        for pid, since in self._held.items():
            if now - since >= 2 * settings.STALL_SECONDS:
                return f"process {pid} has kept the database locked for {now - since:.0f} s"
        return ""
