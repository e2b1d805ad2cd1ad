"""Time limits that hold on a busy machine as well: what the processors were short of is not counted."""

from __future__ import annotations

import re
import time
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")


def stalled() -> float:
    """Return the seconds so far in which something on this machine waited for a processor; 0 where nobody counts.

    The kernel counts them (pressure stall information, the line *some*).
    """
    try:
        found = re.search(r"^some .*total=(\d+)", PRESSURE.read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1e6 if found else 0.0


class Stopwatch:
    """Tells how many seconds have passed since it was made, without those that the machine was overloaded."""

    def __init__(self) -> None:
        self._began, self._stalled = time.monotonic(), stalled()

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return time.monotonic() - self._began - (stalled() - self._stalled)
