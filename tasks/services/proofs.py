"""Verbs on sets: having them proven."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine import dispatch, proofs, rehearsable
from tasks.maintenance import require_off
from tasks.models import Run
from tasks.services.common import require
from tasks.states import Kind, Trigger


def check_set(actor: Actor, run: Run, now: datetime) -> Run:
    """Queue a check of the set of a backup ``run`` and hand it to the workers; return the run of the check.

    Raises ``Refused`` where the set was removed, or a proof of it waits or runs, naming who started it and when; and
    during maintenance.
    """
    require(actor, permissions.RUN, "check set", run.thing)
    require_off(now)
    with transaction.atomic():
        check = proofs.queue_proof(Kind.CHECK, run, Trigger.PERSON, now, actor)
        audit.record(actor, "check set", run.thing, note=f"set of run {run.pk}, run {check.pk}")
    dispatch.offer(now)
    return check


def rehearse(actor: Actor, run: Run, now: datetime) -> Run:
    """Queue a rehearsal of the set of a backup ``run`` and hand it to the workers; return the run of the rehearsal.

    Raises ``Lacking``, with the cure, where this machine lacks what a rehearsal needs, and ``Refused`` as ``check_set``
    does.
    """
    require(actor, permissions.RUN, "rehearse set", run.thing)
    require_off(now)
    refused = rehearsable.refusal(rehearsable.lacking_for(run))
    if refused is not None:
        raise refused
    with transaction.atomic():
        rehearsal = proofs.queue_proof(Kind.REHEARSAL, run, Trigger.PERSON, now, actor)
        audit.record(actor, "rehearse set", run.thing, note=f"set of run {run.pk}, run {rehearsal.pk}")
    dispatch.offer(now)
    return rehearsal
