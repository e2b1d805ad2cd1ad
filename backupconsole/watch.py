"""Whether a worker group works. It is judged by what it does, not by whether its processes live.

A cluster of django-q can freeze for ever with all processes alive (reference/anchors.md, D.2): a tick that was asked
for has to come, and a run that was offered has to be taken.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from backupconsole.workergroup import WorkerGroup
from tasks.engine import dispatch
from tasks.models import Pulse

log = logging.getLogger(__name__)
# The first tick comes after Python and Django have started, on a machine that may be busy.
START_SECONDS = 30.0
# Asked for this often even where nothing is to be done, so that a frozen group is known before a run is due.
PROBE_SECONDS = 20.0
ASK_AGAIN_SECONDS = 2.0
ASK_AGAIN_AT_MOST = 60.0


class Watch:
    """Judges one group. Durations are monotonic, so that a changed clock or a laptop's sleep restarts nothing."""

    def __init__(self, group: WorkerGroup) -> None:
        self._group = group
        self._members: set[int] = set()
        self._last_tick = Pulse.last("tick")
        self._ticked_at = group.began
        self._started = False
        self._doubtful = False
        self._gap = ASK_AGAIN_SECONDS
        self._ask(timezone.now())

    def look(self) -> str:
        """Return why the group has to be replaced, or nothing; ask for a tick where there is something to do.

        Raises ``DatabaseError`` while the database is away; then nothing can be said.
        """
        ended = self._group.ended()
        if ended:
            return ended
        now = timezone.now()
        if self._asked is not None and now < self._asked:
            # The clock was set back: the tick that comes would look older than the question.
            self._ask(now)
        self._note_tick()
        self._note_vanished(now)
        if self._asked is None and self._since_asked() >= self._gap:
            if self._doubtful or self._since_tick() >= PROBE_SECONDS:
                self._doubtful = False
                self._ask(now)
            elif dispatch.wants_tick(now):
                self._ask(now)
                # What one tick did not settle, the next one will hardly settle at once.
                self._gap = min(ASK_AGAIN_AT_MOST, self._gap * 2)
            else:
                self._gap = ASK_AGAIN_SECONDS
        return self._silence() or self._stall(now)

    def _ask(self, now: datetime) -> None:
        self._asked: datetime | None = now
        self._asked_at = time.monotonic()
        dispatch.request_tick()

    def _since_asked(self) -> float:
        return time.monotonic() - self._asked_at

    def _since_tick(self) -> float:
        return time.monotonic() - self._ticked_at

    def _note_tick(self) -> None:
        tick = Pulse.last("tick")
        if tick == self._last_tick:
            return
        self._last_tick, self._ticked_at, self._started = tick, time.monotonic(), True
        if self._asked and tick and tick >= self._asked:
            self._asked = None

    def _note_vanished(self, now: datetime) -> None:
        """Note whether processes are gone since the last look; what they worked on is given up at once."""
        members = self._group.members()
        vanished, self._members = self._members - members, members
        if vanished and dispatch.declare_lost(vanished, now):
            log.warning("a worker vanished in the middle of a run")
        # It may have taken the lock of the queue with it: only a tick shows that the others still work.
        self._doubtful = self._doubtful or bool(vanished)

    def _silence(self) -> str:
        patience = float(settings.STALL_SECONDS)
        if not self._started:
            patience += START_SECONDS
        elif dispatch.working() & self._members:
            # The machine may be busy with just these runs, and replacing the group would end them.
            patience *= 2
        if self._asked and self._since_asked() > patience:
            return f"a tick that was asked for did not come for {patience:.0f} s"
        silent = self._since_tick()
        if silent > max(settings.TICK_SILENCE_SECONDS, patience):
            return f"there was no tick for {silent:.0f} s"
        return ""

    def _stall(self, now: datetime) -> str:
        if not self._started or self._group.age < settings.STALL_SECONDS:
            return ""
        run = dispatch.stalled(now)
        return f"run {run} was offered {settings.STALL_SECONDS} s ago and not taken" if run else ""
