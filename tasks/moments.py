"""Moments inside texts that are stored: reasons, lines of logs, refusals.

Whoever writes such a text does not know who will read it. So a moment stands in it in the console's zone together with
its distance from UTC, which is true wherever the text goes, and a page tells it anew in the zone of its viewer, where
all its other times are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone

_MINUTES, _SECONDS = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"
_STAMP = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? [+-]\d\d:\d\d\b")


def stamp(moment: datetime, *, seconds: bool = False) -> str:
    """Return ``moment`` for a stored text: ``2026-11-24 03:00 +01:00``, in the console's zone."""
    local = timezone.localtime(moment, timezone.get_default_timezone())
    offset = local.strftime("%z")
    return f"{local.strftime(_SECONDS if seconds else _MINUTES)} {offset[:3]}:{offset[3:5]}"


def parts(text: str) -> Iterator[str | tuple[str, datetime]]:
    """Yield ``text`` piece by piece; a moment in it as how the viewer reads it and as itself, in the viewer's zone."""
    end = 0
    for found in _STAMP.finditer(text):
        moment = _moment(found[0])
        if moment is None:
            continue
        yield text[end : found.start()]
        end = found.end()
        yield moment.strftime(_SECONDS if found[0].count(":") == 3 else _MINUTES), moment
    yield text[end:]


def retold(text: str) -> str:
    """Return ``text`` with its moments in the zone that is active for the viewer."""
    return "".join(part if isinstance(part, str) else part[0] for part in parts(text))


def _moment(written: str) -> datetime | None:
    """Return what a stamp says, in the active zone; None for digits that only look like one."""
    try:
        return timezone.localtime(datetime.fromisoformat(written))
    except ValueError:
        return None
