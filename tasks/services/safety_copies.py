"""The verb on the safety copies that restorations leave: have them removed."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.auditing.refusals import on_record_when_refused
from tasks.engine import dispatch
from tasks.engine.restore import standing
from tasks.errors import Refused
from tasks.models import Run
from tasks.services.common import require
from tasks.services.restorations import locked_restoration
from tasks.states import ACTIVE, RunState


@on_record_when_refused("remove safety copies")
def remove_safety_copies(actor: Actor, run: Run, typed: str, now: datetime) -> None:
    """Have all safety copies of a restoration run removed; the workers do it at once, and it cannot be undone.

    Raises ``Refused`` for the field ``typed`` unless it is the cluster's name to the letter, and while the copies may
    still be needed.
    """
    require(actor, permissions.RESTORE, "remove safety copies", run.thing)
    with transaction.atomic():
        assert run.restoration is not None
        current = locked_restoration(run.restoration)
        copies = standing.kept_copies(run)
        if not copies.exists():
            raise Refused("There is no safety copy of this run any more.")
        if typed != run.cluster.name:
            raise Refused("This is not the name of the cluster.", cure=f"Type {run.cluster.name}.", field="typed")
        if current.runs.filter(state__in=ACTIVE).exists() or current.last_state == RunState.UNKNOWN:
            raise Refused("The safety copy may still be needed.", cure="Wait until the restoration has ended well.")
        count = copies.update(keep_until=now)
        audit.record(actor, "remove safety copies", current, note=f"run {run.pk}, {count} directories")
    dispatch.request_tick()
