"""The verb on alarms: clearing one by hand."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks import alarms, audit, permissions
from tasks.audit import Actor
from tasks.errors import Refused
from tasks.models import Alarm
from tasks.services.common import require


def clear_alarm(actor: Actor, alarm: Alarm, now: datetime) -> None:
    """Clear an alarm by hand; its cause raises it again where it is not gone.

    Raises ``Refused`` when it is cleared already.
    """
    require(actor, permissions.RUN, "clear alarm", alarm)
    with transaction.atomic():
        if not alarms.clear(alarm.code, alarm.subject, actor.name, now):
            raise Refused(f"The alarm of {alarm.place or alarm.subject} is cleared already.")
        audit.record(actor, "clear alarm", alarm, note=f"{alarm.code}, {alarm.subject}")
