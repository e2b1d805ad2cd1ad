"""Alarms: raising what needs somebody, and clearing it when its cause is gone.

The table is the truth about names, severities and what clears each of them; 12034 and 12035 are those of FusionInsight
(ALM-12034, ALM-12035), with their names and severities. An alarm is raised and cleared in the transaction that records
its cause, so that neither is ever there without the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from tasks.models import Alarm, Cluster
from tasks.notify import notices
from tasks.scope import narrowed
from tasks.states import Severity


@dataclass(frozen=True)
class AlarmType:
    """One line of the table.

    ``cleared`` completes the sentence "Cleared by …"; ``action`` is the word of the link to where one acts.
    """

    name: str
    severity: Severity
    cleared: str
    number: str = ""
    action: str = "View History"


ALARMS: dict[str, AlarmType] = {
    "backup-failed": AlarmType(
        "Periodical Backup Failure", Severity.MAJOR, "the next success of the task", number="12034"
    ),
    "restoration-unknown": AlarmType(
        "Unknown Data Status After Recovery Task Failure",
        Severity.CRITICAL,
        "the next successful restoration or rollback",
        number="12035",
        action="Show steps",
    ),
    "set-damaged": AlarmType(
        "Backup File Set Damaged", Severity.MAJOR, "a check that finds the set whole, or its removal by retention"
    ),
    "rehearsal-failed": AlarmType("Rehearsal Failed", Severity.MAJOR, "the next successful rehearsal of the task"),
    "proof-overdue": AlarmType(
        "Proof Overdue", Severity.MINOR, "the check or rehearsal that is due, or another limit on the task"
    ),
    "space-low": AlarmType("Space Low", Severity.MAJOR, "room that is found there again", action="Show tasks"),
    "notification-failed": AlarmType(
        "Notification Failed",
        Severity.MINOR,
        "the next message that gets through, or a change of the channel",
        action="Show notifications",
    ),
    "audit-broken": AlarmType(
        "Audit Broken",
        Severity.CRITICAL,
        "a verification that finds the chain whole, or verifyaudit --accept",
        action="Show audit",
    ),
}
# The most serious first, as the page lists them.
SEVERITIES = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.SUGGESTION)
CONSOLE = "console"


def uncleared() -> QuerySet[Alarm]:
    """Return the alarms whose cause is not gone."""
    return Alarm.objects.filter(cleared_at__isnull=True)


def counts(user: Any) -> dict[str, int]:
    """Return how many alarms that ``user`` may see are not cleared, by severity, the most serious first; one query."""
    found = dict(narrowed(uncleared(), user).order_by().values_list("severity").annotate(number=Count("pk")))
    return {severity: found[severity] for severity in SEVERITIES if found.get(severity)}


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


def clear_all_of(subjects: list[str], by: str = CONSOLE, now: datetime | None = None) -> int:
    """Clear whatever was raised of ``subjects``, which are no more, and return how many alarms that were."""
    return _clear(uncleared().filter(subject__in=subjects), by, now)


@transaction.atomic
def _clear(raised: QuerySet[Alarm], by: str, now: datetime | None) -> int:
    """Clear ``raised`` and have it told; of any number of callers at the same time one clears each alarm."""
    moment = now or timezone.now()
    found = list(raised.select_for_update())
    if found:
        raised.filter(pk__in=[alarm.pk for alarm in found]).update(cleared_at=moment, cleared_by=by[:150])
        notices.alarms_cleared(found, moment)
    return len(found)
