"""What a line of the server's log is about: a run with its task and cluster, or a request.

Whatever logs need not know: a filter adds it to every record. A context variable says it for the code that works on the
run, and threads that this code starts get it with a copy of their context. Libraries start threads of their own
(paramiko, smbprotocol); these have no context, and for them it is the run of the process: a worker works on one run at
a time. Child processes of a run write to no log: what they say comes back through a pipe to the code that started them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """The run that a line is about."""

    run: int
    task: str = ""
    cluster: str = ""


_run: ContextVar[About | None] = ContextVar("run", default=None)
_request: ContextVar[str] = ContextVar("request", default="")
_of_process: About | None = None


@contextmanager
def of_run(run: int, task: str = "", cluster: str = "") -> Iterator[None]:
    """Have every line that is logged inside, in whatever thread, say which run it is about."""
    global _of_process
    about, before = About(run, task, cluster), _of_process
    token = _run.set(about)
    _of_process = about
    try:
        yield
    finally:
        _of_process = before
        _run.reset(token)


def begin_request(number: str = "") -> str:
    """Have the lines of this thread say the number of a request from now on, and return it; a new one for nothing."""
    chosen = number or secrets.token_hex(8)
    _request.set(chosen)
    return chosen


def end_request() -> None:
    """Have the lines of this thread say no number any more."""
    _request.set("")


def request_number() -> str:
    """Return the number of the request that is answered; empty where none is."""
    return _request.get()


class ContextFilter(logging.Filter):
    """Adds ``run``, ``task``, ``cluster`` and ``request`` to each record, and ``about``, the same in a few words."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through; one that names a run itself keeps it."""
        about = _run.get() or _of_process
        named = getattr(record, "run", None)
        if named is not None and (about is None or about.run != named):
            about = About(named, getattr(record, "task", ""), getattr(record, "cluster", ""))
        record.run, record.task, record.cluster = (about.run, about.task, about.cluster) if about else (None, "", "")
        request = getattr(record, "request", None)
        # Django's records of failed requests carry the request itself.
        request = request if isinstance(request, str) and request else _request.get()
        record.request, record.about = request, _in_words(about, request)
        return True


def _in_words(about: About | None, request: str) -> str:
    if about is not None:
        thing = f" {about.task}" if about.task else ""
        return f" [run {about.run}{thing}{f' on {about.cluster}' if about.cluster else ''}]"
    return f" [request {request}]" if request else ""
