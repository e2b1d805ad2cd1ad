"""How figures are written for people: sizes, speeds, durations, distances in time (look.md, section 9)."""

from __future__ import annotations

from datetime import timedelta

from storage.units import format_size

__all__ = ["format_distance", "format_duration", "format_size", "format_speed"]


def format_speed(bytes_per_second: float) -> str:
    """Return a speed such as ``24.6 MB/s``."""
    return f"{format_size(bytes_per_second)}/s"


def format_duration(duration: timedelta | float) -> str:
    """Return a duration such as ``9 s``, ``1 min 12 s`` or ``2 h 5 min``; never more than two units."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if 0 < seconds < 1:
        return "under 1 s"
    return _two_units(
        round(max(0, seconds)), (("day", "days", 86400), ("h", "h", 3600), ("min", "min", 60), ("s", "s", 1))
    )


def format_distance(duration: timedelta | float) -> str:
    """Return how far away a moment is, in minutes and above: ``3 d``, ``18 h 20 min``, ``under 1 min``."""
    seconds = abs(duration.total_seconds() if isinstance(duration, timedelta) else duration)
    if seconds < 60:
        return "under 1 min"
    return _two_units(round(seconds / 60) * 60, (("day", "days", 86400), ("h", "h", 3600), ("min", "min", 60)))


def _two_units(seconds: int, units: tuple[tuple[str, str, int], ...]) -> str:
    for position, (one, many, size) in enumerate(units):
        if seconds >= size or size == units[-1][2]:
            count, rest = divmod(seconds, size)
            text = f"{count} {one if count == 1 else many}"
            if position + 1 < len(units):
                smaller = units[position + 1]
                extra = rest // smaller[2]
                if extra:
                    text += f" {extra} {smaller[0] if extra == 1 else smaller[1]}"
            return text
    return "0 s"
