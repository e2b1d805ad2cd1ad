"""Strips of outcomes over hours and days, one slot for each, the newest last. Pure: days in, letters out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from tasks.engine.days import worst
from tasks.engine.record import OUTCOME_STATES
from tasks.models.days import NO_RUN
from tasks.states import LOOKS, RunState

HOURS, DAYS = 24, 30
_HOUR = timedelta(hours=1)
_ORDER = (RunState.FAILED, RunState.POSTPONED, RunState.WARNINGS, RunState.STOPPED, RunState.SUCCESSFUL)
_WORDS = {RunState.WARNINGS: "with warnings"}
# A run that is under way is shown in the newest slot.
UNDER_WAY = "r"


def last_hours(days: Mapping[date, str], now: datetime) -> str:
    """Return the worst outcome of each of the last 24 hours; the last one is the hour that ``now`` is in."""
    newest = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [newest - number * _HOUR for number in range(HOURS - 1, -1, -1)]
    return "".join(_letter(days, hour) for hour in hours)


def last_days(days: Mapping[date, str], today: date, zone: tzinfo, count: int = DAYS) -> str:
    """Return the worst outcome of each of the last ``count`` days of ``zone``; the last one is ``today``.

    Hours are those of UTC: where a zone is half an hour off, an hour belongs to the day in which its middle lies.
    """
    found: dict[date, list[str]] = {}
    for day, hours in days.items():
        for number, letter in enumerate(hours):
            if letter != NO_RUN:
                found.setdefault(_local_days(day, zone)[number], []).append(letter)
    wanted = [today - timedelta(days=back) for back in range(count - 1, -1, -1)]
    return "".join(worst(found.get(day, ())) for day in wanted)


@lru_cache(maxsize=512)
def _local_days(day: date, zone: tzinfo) -> list[date]:
    """Return the day of ``zone`` that the middle of each hour of a UTC day belongs to."""
    middles = (datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC) for hour in range(24))
    return [middle.astimezone(zone).date() for middle in middles]


def first_day(today: date) -> date:
    """Return the first UTC day that the strips of ``today`` may need, wherever their viewer is."""
    return today - timedelta(days=DAYS + 1)


def with_state(letters: str, state: str) -> str:
    """Return a strip whose newest slot shows a run that is under way, where nothing worse stands there."""
    return letters[:-1] + UNDER_WAY if state == RunState.RUNNING and letters[-1] in (NO_RUN, "s") else letters


def shapes(letters: str) -> list[str]:
    """Return the shape of each slot (look.md, section 5)."""
    return [_shape(letter) for letter in letters]


def in_words(letters: str, unit: str) -> str:
    """Return a strip in words: ``2 days failed, 27 days successful``; ``no runs`` where there are none."""
    counts = Counter(OUTCOME_STATES[letter] for letter in letters if letter in OUTCOME_STATES)
    parts = [f"{_times(counts[state], unit)} {_word(state)}" for state in _ORDER if counts[state]]
    parts += ["one run under way"] if UNDER_WAY in letters else []
    return ", ".join(parts) or "no runs"


def troubled(letters: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return which slots were not successful and how they were, by the names of all slots."""
    return [
        (name, _word(OUTCOME_STATES[letter])) for name, letter in zip(names, letters, strict=True) if letter in "fpwx"
    ]


def _letter(days: Mapping[date, str], hour: datetime) -> str:
    hours = days.get(hour.date(), "")
    return hours[hour.hour] if hour.hour < len(hours) else NO_RUN


def _shape(letter: str) -> str:
    if letter == UNDER_WAY:
        return LOOKS[RunState.RUNNING].shape
    return LOOKS[OUTCOME_STATES[letter]].shape if letter in OUTCOME_STATES else "none"


def _word(state: str) -> str:
    return _WORDS.get(RunState(state), str(RunState(state).label).lower())


def _times(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
