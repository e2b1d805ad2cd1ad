"""How the lines of the server's log are written: for people, or as one JSON object each (``LOG_FORMAT``)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from backupconsole.env import env_choice

FORMATS = ("text", "json")
# What ``tasks.logcontext`` adds to a record, as far as it is there.
_ABOUT = ("run", "task", "cluster", "request")


def chosen() -> str:
    """Return the format that ``LOG_FORMAT`` names."""
    return env_choice("LOG_FORMAT", FORMATS)


class TextFormatter(logging.Formatter):
    """``2026-11-24 03:00:00,123 INFO tasks.jobs [run 12 daily on plant] the text``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(about)s %(message)s", defaults={"about": ""})


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, process; run, task, cluster, request; exception.

    A record of a request that was answered has ``access`` besides, whose parts become fields of their own.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of ASCII, whatever its text holds."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at.replace("+00:00", "Z"), "level": record.levelname, "logger": record.name}
        line |= {"message": record.getMessage(), "process": record.process}
        line |= {name: value for name in _ABOUT if (value := getattr(record, name, None))}
        line |= getattr(record, "access", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def formatter(kind: str) -> logging.Formatter:
    """Return the formatter of one of ``FORMATS``."""
    return JsonFormatter() if kind == "json" else TextFormatter()
