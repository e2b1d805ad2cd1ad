"""Verify: try a destination step by step, before a task is saved and any time later.

The steps run in a thread of their own, for no client library can be trusted with a time limit; whoever waits for the
lines stops waiting at the limits of each step and of the whole. A step that goes on beyond that ends by the limits of
its store and clears up behind itself.
"""

from __future__ import annotations

import logging
import queue
import secrets as random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from storage.base import PathType, Store
from storage.checks import Check, Estimate
from storage.dialing import dial
from storage.errors import (
    AuthenticationFailed,
    BadPath,
    ConsoleError,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
)
from storage.judging import clock_check, failed, host_key_check, space_check
from storage.probe import probe
from storage.threads import helper

log = logging.getLogger(__name__)
# Seconds for all steps together, and for each of them.
WHOLE = 15.0
CONNECT, IDENTIFY, AUTHENTICATE, PROBE, SPACE = 4.0, 6.0, 9.0, 9.0, 5.0

CONNECTING = "Resolve and connect"
IDENTIFYING = "Identify"
AUTHENTICATING = "Authenticate"
PATH = "Path"
PROBING = "Write, read, rename, delete"
FREE = "Free space"
CLOCK = "Clock"


def verify(
    path_type: PathType,
    parameters: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    estimate: Callable[[], Estimate | None],
    now: Callable[[], datetime],
    whole: float = WHOLE,
    reading: bool = False,
) -> Iterator[Check]:
    """Yield one line for each step, as it comes, for ``whole`` seconds at the most; a failed step is the last one.

    With ``reading`` nothing is written there, for a destination that is only to be read from.

    ``parameters`` and ``secrets`` are the values of the form. ``estimate`` is asked in another thread, so it must not
    use the database. Nothing stays at the destination but its own root directory where LocalDir makes it.
    """
    chain = _Chain(path_type, path_type.prepare(parameters), secrets, estimate, now, reading)
    thread = helper(chain.run, f"verify {path_type.name}")
    thread.start()
    try:
        yield from _lines(chain, time.monotonic() + whole)
    finally:
        chain.left.set()


def _lines(chain: _Chain, deadline: float) -> Iterator[Check]:
    what, until, began = CONNECTING, deadline, time.monotonic()
    while True:
        try:
            event = chain.events.get(timeout=max(0.0, min(until, deadline) - time.monotonic()))
        except queue.Empty:
            chain.left.set()
            yield _too_slow(chain, what, time.monotonic() - began)
            return
        if event is None:
            return
        if isinstance(event, Check):
            yield event
            if event.ends:
                return
        else:
            what, began = event.what, time.monotonic()
            until = began + event.limit


def _too_slow(chain: _Chain, what: str, seconds: float) -> Check:
    who = str(chain.parameters.get("server_ip") or chain.path_type.name)
    cure = "Check that the server is not overloaded and that the network to it holds, then verify again."
    return Check("failed", what, f"{who} did not answer within {seconds:.0f} s.", cure)


@dataclass(frozen=True)
class _Step:
    """A step begins; it may take ``limit`` seconds."""

    what: str
    limit: float


@dataclass
class _Chain:
    """The steps, run in a thread; ``events`` gets a ``_Step`` before each, its lines, and None at the end."""

    path_type: PathType
    parameters: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    estimate: Callable[[], Estimate | None]
    now: Callable[[], datetime]
    reading: bool = False
    events: queue.SimpleQueue[_Step | Check | None] = field(default_factory=queue.SimpleQueue)
    left: threading.Event = field(default_factory=threading.Event)
    store: Store | None = None
    ahead: timedelta | None = None

    def run(self) -> None:
        """Go through the steps until one ends the chain or nobody waits any more."""
        try:
            for step, action in self._steps():
                self.events.put(step)
                checks = self._attempt(step, action)
                for check in checks:
                    self.events.put(check)
                if self.left.is_set() or any(check.ends for check in checks):
                    return
        finally:
            self.events.put(None)
            if self.store is not None:
                with suppress(StoreError):
                    self.store.close()

    def _steps(self) -> Iterator[tuple[_Step, Callable[[], list[Check]]]]:
        yield _Step(CONNECTING, CONNECT), self._connect
        yield _Step(IDENTIFYING, IDENTIFY), self._identify
        yield _Step(AUTHENTICATING, AUTHENTICATE), self._log_in
        if self.reading:
            return
        yield _Step(PROBING, PROBE), self._probe
        yield _Step(FREE, SPACE), self._space
        yield _Step(CLOCK, SPACE), self._clock

    def _attempt(self, step: _Step, action: Callable[[], list[Check]]) -> list[Check]:
        """Return the lines of a step; what nobody translated is logged by its kind, for its text may hold anything."""
        try:
            return action()
        except ConsoleError as error:
            return [failed(step.what, error)]
        except Exception as error:
            log.error("verify %s, %s: unforeseen %s", self.path_type.name, step.what, type(error).__name__)
            text = f"This failed for a reason that the console did not foresee ({type(error).__name__})."
            return [Check("failed", step.what, text, "Look into the server's log.")]

    def _connect(self) -> list[Check]:
        endpoints = self.path_type.endpoints(self.parameters)
        if not endpoints:
            return []
        fields = self.path_type.form_class.base_fields
        return [dial(CONNECTING, endpoints, {name: str(one.label) for name, one in fields.items()}, CONNECT)]

    def _identify(self) -> list[Check]:
        try:
            check = self.path_type.identify(self.parameters)
        except StoreError as error:
            return [host_key_check(IDENTIFYING, error)]
        return [check] if check else []

    def _log_in(self) -> list[Check]:
        """Connect, which proves the account first and then the path; each gets a line of its own."""
        account = self.path_type.account_words(self.parameters, None)
        try:
            self.store = self.path_type.connect(self.parameters, self.secrets)
        except StoreError as error:
            if not self._is_of_path(error):
                return [host_key_check(AUTHENTICATING, error)]
            known = [Check("ok", AUTHENTICATING, account)] if account else []
            return [*known, failed(PATH, error)]
        account = self.path_type.account_words(self.parameters, self.store)
        known = [Check("ok", AUTHENTICATING, account)] if account else []
        return [*known, Check("ok", PATH, self.path_type.path_words(self.parameters, self.store))]

    def _is_of_path(self, error: StoreError) -> bool:
        if isinstance(error, AuthenticationFailed):
            return False
        if isinstance(error, BadPath | PathMissing | PermissionDenied | NoSpace):
            return error.field in (None, self.path_type.path_field)
        return error.field == self.path_type.path_field or not self.path_type.endpoints(self.parameters)

    def _probe(self) -> list[Check]:
        assert self.store is not None
        name = f"probe-{random.token_hex(8)}"
        try:
            self.ahead = probe(self.store, name, self.now)
        except StoreError as error:
            return [failed(PROBING, error, self.path_type.path_field)]
        return [Check("ok", PROBING, "A small file was written, read back, renamed and removed.")]

    def _space(self) -> list[Check]:
        assert self.store is not None
        return [space_check(FREE, self.store.free_space(), self.estimate())]

    def _clock(self) -> list[Check]:
        assert self.store is not None
        return [] if self.store.in_place or self.ahead is None else [clock_check(CLOCK, self.ahead)]
