"""Writing and reading a save: a tar.gz with the database, the keys and a page that says what it is."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from backupconsole.env import env_str
from backupconsole.saving.databases import CannotSave, database

FORMAT = 1
FACTS = "save.json"
# Made by the console where the environment gives none; without them no stored password opens.
KEYS = ("secret-key", "secrets-key")
_NAME = re.compile(r"backup-console_\d{14}\.tar\.gz")


def save(directory: Path, now: datetime, keep: int = 0) -> Path:
    """Write a save into ``directory``, made where it is missing, and return its path; mode 0600, whole or not there.

    ``keep``: of the saves in ``directory`` so many of the newest stay; 0 keeps all. Other files are never touched.
    Raises ``CannotSave``.
    """
    name = f"backup-console_{now:%Y%m%d%H%M%S}.tar.gz"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".save-", dir=directory) as scratch:
            _fill(Path(scratch), name, now)
            os.replace(Path(scratch) / name, directory / name)
        _sync(directory)
    except OSError as error:
        raise CannotSave(f"{directory}: {error.strerror or error}.") from error
    if keep:
        # Their names sort as their times do.
        for old in sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))[:-keep]:
            old.unlink()
    return directory / name


def _fill(scratch: Path, name: str, now: datetime) -> None:
    kind = database()
    kind.write(scratch / kind.member)
    keys = [key for key in KEYS if (settings.DATA_DIR / key).is_file()]
    facts = {
        "format": FORMAT,
        "saved_at": now.isoformat(timespec="seconds"),
        "host": settings.HOST_NAME,
        "database": kind.member,
        "keys": keys,
        "keys_elsewhere": [name for name in ("SECRET_KEY", "SECRETS_KEYS") if env_str(name)],
        "migrations": _migrations(),
    }
    (scratch / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    descriptor = os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
            for source in (scratch / FACTS, scratch / kind.member, *(settings.DATA_DIR / key for key in keys)):
                tar.add(source, arcname=source.name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def _migrations() -> list[str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def load(path: Path, now: datetime) -> dict[str, Any]:
    """Make the console's database and keys what the save ``path`` holds, and return its facts.

    Nothing is changed before the whole save was read. Keys that are there and differ are kept under another name.
    Raises ``CannotSave`` where the database has a console in it already, or the save is of another kind of database,
    of a newer console, or damaged.
    """
    kind = database()
    if not kind.is_empty():
        raise CannotSave(
            "The database has a console in it already. Give an empty DATA_DIR (or an empty database by DATABASE_URL): "
            "nothing is ever written over."
        )
    with tempfile.TemporaryDirectory(prefix=".load-", dir=settings.DATA_DIR) as scratch:
        facts = _unpack(path, Path(scratch), kind.member)
        _refuse_newer(facts)
        kind.read(Path(scratch) / kind.member)
        _place_keys(Path(scratch), facts["keys"], now)
    return facts


def _unpack(path: Path, scratch: Path, member: str) -> dict[str, Any]:
    try:
        with tarfile.open(path, "r:gz") as tar:
            for each in tar:
                # Plain files of known names only: a save holds nothing else (and Debian 12 has no extraction filter).
                if each.isfile() and each.name in (FACTS, member, *KEYS):
                    tar.extract(each, scratch)
        facts = json.loads((scratch / FACTS).read_text(encoding="utf-8"))
    except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise CannotSave(f"{path} cannot be read as a save of a console: {error}") from error
    if facts.get("database") != member:
        raise CannotSave(f"The save holds {facts.get('database')}; this console is set to use {member}.")
    missing = [name for name in (member, *facts.get("keys", ())) if not (scratch / name).is_file()]
    if facts.get("format") != FORMAT or missing:
        raise CannotSave(f"{path} is no whole save of a console: {', '.join(missing) or 'another format'}.")
    return dict(facts)


def _refuse_newer(facts: dict[str, Any]) -> None:
    from django.db.migrations.loader import MigrationLoader

    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(facts["migrations"]) - known):
        raise CannotSave(f"The save is of a newer console (it knows {newer[-1]}). Install that release first.")


def _place_keys(scratch: Path, keys: list[str], now: datetime) -> None:
    """Put the keys of the save in place; one that is there and differs is moved aside, never lost."""
    for key in keys:
        place = settings.DATA_DIR / key
        if place.is_file() and place.read_bytes() != (scratch / key).read_bytes():
            place.rename(place.with_name(f"{key}.before-{now:%Y%m%d%H%M%S}"))
        descriptor = os.open(scratch / key, os.O_RDONLY)
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
        os.close(descriptor)
        os.replace(scratch / key, place)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
