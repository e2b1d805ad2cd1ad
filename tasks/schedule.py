"""When a task runs: pure arithmetic on moments, no clock and no database (design.md, decision 3).

A period of N days keeps its wall-clock time over daylight saving; a period of N hours is absolute time. A wall-clock
time that does not exist on a day (spring) is run as much later as the gap is long; one that exists twice (autumn) is
run the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from tasks.states import PeriodUnit


@dataclass(frozen=True)
class Schedule:
    """Started and period of a task; ``started`` is aware, ``zone`` is the console's."""

    started: datetime
    period: int
    unit: str
    zone: tzinfo

    def occurrence(self, number: int) -> datetime:
        """Return the occurrence ``number`` in UTC; 0 is the first one, at ``started``."""
        if self.unit == PeriodUnit.HOURS:
            return self.started.astimezone(UTC) + timedelta(hours=self.period * number)
        wall = self.started.astimezone(self.zone).replace(tzinfo=None) + timedelta(days=self.period * number)
        return wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)

    def first_after(self, moment: datetime) -> datetime:
        """Return the first occurrence that is later than ``moment``."""
        return self._after(moment)[1]

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """Return the next ``count`` occurrences later than ``moment``."""
        start, _ = self._after(moment)
        return [self.occurrence(number) for number in range(start, start + count)]

    def between(self, first: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences from ``first`` to ``until``, both included."""
        number, _ = self._after(first - timedelta(microseconds=1))
        while (moment := self.occurrence(number)) <= until:
            yield moment
            number += 1

    def count_between(self, first: datetime, until: datetime) -> int:
        """Return how many occurrences lie from ``first`` to ``until``, both included."""
        return max(0, self._after(until)[0] - self._after(first - timedelta(microseconds=1))[0])

    def _after(self, moment: datetime) -> tuple[int, datetime]:
        """Return the first occurrence later than ``moment``, and its number."""
        length = timedelta(hours=self.period) if self.unit == PeriodUnit.HOURS else timedelta(days=self.period)
        # The one before this has passed, though a day is 23 to 25 hours long; so the first one to come is near.
        number = max(0, (moment - self.started) // length)
        while (found := self.occurrence(number)) <= moment:
            number += 1
        return number, found


def late_by(occurrence: datetime, now: datetime) -> timedelta:
    """Return how late a start at ``now`` would be; never negative."""
    return max(timedelta(0), now - occurrence)
