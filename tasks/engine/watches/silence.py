"""The alarm of workers that give no sign of life. The tick cannot raise it, so others do, and the tick clears it.

The supervisor of the workers looks every few seconds, and so does the web server whenever it answers a page. Each
believes its eyes only after up to ``SURE`` seconds of a clock that nobody sets: after a start, or a night's sleep of
the machine, the first tick has yet to come.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.urls import reverse

from tasks import alarms
from tasks.models import Pulse
from tasks.moments import stamp
from tasks.workers import SILENT_SECONDS, WorkersState, workers_state

log = logging.getLogger(__name__)
CODE, SUBJECT = "workers-silent", "workers"
SURE = 30.0


class Lookout:
    """One pair of eyes; ``clock`` gives seconds that only go forward. Used by any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silence: _Silence | None = None

    def saw(self, state: WorkersState, now: datetime) -> bool:
        """Take note of how the workers are; return True where that raised the alarm.

        Where the database does not take it, that is logged, and tried again after ``SURE`` seconds.
        """
        if state.alive:
            self._silence = None
            return False
        silence = self._silence
        if silence is None or silence.after != state.last_tick:
            silence = self._silence = _Silence(state.last_tick, self._clock() + min(SURE, _limit()))
        if self._clock() < silence.tell_at:
            return False
        # Before the attempt: other threads shall not wait for a locked database after this one.
        silence.tell_at = self._clock() + SURE
        try:
            _raise(state, now)
        except (DatabaseError, InterfaceError) as error:
            log.warning("the alarm of silent workers could not be raised, and will be tried again: %s", error)
            return False
        silence.tell_at = math.inf
        return True


@dataclass
class _Silence:
    """A silence after a tick, and when it is to be told of."""

    after: datetime | None
    tell_at: float


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
