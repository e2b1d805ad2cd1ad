"""What has to be right about the settings before the console starts; ``manage.py check`` runs these."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

Apps = Sequence[AppConfig] | None
TOKEN_LENGTH = 16


@register("queue")
def queue_limits(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The queue must not deliver a run again while the first delivery may still be worked on."""
    queue: dict[str, Any] = settings.Q_CLUSTER
    found: list[CheckMessage] = []
    if queue["retry"] <= queue["timeout"]:
        found.append(
            Error(
                f"Q_CLUSTER retry ({queue['retry']} s) is not longer than its timeout ({queue['timeout']} s): "
                "the queue would hand out a run a second time while it is worked on.",
                hint="Raise retry, or lower RUN_TIME_LIMIT_SECONDS.",
                id="console.E001",
            )
        )
    if queue["timeout"] <= settings.RUN_TIME_LIMIT:
        found.append(
            Error(
                f"Q_CLUSTER timeout ({queue['timeout']} s) is not longer than RUN_TIME_LIMIT_SECONDS "
                f"({settings.RUN_TIME_LIMIT} s): the queue would kill a run that may still end by itself.",
                hint="Raise timeout above RUN_TIME_LIMIT_SECONDS.",
                id="console.E002",
            )
        )
    return found


@register(Tags.database)
def sqlite_options(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """SQLite needs transactions that take the write lock at once, and write-ahead logging."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return []
    options = database.get("OPTIONS", {})
    if options.get("transaction_mode") == "IMMEDIATE" and "journal_mode=WAL" in options.get("init_command", ""):
        return []
    return [
        Error(
            "SQLite is used without transaction_mode IMMEDIATE and journal_mode WAL: several writers at once would "
            'end with "database is locked".',
            hint="Set both in OPTIONS of DATABASES, as backupconsole/settings.py has them.",
            id="console.E003",
        )
    ]


@register(Tags.files)
def data_directory(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The console writes its database, its key and its archives below DATA_DIR."""
    directory: Path = settings.DATA_DIR
    if directory.is_dir() and os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"DATA_DIR {directory} is no directory that the console may write to.",
            hint="Give the console's account the right to write there, or set DATA_DIR to another directory.",
            id="console.E004",
        )
    ]


@register(Tags.security)
def private_data(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Nobody but the console's account may read its keys, nor its database: sessions and password hashes are in it."""
    new_secrets_key = "put a new key first in SECRETS_KEYS and run manage.py rotatesecrets"
    cures = {
        "secret-key": "remove the file where somebody may have read it: a new key is made",
        "secrets-key": f"where somebody may have read it, {new_secrets_key}",
    }
    found: list[CheckMessage] = []
    for name, cure in cures.items():
        path = settings.DATA_DIR / name
        if mode := _mode(path) & 0o077:
            text = f"{path} has mode {_mode(path):04o}: other accounts of this machine can use the key in it."
            found.append(Warning(text, hint=f"chmod 600 {path}, and {cure}.", id="console.W001"))
    mode = _mode(settings.DATA_DIR) & 0o007
    if mode:
        text = f"Every account of this machine may enter {settings.DATA_DIR}, where the database of the console lies."
        found.append(Warning(text, hint=f"chmod o-rwx {settings.DATA_DIR}", id="console.W002"))
    return found


def _mode(path: Path) -> int:
    """Return the permission bits of ``path``; none where it is not there."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


@register(Tags.security)
def metrics_token(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Whoever has the token reads the names of all tasks and clusters."""
    if not settings.METRICS_TOKEN or len(settings.METRICS_TOKEN) >= TOKEN_LENGTH:
        return []
    return [
        Error(
            f"METRICS_TOKEN has {len(settings.METRICS_TOKEN)} characters: it can be guessed.",
            hint=f"Use {TOKEN_LENGTH} at least, for example from: openssl rand -hex 24",
            id="console.E008",
        )
    ]


@register()
def time_zone(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Schedules and the names of files are in the console's zone."""
    try:
        ZoneInfo(settings.TIME_ZONE)
    except (KeyError, OSError, ValueError):
        return [
            Error(
                f"TIME_ZONE {settings.TIME_ZONE!r} is not the name of a time zone.",
                hint="Use a name such as Europe/Berlin or UTC.",
                id="console.E005",
            )
        ]
    return []


@register()
def addresses(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Links in messages lead to the console; certificates of servers are checked against a file that is there."""
    found: list[CheckMessage] = []
    url = settings.CONSOLE_URL
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        text = f"CONSOLE_URL {url!r} is no address that a browser could open."
        found.append(Error(text, hint="Use an address such as https://backup.example.org.", id="console.E006"))
    if settings.NOTIFY_CA_FILE and not os.access(settings.NOTIFY_CA_FILE, os.R_OK):
        text = f"NOTIFY_CA_FILE {settings.NOTIFY_CA_FILE} is no file that the console may read."
        hint = "Name a PEM file with the authorities of your mail servers and webhooks, or take the setting away."
        found.append(Error(text, hint=hint, id="console.E007"))
    return found
