"""Space per destination as the homepage shows it: what is used, how long the rest lasts, the most urgent first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet

from tasks.home.figures import Figures, counted
from tasks.home.sight import Look, Sight
from tasks.models import DestinationSpace
from tasks.space import Trend, days_left, in_words
from tasks.units import format_size

SHOWN, MOST = 8, 200
_YEAR = 365


@dataclass(frozen=True)
class Room:
    """A destination: its name, the words on the right, the figures below, and how much of it is used in per cent.

    ``per_cent`` is None where the destination does not tell; ``level`` is empty, ``warn`` or ``fail``.
    """

    space: DestinationSpace
    note: str
    left: str
    figures: str
    per_cent: int | None
    level: str = ""


@dataclass(frozen=True)
class Rooms:
    """The most urgent destinations, and how many there are in all."""

    rows: list[Room]
    total: int

    @property
    def more(self) -> int:
        """How many are not among the rows."""
        return self.total - len(self.rows)


def rooms(sight: Sight, *, every: bool = False) -> Rooms:
    """Return the first destinations in sight, or ``every`` one of them as far as a page goes; two queries at most."""
    most = MOST if every else SHOWN
    rows: list[DestinationSpace] = _FIRST.objects(sight, most)
    total = _ALL.number(sight) if len(rows) == most else len(rows)
    names = Counter(row.label for row in rows)
    return Rooms([room_of(row, sight.now, twice=names[row.label] > 1) for row in rows], total)


def room_of(space: DestinationSpace, now: datetime, *, twice: bool = False) -> Room:
    """Return a destination in words; ``twice``: another has its name, so that its number tells them apart."""
    note = space.path_type or "Disk"
    if twice:
        note = f"{note} {space.pk}"
    used, total, free = space.used_bytes, space.total_bytes, space.free_bytes
    if used is None or total is None or free is None:
        return Room(space, note, "Unknown", "The destination does not tell its space.", None)
    figures = f"{format_size(used)} of {format_size(total)} used"
    # Rounded down: only what is full is 100 %.
    per_cent = used * 100 // total if total else 100
    level = "fail" if free <= 0 else "warn" if space.low else ""
    return Room(space, note, _left(space, free, now), figures, per_cent, level)


def _left(space: DestinationSpace, free: int, now: datetime) -> str:
    if free <= 0:
        return "Full"
    if space.trend == Trend.STEADY:
        return "Not growing"
    if space.full_at is None:
        return "Days left not known yet"
    days = days_left(space.full_at, now)
    return "Over a year left" if days > _YEAR else f"{in_words(days)} left".capitalize()


def _first(look: Look, most: int) -> QuerySet[DestinationSpace]:
    return look.spaces().order_by("-low", F("full_at").asc(nulls_last=True), "label", "pk")[:most]


_FIRST = Figures(_first)
_ALL = Figures(lambda sight: counted(sight.spaces()))
