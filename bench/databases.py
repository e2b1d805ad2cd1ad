"""The filled databases of the benchmarks ``web`` and ``due``: kept in ``var/bench``, and made anew when stale."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from . import postgresql
from .imagined import Size
from .registry import Options

ROOT = Path(__file__).resolve().parent.parent
FULL = Size()
QUICK_BY = 20
KINDS = ("sqlite", "postgresql")
# The runs of the last 24 hours are to be those of the last 24 hours.
_STALE_SECONDS = 12 * 3600
# What decides how the rows look.
_SOURCES = ("imagined.py", "filling.py", "filling_audit.py", "filling_days.py", "bulk.py")


class Lacking(Exception):
    """The database cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Database:
    """A filled database: ``environment`` lets a process of the console use it, ``server`` is its own one."""

    kind: str
    title: str
    size: Size
    environment: dict[str, str]
    server: int | None = None

    def servers(self) -> list[psutil.Process]:
        """Return the process of the database server, where there is one."""
        return [] if self.server is None else [psutil.Process(self.server)]

    def run(self, module: str, *arguments: str) -> dict[str, Any]:
        """Run a module of the bench as a process of the console and return what it prints, which is JSON.

        Raises RuntimeError with what it said where it fails.
        """
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, input="", capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{module} failed on {self.title}: {done.stderr.strip()[-1500:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def chosen(options: Options) -> tuple[str, ...]:
    """Return the kinds of databases that the command line names."""
    return KINDS if options.database == "both" else (options.database,)


def size_of(options: Options) -> Size:
    """Return how much the databases hold."""
    return FULL.smaller(QUICK_BY) if options.quick else FULL


@contextmanager
def filled(kind: str, options: Options) -> Iterator[Database]:
    """Give a filled database that runs; raise ``Lacking``."""
    size = size_of(options)
    name = f"{kind}-{size.tasks}"
    home = (options.directory or ROOT / "var" / "bench") / name
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if kind == "sqlite":
        yield _up_to_date(kind, "SQLite", size, home, f"sqlite:///{home / 'console.sqlite3'}", options)
        return
    # Its account may not enter directories of other people, so that it has a place of its own.
    where = options.directory or Path(tempfile.gettempdir())
    try:
        with postgresql.running(where / f"backup-console-bench-{os.geteuid()}-{name}") as (url, server):
            database = _up_to_date(kind, postgresql.version(), size, home, url, options)
            yield replace(database, server=server)
    except postgresql.NoPostgreSQL as lack:
        raise Lacking(str(lack)) from lack


def _up_to_date(kind: str, title: str, size: Size, home: Path, url: str, options: Options) -> Database:
    environment = os.environ | {
        "DATA_DIR": str(home),
        "DATABASE_URL": url,
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "backupconsole.settings",
    }
    for name in ("HTTPS", "DEBUG", "TRUSTED_PROXY", "SECRETS_KEYS", "SECRET_KEY"):
        environment.pop(name, None)
    database = Database(kind, title, size, environment)
    stamp, key = home / "filled.json", _key(size)
    known = json.loads(stamp.read_text()) if stamp.exists() else {}
    if known.get("key") == key and 0 <= time.time() - known["at"] < _STALE_SECONDS:
        # Migrations that came since are made up for; where that is not possible, all is made anew.
        with suppress(RuntimeError):
            database.run("bench.fillrunner", "migrate")
            return database
    stamp.unlink(missing_ok=True)
    options.say(f"{title}: filling {size.tasks:,} tasks and {size.runs:,} runs; they are kept in {home}")
    began = time.time()
    database.run("bench.fillrunner", "fill", json.dumps(asdict(size)))
    options.say(f"{title}: filled in {time.time() - began:.0f} s")
    stamp.write_text(json.dumps({"key": key, "at": began}))
    return database


def _key(size: Size) -> str:
    """Return what the rows depend on, in short."""
    digest = hashlib.sha256(repr(size).encode())
    for name in _SOURCES:
        digest.update((ROOT / "bench" / name).read_bytes())
    return digest.hexdigest()
