"""Threads that belong to the work that starts them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context


def helper(work: Callable[[], object], name: str) -> threading.Thread:
    """Return a thread, not started, that does ``work`` in a copy of the present context and keeps no process alive.

    What it logs is so known to belong to the run or the request that started it.
    """
    return threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
