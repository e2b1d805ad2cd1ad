"""Years, months and days that have events: the way into the audit by date, at the cost of a few looks into an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Model, QuerySet

# More periods than this are not asked for one by one.
MOST = 100


@dataclass(frozen=True)
class Period:
    """A year, a month or a day, by its number of parts: ``2026``, ``2026-11``, ``2026-11-24``."""

    parts: tuple[int, ...]

    @classmethod
    def read(cls, text: str) -> Period | None:
        """Return the period that a URL names, None where it names none."""
        parts = text.split("-")
        if not (1 <= len(parts) <= 3 and all(part.isdecimal() and len(part) < 5 for part in parts)):
            return None
        period = cls(tuple(map(int, parts)))
        try:
            return period if 2000 <= period.first.year < 2100 else None
        except ValueError:
            return None

    def __str__(self) -> str:
        return "-".join(f"{part:02}" for part in self.parts)

    @property
    def first(self) -> date:
        """The first day; raises ValueError for a period that no calendar has."""
        year, month, day = (*self.parts, 1, 1)[:3]
        return date(year, month, day)

    @property
    def label(self) -> str:
        """The period in words, within the one above it: ``2026``, ``November``, ``24``."""
        return (f"{self.first:%Y}", f"{self.first:%B}", f"{self.first.day}")[len(self.parts) - 1]

    @property
    def above(self) -> Period | None:
        """The period that this one is a part of."""
        return Period(self.parts[:-1]) if len(self.parts) > 1 else None

    def following(self) -> date:
        """Return the first day after it."""
        first = self.first
        if len(self.parts) == 3:
            return first + timedelta(days=1)
        months = first.year * 12 + first.month - 1 + (12 if len(self.parts) == 1 else 1)
        return date(months // 12, months % 12 + 1, 1)

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return its first moment in ``zone`` and the first one after it."""
        return _midnight(self.first, zone), _midnight(self.following(), zone)

    def within(self) -> list[Period]:
        """Return the months of a year or the days of a month; nothing is within a day."""
        count = {1: 12, 2: (self.following() - self.first).days, 3: 0}[len(self.parts)]
        return [Period((*self.parts, number)) for number in range(1, count + 1)]


def with_events(found: QuerySet[Any], period: Period | None, zone: tzinfo) -> list[Period]:
    """Return the parts of ``period`` that have events, the years without one; three queries at most."""
    candidates = period.within() if period else _candidates(found, 1, zone)
    return _inhabited(found.model, candidates, zone)


def between_ends(found: QuerySet[Any], kind: str, zone: tzinfo) -> list[datetime] | None:
    """Return the first moments of the years, months or days from the first to the last of ``found`` that have events.

    Returns None where they are too many to be asked for one by one.
    """
    candidates = _candidates(found, {"year": 1, "month": 2, "day": 3}[kind], zone)
    if len(candidates) > MOST:
        return None
    return [period.bounds(zone)[0] for period in _inhabited(found.model, candidates, zone)]


def _candidates(found: QuerySet[Any], parts: int, zone: tzinfo) -> list[Period]:
    """Return the periods from the first event to the last, one more than ``MOST`` of them at most."""
    # Not by Min and Max: SQLite walks through the whole index to find both at once.
    moments = found.values_list("at", flat=True)
    first, last = moments.order_by("at", "id").first(), moments.order_by("-at", "-id").first()
    if first is None or last is None:
        return []
    end = last.astimezone(zone).date()
    day = first.astimezone(zone).date()
    candidates: list[Period] = []
    while day <= end and len(candidates) <= MOST:
        candidates.append(Period((day.year, day.month, day.day)[:parts]))
        day = candidates[-1].following()
    return candidates


def _inhabited(model: type[Model], candidates: list[Period], zone: tzinfo) -> list[Period]:
    """Return those of the periods that have an event; one query, by hand: Django takes a millisecond to write one."""
    if not candidates:
        return []
    bounds = [moment for candidate in candidates for moment in candidate.bounds(zone)]
    # Not EXISTS, for which PostgreSQL goes through the events until it meets one: in order, it goes by the index.
    look = f"(SELECT 1 FROM {model._meta.db_table} WHERE at >= %s AND at < %s ORDER BY at LIMIT 1) IS NOT NULL"
    with connection.cursor() as cursor:
        values = [DateTimeField().get_db_prep_value(moment, connection) for moment in bounds]
        cursor.execute(f"SELECT {', '.join([look] * len(candidates))}", values)
        row = cursor.fetchone()
    return [candidate for candidate, answer in zip(candidates, row, strict=True) if answer]


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
