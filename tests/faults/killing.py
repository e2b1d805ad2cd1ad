"""kill -9 at a point of the work: the process that works is forked here, and the kill is patched into it.

The product knows nothing of these points.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.db import connections
from django.utils import timezone

from tasks.engine import kinds
from tasks.engine.lease import Lease
from tasks.models import Run

Place = Callable[[], None]
When = Callable[..., bool]


def die(*_: Any, **__: Any) -> NoReturn:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def before(owner: Any, name: str, when: When = lambda *_: True) -> Place:
    """Return what makes a process die at the call of ``owner.name``, when the arguments are such."""
    return lambda: _place(owner, name, when, late=False)


def after(owner: Any, name: str, when: When = lambda *_: True) -> Place:
    """Return what makes a process die when such a call has done its work."""
    return lambda: _place(owner, name, when, late=True)


def _place(owner: Any, name: str, when: When, *, late: bool) -> None:
    real = getattr(owner, name)

    def call(*args: Any, **named: Any) -> Any:
        # Asked once for each call: some of these conditions count.
        hit = when(*args)
        if hit and not late:
            die()
        result = real(*args, **named)
        if hit:
            die()
        return result

    setattr(owner, name, call)


def killed(lease: Lease, place: Place, person: AbstractContextManager[Any] | None = None) -> Run:
    """Work on a run in a process that dies at a point, and return the run as that process left it.

    ``person`` is there while that process works.
    """
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            place()
            with person or nullcontext():
                kinds.execute(lease)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, "the point was never reached"
    return Run.objects.get(pk=lease.run_id)


def leases_later(leases: int = 1) -> datetime:
    """Return a moment when so many leases have run out."""
    return timezone.now() + leases * timedelta(seconds=settings.LEASE_SECONDS + 1)
