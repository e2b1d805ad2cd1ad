"""The watches of the tick, in their order.

A watch is a function of ``now`` that brings its alarms to what is so, in a fixed number of queries, and returns a
figure for the log. One that fails keeps neither the others nor the tick from their work (``dispatch.tick``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tasks.engine import proofs
from tasks.engine.watches import clocks, keys, late, remote

WATCHES: dict[str, Callable[[datetime], object]] = {
    "proofs overdue": proofs.watch,
    "overdue": late.watch,
    "only here": remote.watch,
    "keys lost": keys.watch,
    "clocks": clocks.watch,
}
