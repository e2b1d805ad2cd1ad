"""Child processes that never outlive the console: each in a process group of its own, ended as a whole."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
# A child that ends this often within this many seconds is not started once more.
_ENDS, _WITHIN = 5, 60.0


def _end_with_parent() -> None:
    """Ask the kernel to send SIGTERM to this process when the one that started it dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process that is to run as long as the console does.

    ``name`` is for messages. ``start`` may be called again after the process ended. The process and whatever it
    started in its group are gone after ``stop``.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], keep: Sequence[int] = ()
    ) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._keep = tuple(keep)
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: list[float] = []

    def start(self) -> None:
        """Start the process; it gets the descriptors of ``keep``, and no terminal signals."""
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            pass_fds=self._keep,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    @property
    def pid(self) -> int | None:
        """The process id, or None before the first start."""
        return None if self._process is None else self._process.pid

    def ended(self) -> int | None:
        """Return the exit status once the process ended (what is left of its group is killed), None while it runs.

        A status below 0 is the signal that ended it.
        """
        if self._process is None or not self._is_over(self._process.pid):
            return None
        # Before the status is taken: until then the kernel gives the group's number to nobody else.
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def may_restart(self) -> bool:
        """Count one end, and tell whether the process has not ended too often lately."""
        now = time.monotonic()
        self._ends = [moment for moment in self._ends if now - moment < _WITHIN] + [now]
        return len(self._ends) < _ENDS

    def terminate(self) -> None:
        """Ask the process to end in its own way."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def stop(self, deadline: float) -> None:
        """Wait for the process to end until ``deadline`` (of ``time.monotonic``), then kill it and its group."""
        if self._process is None or self._process.returncode is not None:
            return
        while time.monotonic() < deadline and not self._is_over(self._process.pid):
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        self._process.wait()

    @staticmethod
    def _is_over(pid: int) -> bool:
        """Tell whether the process ended, without taking its status."""
        try:
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _signal(self, number: int) -> None:
        """Send a signal to the whole group, whose number is that of the process."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
