"""Keeping the lease of a run while it is worked on, and telling the work when it has to end.

A thread renews the lease and writes the progress about once a second. The work asks ``check`` at every block; the
answer comes from memory and costs nothing.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any, Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from storage.threads import helper
from tasks.engine.lease import Lease, RenewResult, renew
from tasks.errors import LeaseLost, RunEnded, RunStopped, TimeLimit, WorkerShutdown
from tasks.units import format_duration

log = logging.getLogger(__name__)
RENEW_AT_MOST = 1.0
_shutdown = threading.Event()


def clock() -> float:
    """Return seconds that go on while the machine sleeps: a lease runs out during that time too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def ends_on_term() -> Iterator[None]:
    """Let SIGTERM end the run of this process in order, instead of the process at once.

    A worker of django-q dies of SIGTERM without any clean-up (reference/anchors.md, D.2). Only while a run is worked
    on, and only in the main thread, is that signal taken as a request; ``Keeper.check`` passes it on to the work.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _shutdown.set()

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _shutdown.clear()


class Keeper:
    """Keeps ``lease`` alive inside of its context.

    ``progress`` returns the fields of the run to write (``step``, ``bytes_read``, ...); it is called from the keeper's
    thread. ``deadline`` is the moment at which the run has taken too long.
    """

    def __init__(self, lease: Lease, progress: Callable[[], Mapping[str, Any]], deadline: datetime) -> None:
        self._lease = lease
        self._progress = progress
        self._began = clock()
        self._ends = self._began + (deadline - timezone.now()).total_seconds()
        self._held_until = self._began + settings.LEASE_SECONDS
        self._result = RenewResult(True)
        self._leave = threading.Event()
        self._thread = helper(self._keep, f"keeper-{lease.run_id}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._leave.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what ends the run, if anything does: ``LeaseLost``, ``RunStopped``, ``WorkerShutdown``, ``TimeLimit``.

        May be called from any thread, at any rate.
        """
        error = self._verdict(clock())
        if error is not None:
            raise error

    def check_held(self) -> None:
        """Raise ``LeaseLost`` where the run is not ours any more, and nothing else: for what has to come to its end."""
        error = self._verdict(clock())
        if isinstance(error, LeaseLost):
            raise error

    def _verdict(self, now: float) -> RunEnded | None:
        if not self._result.held or now >= self._held_until:
            return LeaseLost("The run was given up because its worker gave no sign of life.")
        took = format_duration(now - self._began)
        if self._result.stop_requested_by:
            return RunStopped(f"Stopped by {self._result.stop_requested_by} after {took}.")
        if _shutdown.is_set():
            return WorkerShutdown(
                f"The worker was stopped after {took}, in the middle of the run.",
                cure="Press Back Up Now once the workers run again.",
            )
        if now >= self._ends:
            return TimeLimit(
                f"The run was ended after {took}, the longest that a run may take.",
                cure="Look at the log for what took so long, or raise RUN_TIME_LIMIT_SECONDS.",
            )
        return None

    def _keep(self) -> None:
        interval = min(RENEW_AT_MOST, settings.LEASE_SECONDS / 6)
        try:
            while not self._leave.wait(interval) and self._result.held:
                self._renew_once()
        finally:
            connections.close_all()

    def _renew_once(self) -> None:
        """Renew; while the database is away try again at the next beat, until the lease has run out by itself."""
        asked = clock()
        try:
            self._result = renew(self._lease, timezone.now(), **self._figures())
        except (DatabaseError, InterfaceError) as error:
            log.warning("run %s: the lease could not be renewed: %s", self._lease.run_id, type(error).__name__)
            connections.close_all()
            return
        if self._result.held:
            self._held_until = asked + settings.LEASE_SECONDS

    def _figures(self) -> Mapping[str, Any]:
        try:
            return self._progress()
        except Exception:
            # What the page shows is not worth a run.
            log.exception("run %s: the progress could not be read", self._lease.run_id)
            return {}
