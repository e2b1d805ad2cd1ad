"""The verbs on the maintenance switch: setting it, changing why and until when, and ending it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine import dispatch
from tasks.errors import Refused
from tasks.maintenance import END, about
from tasks.models import Maintenance
from tasks.services.common import changes, require, values_of

_AUDITED = ("since", "until", "reason", "set_by")


def set_maintenance(actor: Actor, reason: str, until: datetime | None, now: datetime) -> Maintenance:
    """Turn the switch on: from here on no new run starts, of whatever kind; what is running finishes.

    Raises ``Refused`` naming the field where the reason is missing or ``until`` is over, and where the switch is on.
    """
    require(actor, permissions.SYSTEM, "set maintenance", Maintenance(pk=1))
    with transaction.atomic():
        switch = Maintenance.locked()
        if switch.on(now):
            raise Refused(f"Maintenance is on already, {about(switch)}.", cure="End it first, or change it.")
        _decide(switch, reason, until, now)
        switch.since, switch.set_by, switch.ended_at, switch.ended_by = now, actor.name, None, ""
        switch.save()
        audit.record(actor, "set maintenance", switch, after=values_of(switch, _AUDITED))
    return switch


def change_maintenance(actor: Actor, reason: str, until: datetime | None, now: datetime) -> Maintenance:
    """Change why the switch is on, and until when.

    Raises ``Refused`` naming the field as ``set_maintenance`` does, and while the switch is off.
    """
    require(actor, permissions.SYSTEM, "change maintenance", Maintenance(pk=1))
    with transaction.atomic():
        switch = _on(now)
        before = values_of(switch, _AUDITED)
        _decide(switch, reason, until, now)
        switch.save()
        old, new = changes(before, values_of(switch, _AUDITED))
        audit.record(actor, "change maintenance", switch, before=old, after=new)
    return switch


def end_maintenance(actor: Actor, now: datetime) -> None:
    """Turn the switch off, and start what waited. Raises ``Refused`` while it is off."""
    require(actor, permissions.SYSTEM, END, Maintenance(pk=1))
    with transaction.atomic():
        switch = _on(now)
        switch.ended_at, switch.ended_by = now, actor.name
        switch.save()
        audit.record(actor, END, switch, note=f"It was {about(switch)}.")
    dispatch.offer(now)


def _on(now: datetime) -> Maintenance:
    switch = Maintenance.locked()
    if not switch.on(now):
        raise Refused("Maintenance is off: it was ended meanwhile.")
    return switch


def _decide(switch: Maintenance, reason: str, until: datetime | None, now: datetime) -> None:
    switch.reason, switch.until = " ".join(reason.split()), until
    limit = Maintenance._meta.get_field("reason").max_length
    assert limit is not None
    if not switch.reason:
        raise Refused("The reason is missing.", cure="Say why no run may start: everybody reads it.", field="reason")
    if len(switch.reason) > limit:
        raise Refused(f"The reason has {len(switch.reason)} characters.", cure=f"Use {limit} at most.", field="reason")
    if until is not None and until <= now:
        raise Refused("The end lies in the past.", cure="Give a later moment, or none.", field="until")
