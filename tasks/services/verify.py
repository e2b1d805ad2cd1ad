"""The verb Verify: try a destination, as it stands in a form or as a task has stored it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from storage.base import PathType
from storage.checks import Check
from storage.registry import get_path_type
from storage.verification import CLOCK, IDENTIFYING, verify
from tasks import alarms, audit, permissions
from tasks.audit import Actor
from tasks.engine import hostkeys
from tasks.engine.watches import clocks
from tasks.models import BackupTask, Service
from tasks.services.common import require
from tasks.services.estimate import room_needed
from tasks.vault import KeyLost

VERB = "verify destination"
# A verification or a search holds one of the web server's few threads; the pages need the others.
slots = threading.BoundedSemaphore(2)
STORED_PASSWORD = "Stored password"
LEVEL_WORDS = {"ok": "OK", "warning": "warning", "failed": "failed"}


@dataclass(frozen=True)
class DestinationDraft:
    """A destination that is not saved: what was typed, for ``task``, which may not be saved either."""

    task: BackupTask
    path_type: PathType
    parameters: Mapping[str, Any]
    copies: int
    services: list[Service]
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)


def verify_destination(actor: Actor, task: BackupTask) -> Iterator[Check]:
    """Try the destination of a saved task; the lines come as the steps end.

    Raises ``PermissionDenied`` at once. The attempt is on record when the last line was taken, or nobody took more.
    """
    require(actor, permissions.RUN, VERB, task)
    draft = DestinationDraft(
        task=task,
        path_type=get_path_type(task.path_type),
        parameters=task.destination,
        copies=task.copies,
        services=list(task.chosen_services().select_related("cluster")),
    )
    return _noted(task, _verified(actor, draft))


def _noted(task: BackupTask, checks: Iterator[Check]) -> Iterator[Check]:
    """Pass the lines on, and let the alarms of a saved task follow what is seen of its server."""
    subject = f"task {task.pk}"
    for check in checks:
        if check.what == IDENTIFYING and check.level == "failed" and check.offer:
            hostkeys.shown(task, check.detail, check.cure, timezone.now())
        elif check.what == IDENTIFYING and check.level == "ok":
            alarms.clear(hostkeys.CODE, subject, now=timezone.now())
        elif check.what == CLOCK and check.level == "ok":
            alarms.clear(clocks.CODE, subject, now=timezone.now())
        yield check


def verify_draft(actor: Actor, draft: DestinationDraft) -> Iterator[Check]:
    """Try a destination before it is saved; of a saved task the stored secrets are used where none was typed.

    The form has seen to it that these go to the server and account only that they were given for.
    """
    require(actor, permissions.MANAGE, VERB, draft.task)
    for service in draft.services:
        require(actor, permissions.MANAGE, VERB, service)
    return _verified(actor, draft)


def _verified(actor: Actor, draft: DestinationDraft) -> Iterator[Check]:
    if not slots.acquire(blocking=False):
        yield Check("failed", "Verify", "Other destinations are being verified at the moment.", "Try again in 15 s.")
        return
    seen: list[Check] = []
    try:
        for check in _checks(draft):
            seen.append(check)
            yield check
    finally:
        slots.release()
        place = f"{draft.path_type.name} {draft.path_type.summary(draft.parameters)}".strip()
        audit.record(actor, VERB, draft.task, after={"destination": dict(draft.parameters)}, note=_note(place, seen))


def _checks(draft: DestinationDraft) -> Iterator[Check]:
    try:
        stored = draft.task.secrets() if draft.task.pk else {}
    except KeyLost as lost:
        if not draft.typed:
            yield Check("failed", STORED_PASSWORD, lost.message, lost.cure, lost.field)
            return
        stored = {}
    yield from verify(
        draft.path_type,
        draft.parameters,
        draft.path_type.merge_secrets(stored, draft.typed),
        estimate=room_needed(draft.task, draft.services, draft.copies),
        now=timezone.now,
    )


def totals(checks: list[Check]) -> str:
    """Return how many lines are what: ``5 OK, 1 warning, 1 failed``."""
    counts: Counter[str] = Counter(check.level for check in checks)
    words = [f"{counts[level]} {_plural(word, counts[level])}" for level, word in LEVEL_WORDS.items() if counts[level]]
    return ", ".join(words) or "Nothing was tried"


def _plural(word: str, count: int) -> str:
    return "warnings" if word == "warning" and count > 1 else word


def _note(place: str, seen: list[Check]) -> str:
    failed = [check.what for check in seen if check.level == "failed"]
    return f"{place}: {totals(seen)}{': ' if failed else ''}{', '.join(failed)}"
