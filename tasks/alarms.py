"""Alarms: raising what needs somebody, and clearing it when its cause is gone.

The table is the truth about names, severities and what clears each of them; 12034, 12035 and 12057 are those of
FusionInsight (ALM-12034, ALM-12035, ALM-12057), with their names and severities. An alarm is raised and cleared in the
transaction that records its cause, so that neither is ever there without the other; what only time brings about is
looked after by the tick (``tasks.engine.watches``). ``raise_alarm`` and ``clear`` are the only way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from tasks.keptsql import KeptQuery
from tasks.models import Alarm, Cluster
from tasks.models.alarm import ACKNOWLEDGED, SEVERITIES
from tasks.notify import notices
from tasks.scope import Limited, narrowed
from tasks.states import Severity


@dataclass(frozen=True)
class AlarmType:
    """One line of the table.

    ``raised`` completes the sentence "Raised when …", ``cleared`` "Cleared by …". One that is ``watched`` is looked at
    again and again: cleared by hand it would only come back.
    """

    name: str
    severity: Severity
    raised: str
    cleared: str
    number: str = ""
    watched: bool = False


ALARMS: dict[str, AlarmType] = {
    "backup-failed": AlarmType(
        "Periodical Backup Failure",
        Severity.MAJOR,
        "a run that the schedule started fails; runs that people start raise none",
        "the next success of the task",
        number="12034",
    ),
    "restoration-unknown": AlarmType(
        "Unknown Data Status After Recovery Task Failure",
        Severity.CRITICAL,
        "a restoration fails, and so does the way back to what was there before",
        "the next successful restoration or rollback",
        number="12035",
    ),
    "no-remote-task": AlarmType(
        "Metadata Not Configured with the Task to Periodically Back Up Data to a Third-Party Server",
        Severity.MAJOR,
        "the hourly check finds a service whose metadata no periodic task sends to another host; LocalDir does not "
        "count, nor does a task that is suspended or late with its first success",
        "such a task, within two minutes of its creation",
        number="12057",
        watched=True,
    ),
    "task-overdue": AlarmType(
        "Backup Overdue",
        Severity.MAJOR,
        "a start of a periodic task has passed and nothing has succeeded since: it was postponed, waits, or never "
        "started",
        "the next success of the task, or another schedule",
        watched=True,
    ),
    "workers-silent": AlarmType(
        "Workers Silent",
        Severity.CRITICAL,
        "the workers give no sign of life: no backup is started, and nothing is watched",
        "the next tick of the workers",
        watched=True,
    ),
    "key-lost": AlarmType(
        "Key of Stored Passwords Lost",
        Severity.CRITICAL,
        "stored passwords or keys are there that none of SECRETS_KEYS opens",
        "the key that opens them, or new passwords on the pages they belong to",
        watched=True,
    ),
    "set-damaged": AlarmType(
        "Backup File Set Damaged",
        Severity.MAJOR,
        "a check finds a set that is not as it was written",
        "a check that finds the set whole, or its removal by retention",
    ),
    "host-key-changed": AlarmType(
        "Host Key Changed",
        Severity.MAJOR,
        "a server shows another host key than the one that was confirmed; nothing is sent to it",
        "a run that finds the confirmed key again, or the confirmation of the new one",
    ),
    "rehearsal-failed": AlarmType(
        "Rehearsal Failed",
        Severity.MAJOR,
        "a set cannot be restored and started in a rehearsal",
        "the next successful rehearsal of the task",
    ),
    "proof-overdue": AlarmType(
        "Proof Overdue",
        Severity.MINOR,
        "a check or rehearsal is a day later than the task's limit",
        "the check or rehearsal that is due, or another limit on the task",
        watched=True,
    ),
    "clock-drift": AlarmType(
        "Clock Drift",
        Severity.MINOR,
        "the clock of a host, a destination or the database differs from the console's by more than "
        "CLOCK_DRIFT_SECONDS, or the console's own was set back",
        "the next run that finds the clocks together again",
    ),
    "space-low": AlarmType(
        "Space Low",
        Severity.MAJOR,
        "a destination, or a disk of the console itself, has little room left or will be full soon",
        "room that is found there again",
    ),
    "notification-failed": AlarmType(
        "Notification Failed",
        Severity.MINOR,
        "messages of a channel do not get through",
        "the next message that gets through, or a change of the channel",
    ),
    "audit-broken": AlarmType(
        "Audit Broken",
        Severity.CRITICAL,
        "a verification finds events of the audit changed or gone",
        "a verification that finds the chain whole, or verifyaudit --accept",
        watched=True,
    ),
}
CONSOLE = "console"


@dataclass(frozen=True)
class Told:
    """What an alarm says: the arguments of ``raise_alarm`` of the same names."""

    cause: str
    cure: str = ""
    place: str = ""
    cluster: Cluster | None = None
    link: str = ""


@dataclass(frozen=True)
class Counts:
    """How many alarms are not cleared: by severity, the most serious first, and how many of all are acknowledged."""

    by_severity: dict[Severity, int]
    acknowledged: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_severity.values())

    @property
    def pressing(self) -> int:
        """Those that nobody has acknowledged."""
        return self.total - self.acknowledged


def uncleared() -> QuerySet[Alarm]:
    """Return the alarms whose cause is not gone."""
    return Alarm.objects.filter(cleared_at__isnull=True)


def counts(user: Any) -> Counts:
    """Count the alarms that ``user`` may see and that are not cleared; one query, of an index alone."""
    found: dict[int, int] = dict(_COUNTS.rows(Limited.like(user)))
    numbers = {
        severity: found.get(place, 0) + found.get(place + ACKNOWLEDGED, 0) for place, severity in enumerate(SEVERITIES)
    }
    acknowledged = sum(number for urgency, number in found.items() if urgency >= ACKNOWLEDGED)
    return Counts({severity: number for severity, number in numbers.items() if number}, acknowledged)


@transaction.atomic
def raise_alarm(
    code: str,
    subject: str,
    *,
    cause: str,
    cure: str = "",
    place: str = "",
    cluster: Cluster | None = None,
    link: str = "",
    now: datetime | None = None,
) -> Alarm:
    """Raise the alarm ``code`` of ``subject`` (``task 7``, ``run 12``), or renew the one that is raised already.

    Of any number of callers at the same time one raises it and the others renew it. ``cause`` and ``cure`` are for
    the administrator and hold no secret; moments in them are ``moments.stamp``. ``place`` is the thing's name as people
    know it, ``link`` a path of the console. Raises KeyError for a code that the table does not have.
    """
    known, moment = ALARMS[code], now or timezone.now()
    told = {
        "severity": known.severity,
        "name": known.name,
        "cause": cause,
        "cure": cure,
        "place": place[:150],
        "cluster": cluster,
        "link": link,
        "renewed_at": moment,
    }
    while True:
        raised = uncleared().filter(code=code, subject=subject)
        if raised.update(**told):
            return raised.get()
        try:
            with transaction.atomic():
                alarm = Alarm.objects.create(code=code, subject=subject, raised_at=moment, **told)
        except IntegrityError:
            # Somebody raised it in this very moment; unless it was cleared in the next one, it is there to be renewed.
            continue
        notices.alarm_raised(alarm, moment)
        return alarm


def clear(code: str, subject: str, by: str = CONSOLE, now: datetime | None = None) -> bool:
    """Clear the alarm ``code`` of ``subject``; return False where none was raised."""
    return bool(_clear(uncleared().filter(code=code, subject=subject), by, now))


def clear_all_of(subjects: list[str], by: str = CONSOLE, now: datetime | None = None, *codes: str) -> int:
    """Clear what was raised of ``subjects``, or only the alarms ``codes`` of them; return how many that were."""
    raised = uncleared().filter(subject__in=subjects)
    if codes:
        raised = raised.filter(code__in=codes)
    return _clear(raised, by, now)


@transaction.atomic
def _clear(raised: QuerySet[Alarm], by: str, now: datetime | None) -> int:
    """Clear ``raised`` and have it told; of any number of callers at the same time one clears each alarm."""
    moment = now or timezone.now()
    found = list(raised.select_for_update())
    if found:
        raised.filter(pk__in=[alarm.pk for alarm in found]).update(cleared_at=moment, cleared_by=by[:150])
        notices.alarms_cleared(found, moment)
    return len(found)


def acknowledge(alarm: Alarm, by: str, comment: str, now: datetime) -> bool:
    """Note that somebody knows of the alarm and why it may stay; False where it is cleared or acknowledged already.

    It stays so until it is cleared, also where its cause renews it.
    """
    same = uncleared().filter(pk=alarm.pk, acknowledged_at__isnull=True)
    return bool(same.update(acknowledged_at=now, acknowledged_by=by[:150], comment=comment))


def take_back(alarm: Alarm) -> bool:
    """Take an acknowledgement back; False where the alarm is cleared, or not acknowledged (any more)."""
    same = uncleared().filter(pk=alarm.pk, acknowledged_at__isnull=False)
    return bool(same.update(acknowledged_at=None, acknowledged_by="", comment=""))


_COUNTS = KeptQuery(
    lambda whose: narrowed(uncleared(), whose).order_by().values_list("urgency").annotate(number=Count("*"))
)
