"""The supervisor of the workers: starts django-q's cluster, watches that it works, and replaces it when it does not."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from backupconsole.dblock import LockWatch, writers
from backupconsole.processes import kill_all, marked, only_one
from backupconsole.watch import Watch
from backupconsole.workergroup import MARK, WorkerGroup, mark_value
from tasks.engine import dispatch
from tasks.engine.lease import worker_name
from tasks.engine.watches import silence
from tasks.models import Pulse

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
BEAT_SECONDS = 10.0
HEALTHY_SECONDS = 60.0
LONGEST_PAUSE = 60.0


class Supervisor:
    """Keeps one worker group alive until SIGTERM, SIGINT or SIGHUP."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._pause = 0.0
        self._beaten = -BEAT_SECONDS
        self._away = False
        self._lookout = silence.Lookout()

    def run(self) -> None:
        """Supervise until told to end, then end all workers.

        Raises ``AlreadyRunning`` while another supervisor works for the same ``DATA_DIR``.
        """
        about = {"pid": os.getpid(), "since": timezone.localtime().strftime("%Y-%m-%d %H:%M:%S %Z")}
        with only_one(settings.DATA_DIR / "workers.lock", about):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, self._told)
            stale = kill_all(lambda: marked(MARK, mark_value()))
            if stale:
                log.warning("ended %d processes that a supervisor which is gone had left", len(stale))
            while not self._end.is_set():
                self._one_group()
            log.info("all workers have ended")

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._end.set()

    def _one_group(self) -> None:
        """Start a group, watch it, end it, and pause if it did not last."""
        if not self._asking(self._prepare):
            self._end.wait(LOOK_SECONDS)
            return
        group = WorkerGroup()
        log.info("workers started as process group %d", group.pid)
        try:
            reason = self._watch(group)
            if reason:
                log.warning("the workers are started again: %s", reason)
        finally:
            gone = group.stop(self._working)
            self._asking(lambda: dispatch.declare_lost(gone, timezone.now()))
        if not self._end.is_set():
            lasted = group.age > HEALTHY_SECONDS
            self._pause = 0.5 if lasted else min(LONGEST_PAUSE, max(0.5, self._pause * 2))
            self._end.wait(self._pause)

    def _prepare(self) -> None:
        dispatch.ensure_tick_scheduled(timezone.now())
        dispatch.forget_offers()

    def _watch(self, group: WorkerGroup) -> str:
        """Return why the group has to be replaced; nothing when the supervisor was told to end."""
        watch: Watch | None = None
        lock = LockWatch(group)
        reason = ""

        def look() -> None:
            nonlocal watch, reason
            self._beat()
            self._look_out()
            watch = watch or Watch(group)
            reason = watch.look()

        while not self._end.is_set() and not reason:
            if self._asking(look):
                lock.usable()
            else:
                # Without the database all that can be said of the group is whether it is there, or holds it itself.
                reason = group.ended() or lock.look()
            self._end.wait(LOOK_SECONDS if not reason else 0)
        return reason

    def _beat(self) -> None:
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            Pulse.beat("supervisor", timezone.now(), worker_name())
            self._beaten = time.monotonic()

    def _look_out(self) -> None:
        """Raise the alarm where the workers do not tick for long, however often they are started again."""
        now = timezone.now()
        self._lookout.saw(silence.workers_now(now), now)

    def _working(self) -> set[int]:
        pids: set[int] = set()
        self._asking(lambda: pids.update(dispatch.working()))
        return pids

    def _asking(self, question: Callable[[], object]) -> bool:
        """Do something with the database and return True; False, and one line in the log, while it is away."""
        try:
            question()
        except (DatabaseError, InterfaceError) as error:
            if not self._away:
                holders = ", ".join(f"process {pid}" for pid in sorted(writers()))
                log.warning("the database cannot be used at the moment: %s%s", error, holders and f"; {holders} writes")
            self._away = True
            connections.close_all()
            return False
        if self._away:
            log.info("the database can be used again")
        self._away = False
        return True
