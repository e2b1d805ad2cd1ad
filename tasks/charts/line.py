"""A line over time, with its axes labelled and its last point marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from tasks.charts.scale import Scale, Unit, scale_of

WIDTH, HEIGHT = 520, 170
# On a narrow screen the labels are written larger than the rest is drawn, so that they stay legible: there is room.
LEFT, RIGHT, TOP, BOTTOM = 80, 12, 12, 26
# More labels than this do not fit side by side.
_MOST_DAYS = 5


@dataclass(frozen=True)
class Point:
    """A value at a moment."""

    at: datetime
    value: float


@dataclass(frozen=True)
class Tick:
    """A label at an axis, and where on it."""

    place: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class LineChart:
    """The geometry of a chart, in the units of its view box; ``points`` and ``area`` are as SVG takes them."""

    points: str
    area: str
    last: tuple[float, float]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    # Where few points are, each is marked: two far apart would look like a plain line.
    dots: tuple[tuple[float, float], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def line_chart(series: Sequence[Point], since: datetime, until: datetime, unit: Unit, zone: tzinfo) -> LineChart | None:
    """Return the chart of ``series``, oldest first, between two moments; None where there is nothing to draw.

    Points outside are left out. Days are named in ``zone``.
    """
    inside = [point for point in series if since <= point.at <= until]
    if not inside:
        return None
    scale = scale_of([point.value for point in inside], unit)
    places = [(_across((point.at - since) / (until - since)), _up(scale, point.value)) for point in inside]
    points = " ".join(f"{x},{y}" for x, y in places)
    base = HEIGHT - BOTTOM
    area = f"{places[0][0]},{base} {points} {places[-1][0]},{base}" if len(places) > 1 else ""
    rows = tuple(Tick(_up(scale, value), unit.write(value), "end") for value in scale.ticks)
    dots = tuple(places[:-1]) if len(places) <= 10 else ()
    return LineChart(points, area, places[-1], rows, day_ticks(since, until, zone), dots)


def day_ticks(since: datetime, until: datetime, zone: tzinfo) -> tuple[Tick, ...]:
    """Return labels at midnights of ``zone``, evenly apart, the first and the last day among them where they fit."""
    first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    days = (last - first).days
    step = max(1, -(-days // (_MOST_DAYS - 1)))
    wanted = [last - timedelta(days=back) for back in range(0, days + 1, step)][::-1]
    found = []
    for day in wanted:
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        part = min(1.0, max(0.0, (midnight - since) / (until - since)))
        found.append(
            Tick(_across(part), _named(day, days), "end" if part > 0.93 else "start" if part < 0.07 else "middle")
        )
    return tuple(found)


def _named(day: date, span: int) -> str:
    return f"{day:%m-%d}" if span <= 180 else f"{day:%Y-%m}"


def _across(part: float) -> float:
    return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def _up(scale: Scale, value: float) -> float:
    return round(HEIGHT - BOTTOM - scale.part(value) * (HEIGHT - TOP - BOTTOM), 1)
