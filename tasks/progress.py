"""How far a run is, in figures for people. Pure: counts and durations in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tasks.units import format_duration, format_size, format_speed

# Below this the speed is mostly the noise of the start.
STEADY_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class Progress:
    """``per_cent`` is None while there is no estimate; empty words are left out on the page."""

    per_cent: int | None
    left: str
    amount: str
    speed: str


def progress_of(read: int, expected: int, elapsed: timedelta) -> Progress:
    """Return the progress of a run that read ``read`` of ``expected`` bytes in ``elapsed``.

    A run that has read everything stays at 99 per cent: it is not done before its archive is proven and published.
    """
    steady = elapsed >= STEADY_AFTER and read > 0
    rate = read / elapsed.total_seconds() if steady else 0.0
    per_cent = min(99, read * 100 // expected) if expected > 0 else None
    return Progress(per_cent, _left(read, expected, rate), _amount(read, expected), format_speed(rate) if rate else "")


def _left(read: int, expected: int, rate: float) -> str:
    if not rate or expected <= 0:
        return ""
    if read >= expected:
        return "finishing"
    return f"{format_duration(max(1.0, (expected - read) / rate))} left"


def _amount(read: int, expected: int) -> str:
    """Return ``1.10 of 1.81 GB``; the unit is said once where it is the same."""
    done = format_size(read)
    if expected <= 0:
        return f"{done} read"
    whole = format_size(max(read, expected))
    number, unit = done.split()
    return f"{number if whole.split()[1] == unit else done} of {whole}"


def place_in_line(place: int) -> str:
    """Return a place in the line of a cluster, counted from 1: ``First in line``, ``2nd in line``."""
    if place == 1:
        return "First in line"
    tens, ones = place % 100, place % 10
    ending = "th" if 10 < tens < 14 else {1: "st", 2: "nd", 3: "rd"}.get(ones, "th")
    return f"{place}{ending} in line"
