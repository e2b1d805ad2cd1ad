"""What a console that was read back from a save must not believe any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import transaction

from tasks import audit
from tasks.engine.outcome import Outcome
from tasks.engine.record import finish, write_line
from tasks.engine.restore.settling import LOST
from tasks.models import ManagementNodes, Run
from tasks.moments import stamp
from tasks.sealedrows import SEALED, lost
from tasks.states import ACTIVE, RunState

CODE = "console-restored"


@dataclass(frozen=True)
class Settled:
    """What was done: runs that were ended, and the things whose stored passwords no key opens."""

    ended: int
    lost: list[str]


@transaction.atomic
def settle(saved_at: datetime, now: datetime) -> Settled:
    """End what was under way when the save was made, and every login; write an audit event.

    A restoration that had begun to change its cluster becomes *Unknown* and is never rolled back by itself: hours or
    days lie between the save and now, and only a person can see how it ended.
    """
    reason = (
        f"The console was read back from its save of {stamp(saved_at)}, when this was under way. "
        "How it ended is not known here."
    )
    active = list(Run.objects.filter(state__in=ACTIVE).order_by("pk").values_list("pk", flat=True))
    for run_id in active:
        if finish(run_id, Outcome(RunState.FAILED, reason, CODE), now):
            write_line(run_id, "WARN", reason)
    Run.objects.filter(state=RunState.UNKNOWN, error_code__in=LOST).update(error_code=CODE)
    Session.objects.all().delete()
    audit.record(
        audit.CONSOLE, "read console back", ManagementNodes.current(), note=f"The save is of {stamp(saved_at)}."
    )
    unopened = [f"{kind.noun} {row}" for kind in SEALED for row in lost(kind.used().order_by("pk"))]
    return Settled(len(active), unopened)
