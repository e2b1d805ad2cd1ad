"""The processors' time of processes that run, finer than a clock tick."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil


def cpu_ms(parents: Iterable[psutil.Process]) -> float:
    """Return the milliseconds on a processor so far of these processes and their children, as Linux counts them.

    A child that ends takes its figure with it; so does a thread.
    """
    total = 0.0
    for parent in parents:
        for process in (parent, *parent.children(recursive=True)):
            for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
                with suppress(OSError):
                    total += int(thread.read_text().split()[0]) / 1e6
    return total
