"""What a chart says, in a sentence: for those who do not see it, and above it for those who do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from tasks.charts.line import Point
from tasks.charts.scale import Unit

# Less change than this is called none; a peak is one that stands so far above both ends.
_SAME, _PEAK = 0.03, 1.25


def message(what: str, series: Sequence[Point], unit: Unit, zone: tzinfo) -> str:
    """Return how ``what`` went from the first to the last point, with its peak; one point alone is told as it is."""
    if not series:
        return f"{what}: nothing in this time."
    first, last = series[0], series[-1]
    if len(series) == 1:
        return f"{what} was {unit.write(last.value)} on {_day(last, zone)}."
    peak = max(series, key=lambda point: point.value)
    between = f"{unit.write(first.value)} on {_day(first, zone)} to {unit.write(last.value)} on {_day(last, zone)}"
    greater = max(first.value, last.value)
    if abs(last.value - first.value) <= _SAME * greater:
        text = f"{what} is about the same: {unit.write(first.value)} on {_day(first, zone)}, "
        text += f"{unit.write(last.value)} on {_day(last, zone)}"
    else:
        text = f"{what} {'rose' if last.value > first.value else 'fell'} from {between}"
    if peak.value > _PEAK * greater:
        text += f", with a peak of {unit.write(peak.value)} on {_day(peak, zone)}"
    return f"{text}."


def _day(point: Point, zone: tzinfo) -> str:
    return f"{point.at.astimezone(zone):%Y-%m-%d}"
