"""The axis of values: from where to where it goes, and at which round values it is labelled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.units import format_duration, format_size

# Steps of a clock, in seconds; beyond them whole days are rounded like other numbers.
_CLOCK = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86_400
_ROUND = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Unit:
    """What the values of a series are: how one is written, and which steps of an axis are round."""

    write: Callable[[float], str]
    step: Callable[[float], float]


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high`` with labels at ``ticks``."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def part(self, value: float) -> float:
        """Return where ``value`` lies between ``low`` (0) and ``high`` (1)."""
        return (value - self.low) / (self.high - self.low)


def decimal_step(wanted: float) -> float:
    """Return the round number that is not less than ``wanted``: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(each * power for each in _ROUND if each * power >= wanted * (1 - 1e-9))


def clock_step(wanted: float) -> float:
    """Return the round duration in seconds that is not less than ``wanted``."""
    found = next((each for each in _CLOCK if each >= wanted), None)
    return float(found) if found is not None else decimal_step(wanted / _DAY) * _DAY


def byte_step(wanted: float) -> float:
    """Return the round number of bytes that is not less than ``wanted``; bytes are whole."""
    return max(1.0, decimal_step(wanted))


BYTES = Unit(lambda value: format_size(value), byte_step)
SECONDS = Unit(lambda value: format_duration(value), clock_step)


def scale_of(values: Sequence[float], unit: Unit, most: int = 4) -> Scale:
    """Return an axis for ``values`` with two to ``most`` + 1 ticks.

    It begins at nothing, unless the values differ by less than a third of the greatest: there the differences would
    not be seen. Raises ValueError without values.
    """
    least, greatest = min(values), max(values)
    base = 0.0 if greatest - least > greatest / 3 or greatest == least else least
    if greatest <= 0:
        return Scale(0.0, unit.step(1.0), (0.0, unit.step(1.0)))
    step = unit.step((greatest - base) / (most - 1))
    low = math.floor(base / step + 1e-9) * step
    high = max(low + step, math.ceil(greatest / step - 1e-9) * step)
    count = round((high - low) / step)
    return Scale(low, high, tuple(low + number * step for number in range(count + 1)))
