"""A hard time limit on every wait of a connection, whatever the library below it does.

Some waits of the client libraries have no limit of their own, and a frozen server answers no keep-alive either. The
watchdog ends the connection from outside, which wakes whoever waits on it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# How often a limit is looked at, as a part of the limit and at least and most in seconds.
_PART, _SHORTEST, _LONGEST = 0.1, 0.05, 1.0


class Watchdog:
    """Calls ``end`` once a watched wait lasts longer than its limit; ``fired`` tells that it did.

    ``end`` is called from the watchdog's own thread, once, and has to wake whoever waits. The thread begins with the
    first watch and ends with ``close`` or after ``end``. Watches may nest and may come from several threads: the
    earliest of their limits counts.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self.fired = False
        self._end = end
        self._limits: dict[int, float] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._poll = _LONGEST
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, seconds: float) -> Iterator[None]:
        """End the connection where the body lasts longer than ``seconds``."""
        key = self._arm(seconds)
        try:
            yield
        finally:
            with self._lock:
                del self._limits[key]

    def close(self) -> None:
        """Watch no longer."""
        self._closed.set()

    def _arm(self, seconds: float) -> int:
        with self._lock:
            self._count += 1
            key = self._count
            self._limits[key] = time.monotonic() + seconds
            self._poll = min(self._poll, max(_SHORTEST, min(_LONGEST, seconds * _PART)))
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._keep, name="watchdog", daemon=True)
                self._thread.start()
        return key

    def _keep(self) -> None:
        while not self._closed.wait(self._poll):
            with self._lock:
                earliest = min(self._limits.values(), default=None)
            if earliest is not None and time.monotonic() > earliest:
                self.fired = True
                self._closed.set()
                with suppress(Exception):
                    self._end()
