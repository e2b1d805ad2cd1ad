"""Telling zones apart by their clocks: one zone has several names, and some zones share a clock."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

_ROUND_THE_YEAR = [timedelta(days=91 * quarter) for quarter in range(5)]


def same_clock(one: tzinfo, other: tzinfo, now: datetime) -> bool:
    """Tell whether the clocks of two zones agree in every season of the year that begins at ``now`` (aware)."""
    moments = [now + later for later in _ROUND_THE_YEAR]
    return all(moment.astimezone(one).utcoffset() == moment.astimezone(other).utcoffset() for moment in moments)
