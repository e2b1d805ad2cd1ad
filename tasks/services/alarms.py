"""Verbs on alarms: acknowledging one, taking that back, clearing one by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from tasks import alarms, audit, permissions
from tasks.audit import Actor
from tasks.errors import Refused
from tasks.models import Alarm
from tasks.moments import stamp
from tasks.services.common import require


def acknowledge_alarm(actor: Actor, alarm: Alarm, comment: str, now: datetime) -> None:
    """Note that somebody sees to an alarm, and why it may stay; it counts on, below those that nobody sees to.

    Raises ``Refused`` when it is cleared, or acknowledged by somebody else, and where ``comment`` is empty.
    """
    require(actor, permissions.RUN, "acknowledge alarm", alarm)
    comment = comment.strip()
    if not comment:
        raise Refused("The comment is missing.", cure="Say who sees to it and until when.", field="comment")
    with transaction.atomic():
        if not alarms.acknowledge(alarm, actor.name, comment, now):
            alarm.refresh_from_db()
            raise _not_raised(alarm) if alarm.cleared_at else _acknowledged(alarm)
        audit.record(actor, "acknowledge alarm", alarm, after={"comment": comment}, note=_about(alarm))


def acknowledge_alarms(actor: Actor, found: Iterable[Alarm], comment: str, now: datetime) -> int:
    """Acknowledge several alarms with one comment, all or none; return how many that nobody saw to it were."""
    count, wanted = 0, list(found)
    for alarm in wanted:
        # Before the transaction, with which the record of a refusal would be gone.
        require(actor, permissions.RUN, "acknowledge alarm", alarm)
    with transaction.atomic():
        for alarm in wanted:
            try:
                acknowledge_alarm(actor, alarm, comment, now)
            except Refused:
                # Cleared, or acknowledged by somebody else in this moment.
                if not comment.strip():
                    raise
                continue
            count += 1
    return count


def take_back_acknowledgement(actor: Actor, alarm: Alarm) -> None:
    """Let an alarm press again; raise ``Refused`` when it is cleared, or not acknowledged."""
    require(actor, permissions.RUN, "take back acknowledgement", alarm)
    with transaction.atomic():
        current = Alarm.objects.select_for_update().get(pk=alarm.pk)
        if not alarms.take_back(current):
            if current.cleared_at:
                raise _not_raised(current)
            raise Refused(f"The alarm of {alarm.place or alarm.subject} is not acknowledged.")
        before = {"comment": current.comment, "acknowledged_by": current.acknowledged_by}
        audit.record(actor, "take back acknowledgement", alarm, before=before, note=_about(alarm))


def clear_alarm(actor: Actor, alarm: Alarm, now: datetime) -> None:
    """Clear an alarm by hand; its cause raises it again where it is not gone.

    Raises ``Refused`` when it is cleared already, and for one that would come back at the next tick.
    """
    require(actor, permissions.RUN, "clear alarm", alarm)
    known = alarms.ALARMS.get(alarm.code)
    if known is not None and known.watched:
        raise Refused(f"{alarm.name} would come back within a minute.", cure="Acknowledge it, or put its cause right.")
    with transaction.atomic():
        if alarm.cleared_at or not alarms.clear(alarm.code, alarm.subject, actor.name, now):
            raise _not_raised(alarm)
        audit.record(actor, "clear alarm", alarm, note=_about(alarm))


def _about(alarm: Alarm) -> str:
    return f"{alarm.code}, {alarm.subject}"


def _not_raised(alarm: Alarm) -> Refused:
    return Refused(f"The alarm of {alarm.place or alarm.subject} is cleared already.")


def _acknowledged(alarm: Alarm) -> Refused:
    assert alarm.acknowledged_at is not None
    when = stamp(alarm.acknowledged_at)
    return Refused(
        f"{alarm.acknowledged_by} acknowledged the alarm of {alarm.place or alarm.subject} at {when}: {alarm.comment}",
        cure="Take that back first.",
    )
