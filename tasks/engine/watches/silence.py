"""The alarm of workers that give no sign of life. The tick cannot raise it, so others do, and the tick clears it.

The supervisor of the workers looks every few seconds, and so does the web server whenever it answers a page. Each
believes its eyes only after up to ``SURE`` seconds of a clock that nobody sets: after a start, or a night's sleep of
the machine, the first tick has yet to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from tasks import alarms
from tasks.models import Pulse
from tasks.moments import stamp
from tasks.workers import SILENT_SECONDS, WorkersState, workers_state

CODE, SUBJECT = "workers-silent", "workers"
SURE = 30.0


class Lookout:
    """One pair of eyes; ``clock`` gives seconds that only go forward. Used by any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silence: _Silence | None = None

    def saw(self, state: WorkersState, now: datetime) -> bool:
        """Take note of how the workers are; return True where that raised the alarm."""
        if state.alive:
            self._silence = None
            return False
        silence = self._silence
        if silence is None or silence.after != state.last_tick:
            silence = self._silence = _Silence(state.last_tick, self._clock())
        if silence.told or self._clock() - silence.since < min(SURE, _limit()):
            return False
        silence.told = True
        _raise(state, now)
        return True


@dataclass
class _Silence:
    """A silence after a tick, since when it is seen, and whether it was told of."""

    after: datetime | None
    since: float
    told: bool = False


WEB = Lookout()
"""That of this process of the web server."""


def workers_now(now: datetime) -> WorkersState:
    """Return whether the workers are alive; one query."""
    beats = Pulse.of_workers()
    return workers_state(beats.get("tick"), beats.get("supervisor"), now, silence=_limit(), host=settings.HOST_NAME)


def _limit() -> int:
    """Return after how many seconds without a sign of life somebody is silent."""
    return min(int(settings.TICK_SILENCE_SECONDS), SILENT_SECONDS)


def broken(now: datetime) -> bool:
    """Clear the alarm: the workers have ticked. Returns whether it was raised."""
    return alarms.clear(CODE, SUBJECT, now=now)


def _raise(state: WorkersState, now: datetime) -> None:
    if alarms.uncleared().filter(code=CODE, subject=SUBJECT).exists():
        return
    last = f"The last tick of the workers was at {stamp(state.last_tick)}." if state.last_tick else "They never ticked."
    alarms.raise_alarm(
        CODE,
        SUBJECT,
        cause=f"{last} Until they tick again no backup is started, and nothing is looked after.",
        cure=state.cure,
        place=settings.HOST_NAME,
        link=reverse("tasks"),
        now=now,
    )
