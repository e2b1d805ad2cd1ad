"""The maintenance switch in words: why a run does not start, and since when; and its end once its time is over."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks import audit
from tasks.errors import Refused
from tasks.models import Maintenance
from tasks.moments import stamp

END = "end maintenance"


def require_off(now: datetime) -> None:
    """Raise ``Refused`` while the switch is on, naming who set it, when, why and until when."""
    switch = Maintenance.current()
    if switch.on(now):
        raise refusal(switch)


def refusal(switch: Maintenance) -> Refused:
    """Return the refusal to start anything while ``switch`` is on."""
    until = f"It ends by itself at {stamp(switch.until)}." if switch.until else f"Ask {switch.set_by} when it ends."
    return Refused(f"No run starts during maintenance, {about(switch)}.", cure=until)


def about(switch: Maintenance) -> str:
    """Return who set a switch that is or was on, when and why, for a text that is stored."""
    assert switch.since is not None
    return f"set by {switch.set_by} at {stamp(switch.since)}: {switch.reason.rstrip('.')}"


def lapse(now: datetime) -> bool:
    """Put on record that the maintenance ended by itself, once its time is over; return whether it just did."""
    if not _over(Maintenance.current(), now):
        return False
    with transaction.atomic():
        switch = Maintenance.locked()
        if not _over(switch, now):
            return False
        switch.ended_at, switch.ended_by = switch.until, audit.CONSOLE.name
        switch.save()
        audit.record(audit.CONSOLE, END, switch, note=f"Its time was over. It was {about(switch)}.")
    return True


def _over(switch: Maintenance, now: datetime) -> bool:
    return switch.since is not None and switch.ended_at is None and not switch.on(now)
