"""Whether the workers are alive, in words for the foot of the pages. Pure: moments in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.units import format_distance

# There is a tick a minute, and more of them. Pages look every 30 s: whoever reads one knows within two minutes.
SILENT_SECONDS = 90


@dataclass(frozen=True)
class WorkersState:
    """``alive`` tells whether runs get started; ``cause`` and ``cure`` are empty while they do."""

    alive: bool
    label: str
    last_tick: datetime | None
    cause: str = ""
    cure: str = ""


def workers_state(
    tick: datetime | None, supervisor: datetime | None, now: datetime, *, silence: int, host: str
) -> WorkersState:
    """Judge the two signs of life; one that is older than ``silence`` seconds counts as silent."""
    limit = now - timedelta(seconds=silence)
    ticking = tick is not None and tick >= limit
    supervised = supervisor is not None and supervisor >= limit
    if ticking:
        return WorkersState(True, "Workers running", tick)
    if supervised:
        cause = (
            "The workers have started but not ticked yet."
            if tick is None
            else (f"The last tick is {format_distance(now - tick)} old. Their supervisor is alive and restarts them.")
        )
        cure = f"Wait a minute. If this notice stays, read the log of the workers on {host}."
        return WorkersState(False, "Workers silent", tick, cause, cure)
    cause = (
        "The workers have never run."
        if tick is None
        else (f"The workers have been silent for {format_distance(now - tick)}.")
    )
    cure = f"No backup starts until they run. Start them on {host}: manage.py runworkers."
    return WorkersState(False, "Workers not running", tick, cause, cure)
