"""How long the room at a destination lasts, and when it is called low. Pure: readings and ``now`` in, verdicts out.

The pace is the median of the slopes between every two readings (Theil and Sen): one huge set, or a clean-up
of one day, does not bend it. It is that of the used bytes, so that a disk that was made bigger does not look like one
that was emptied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median

from tasks.models import DestinationSpace

Trend = DestinationSpace.Trend
WINDOW = timedelta(days=30)
# Fewer readings, or those of a shorter time, say nothing of the days to come.
LEAST_READINGS, LEAST_TIME = 4, timedelta(days=3)
# What lasts longer than this does not grow for anybody who reads it today.
FOREVER = timedelta(days=3650)
# Room that is low stops being so only at a tenth more than the limit, so that nothing is raised and cleared by turns.
RELIEF = 1.1
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Reading:
    """How many bytes were used at a moment."""

    at: datetime
    used: int


@dataclass(frozen=True)
class Outlook:
    """``pace`` in bytes a day and ``full_at`` are there where the trend is growing."""

    trend: Trend
    pace: int | None = None
    full_at: datetime | None = None


@dataclass(frozen=True)
class Limits:
    """Below which room is low: free bytes, free per cent of the whole, days until it is full; 0 is no limit."""

    floor: int
    per_cent: int
    days: int


def outlook(readings: Sequence[Reading], free: int, now: datetime) -> Outlook:
    """Return how the used bytes change, and when ``free`` bytes are gone at that pace; readings come in any order."""
    recent = sorted((one for one in readings if now - WINDOW <= one.at <= now), key=lambda one: one.at)
    if len(recent) < LEAST_READINGS or recent[-1].at - recent[0].at < LEAST_TIME:
        return Outlook(Trend.UNKNOWN)
    slopes = [(b.used - a.used) / ((b.at - a.at) / _DAY) for a, b in combinations(recent, 2) if b.at > a.at]
    pace = median(slopes)
    if pace <= 0 or free / pace > FOREVER / _DAY:
        return Outlook(Trend.STEADY)
    return Outlook(Trend.GROWING, round(pace), now + timedelta(days=free / pace))


def why_low(
    free: int, total: int, full_at: datetime | None, limits: Limits, now: datetime, *, before: bool = False
) -> str:
    """Return which limit is passed: ``floor``, ``per cent``, ``days``, or nothing; ``before``: it was low so far."""
    more = RELIEF if before else 1.0
    if free < limits.floor * more:
        return "floor"
    if free * 100 < total * limits.per_cent * more:
        return "per cent"
    if limits.days and full_at is not None and full_at - now < timedelta(days=limits.days * more):
        return "days"
    return ""


def days_left(full_at: datetime, now: datetime) -> int:
    """Return the whole days until a destination is full; never negative."""
    return max(0, (full_at - now) // _DAY)


def in_words(days: int) -> str:
    """Return ``9 days``, ``1 day`` or ``less than a day``."""
    return "less than a day" if days < 1 else "1 day" if days == 1 else f"{days:,} days"
