"""One start of the django-q cluster, in a session of its own, so that all its processes can be ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from django.conf import settings

from backupconsole.processes import children_die_with_us, die_with_parent, kill_all, members_of_session, send

MARK = "BACKUP_CONSOLE_WORKERS"
STOP_GRACE = 8.0
IDLE_GRACE = 2.0


def mark_value() -> str:
    """Return the value of ``MARK`` in the environment of all processes that work for this console."""
    return str(settings.DATA_DIR.resolve())


class WorkerGroup:
    """The processes of one cluster: its parent, which is our child, and all that it forked."""

    def __init__(self) -> None:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "runworkers", "--group", str(os.getpid())]
        # SPT_NOENV: the process titles that django-q sets would overwrite the environment that we are known by.
        environment = os.environ | {MARK: mark_value(), "SPT_NOENV": "1"}
        self._process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)
        self.pid = self._process.pid
        self.began = time.monotonic()
        self._seen = {self.pid}

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    def members(self) -> set[int]:
        """Return its living processes."""
        living = members_of_session(self.pid)
        self._seen |= living
        return living

    def ended(self) -> str:
        """Return how the parent ended, in words, or nothing while it lives."""
        status = self._process.poll()
        if status is None:
            return ""
        return f"its parent was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with {status}"

    def stop(self, working: Callable[[], set[int]]) -> set[int]:
        """End all its processes and return all that it ever had.

        ``working`` returns the processes that work on a run; these are told to end it in order, and get
        ``STOP_GRACE`` seconds for it. A group that works on nothing is killed after ``IDLE_GRACE``: one that is frozen
        does not end by itself.
        """
        if self._process.poll() is None:
            send(signal.SIGTERM, {self.pid})
        began = busy_at = time.monotonic()
        told: set[int] = set()
        while members := self.members():
            now = time.monotonic()
            busy = working() & members
            send(signal.SIGTERM, busy - told)
            told |= busy
            busy_at = now if busy else busy_at
            if now - busy_at > IDLE_GRACE or now - began > STOP_GRACE:
                break
            self._process.poll()
            time.sleep(0.2)
        kill_all(self.members)
        self._process.wait()
        return self._seen


def serve(parent: int) -> int:
    """Be the cluster: run django-q in this process until SIGTERM, and return the exit status.

    ``parent`` is the supervisor; no process of the cluster outlives it.
    """
    die_with_parent(parent)
    children_die_with_us()
    from django_q.cluster import Cluster

    cluster = Cluster()
    cluster.start()
    sentinel = cluster.sentinel
    sentinel.join()
    return int(sentinel.exitcode or 0)
