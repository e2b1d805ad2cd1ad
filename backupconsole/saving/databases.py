"""How each kind of database is written into a file while it is used, and read back from it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import connection, connections

_LIMIT_SECONDS = 3600


class CannotSave(Exception):
    """The save cannot be made or read back; the text says why and what to do."""


class Database(Protocol):
    """One kind of database; ``member`` is the name of its file in a save."""

    member: str

    def write(self, path: Path) -> None:
        """Write the whole database as of one moment into ``path``, which is not there yet."""

    def is_empty(self) -> bool:
        """Tell whether nothing of a console is in the database."""

    def read(self, path: Path) -> None:
        """Make the database, which is empty, what ``path`` holds; raise ``CannotSave`` where that is damaged."""


class SQLite:
    """The database in one file."""

    member = "console.sqlite3"

    def write(self, path: Path) -> None:
        """Write it by VACUUM INTO: consistent beside writers, and without the free pages."""
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(path)])

    def is_empty(self) -> bool:
        """Tell whether the file is missing or has no tables of the console."""
        place = _sqlite_file()
        # Django would make the file by looking into it.
        if not place.is_file() or not place.stat().st_size:
            return True
        return "auth_user" not in connection.introspection.table_names()

    def read(self, path: Path) -> None:
        """Check the file, and put it in place by rename."""
        saved = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            found = str(saved.execute("PRAGMA integrity_check").fetchone()[0])
        except sqlite3.DatabaseError as error:
            found = str(error)
        finally:
            saved.close()
        if found != "ok":
            raise CannotSave(f"The database in the save is damaged: {found}.")
        connections.close_all()
        place = _sqlite_file()
        for leftover in (f"{place}-wal", f"{place}-shm"):
            Path(leftover).unlink(missing_ok=True)
        os.replace(path, place)


class PostgreSQL:
    """A database on a server, by the server's own tools."""

    member = "console.pgdump"

    def write(self, path: Path) -> None:
        """Write it by ``pg_dump`` in its custom format."""
        _run(["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={path}", *self._where()])

    def is_empty(self) -> bool:
        """Tell whether the database has no tables of the console."""
        return "auth_user" not in connection.introspection.table_names()

    def read(self, path: Path) -> None:
        """Read it by ``pg_restore`` in one transaction."""
        connections.close_all()
        _run(
            ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
            + [f"--dbname={_name()}", *self._where(name=False), str(path)]
        )

    @staticmethod
    def _where(*, name: bool = True) -> list[str]:
        place = settings.DATABASES["default"]
        flags = [("--host", "HOST"), ("--port", "PORT"), ("--username", "USER")]
        found = [f"{flag}={place[key]}" for flag, key in flags if place.get(key)]
        return [*found, f"--dbname={_name()}"] if name else found


def database() -> Database:
    """Return the kind of the console's database."""
    return SQLite() if connection.vendor == "sqlite" else PostgreSQL()


def _sqlite_file() -> Path:
    return Path(settings.DATABASES["default"]["NAME"])


def _name() -> str:
    return str(settings.DATABASES["default"]["NAME"])


def _run(command: Sequence[str]) -> None:
    """Run one of PostgreSQL's tools; the password goes by its environment, never by its arguments."""
    place: dict[str, Any] = settings.DATABASES["default"]
    environment = os.environ | {"PGPASSWORD": str(place.get("PASSWORD") or "")}
    if not place.get("PASSWORD"):
        environment.pop("PGPASSWORD")
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_SECONDS)
    except FileNotFoundError as error:
        raise CannotSave(f"{command[0]} is missing. Install it (Debian: postgresql-client).") from error
    except subprocess.TimeoutExpired as error:
        raise CannotSave(f"{command[0]} did not end within {_LIMIT_SECONDS} s.") from error
    if done.returncode:
        raise CannotSave(f"{command[0]} failed: {done.stderr.strip()[-2000:] or done.returncode}")
