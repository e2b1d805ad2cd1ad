"""Whether the console is ready: its database answers, its workers tick, and their supervisor lives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from tasks.models import Pulse
from tasks.units import format_distance


@dataclass(frozen=True)
class Check:
    """One condition; ``detail`` is for who may read more than states and holds no secret."""

    name: str
    ok: bool
    detail: str


def checks(now: datetime) -> list[Check]:
    """Return how it stands with database, tick and workers; one query. Never raises."""
    try:
        beats = Pulse.of_workers()
    except (DatabaseError, InterfaceError) as error:
        unknown = "Not known: the database does not answer."
        database = Check("database", False, f"The database does not answer as it should ({type(error).__name__}).")
        return [database, Check("tick", False, unknown), Check("workers", False, unknown)]
    return [
        Check("database", True, "It answers, and its tables are there."),
        _beat("tick", "The last tick", beats.get("tick"), now),
        _beat("workers", "The last sign of life of the supervisor of the workers", beats.get("supervisor"), now),
    ]


def _beat(name: str, what: str, at: datetime | None, now: datetime) -> Check:
    limit = settings.TICK_SILENCE_SECONDS
    if at is None:
        return Check(name, False, f"{what} has yet to come.")
    detail = f"{what} was {format_distance(now - at)} ago; the limit is {limit} s."
    return Check(name, now - at <= timedelta(seconds=limit), detail)
