"""A database in a file, for tests in which several threads or processes use it at once, as the console does.

With PostgreSQL (``DATABASE_URL``) the test database is one that all can use already, and nothing is copied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, connections


def copy_test_database(path: Path) -> None:
    """Write the tables and rows of the test database, as they are now, into the file ``path`` (WAL)."""
    if connection.vendor != "sqlite":
        return
    connection.ensure_connection()
    target = sqlite3.connect(path)
    connection.connection.backup(target)
    target.execute("PRAGMA journal_mode=WAL")
    target.close()


@contextmanager
def using_file_database(path: Path) -> Iterator[None]:
    """Let everything in this process, threads that start now included, use the database in ``path``."""
    if connection.vendor != "sqlite":
        yield
        return
    original = connections["default"]
    settings = connections.databases["default"]
    name = settings["NAME"]
    settings["NAME"] = str(path)
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = original
        settings["NAME"] = name
