"""Starting a server in the foreground for tests, so that it dies with them, and waiting until it serves."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one at the latest; its output goes to ``log``."""
    with log.open("ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_die_with_parent)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(ready: Callable[[], bool], seconds: float, what: str, log: Path | None = None) -> None:
    """Wait for ``ready``, which may raise meanwhile; raise RuntimeError with the end of ``log`` at the limit."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(Exception):
            if ready():
                return
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-1500:] if log and log.exists() else ""
    raise RuntimeError(f"{what} did not come within {seconds:g} s: {tail}")
