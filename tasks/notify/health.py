"""Whether channels work: attempts that fail in a row are counted, and an alarm says when they do not stop failing."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.urls import reverse

from tasks import alarms
from tasks.models import MailServer, NotificationChannel
from tasks.models.notification import Addressed
from tasks.notify import outbox
from tasks.notify.audience import FAILING
from tasks.notify.causes import Again, Cause

# From so many attempts in a row on it is no accident.
ALARM_AFTER = 3


def culprit(channel: NotificationChannel, cause: Cause) -> Addressed:
    """Return what fails: the channel, or the mail server of the console, on which many channels depend."""
    return MailServer.load() if channel.by_console_server and cause.of_server else channel


@transaction.atomic
def failed(what: Addressed, cause: Cause, now: datetime) -> None:
    """Count one attempt that failed; raise the alarm, or renew it, when there were too many in a row."""
    row = type(what)._base_manager.select_for_update().get(pk=what.pk)
    row.failures += 1
    row.failing_since = row.failing_since or now
    row.problem = f"{cause.text} {cause.cure}"
    row.save(update_fields=("failures", "failing_since", "problem"))
    if isinstance(row, MailServer):
        pause = outbox.pause_after(row.failures, slowly=cause.again == Again.SLOWLY)
        MailServer.objects.filter(pk=row.pk).update(retry_at=now + pause)
    if row.failures >= ALARM_AFTER:
        alarms.raise_alarm(
            FAILING,
            subject_of(row),
            cause=f"{row.failures} attempts in a row failed. {cause.text}",
            cure=cause.cure,
            place=place_of(row),
            link=reverse("notifications-system" if isinstance(row, MailServer) else "notifications"),
            now=now,
        )


@transaction.atomic
def worked(what: Addressed, now: datetime) -> None:
    """Record that a message got through just now."""
    if isinstance(what, NotificationChannel):
        NotificationChannel.objects.filter(pk=what.pk).update(delivered_at=now)
        if what.by_console_server:
            worked(MailServer.load(), now)
    start_afresh(what, now)


@transaction.atomic
def start_afresh(what: Addressed, now: datetime, by: str = alarms.CONSOLE) -> None:
    """Forget the failures of what works, was changed or is about to go, and clear its alarm."""
    rows = type(what)._base_manager.filter(pk=what.pk)
    if rows.filter(failures__gt=0).update(failures=0, failing_since=None, problem=""):
        alarms.clear(FAILING, subject_of(what), by, now)
        if isinstance(what, MailServer):
            MailServer.objects.filter(pk=what.pk).update(retry_at=None)
        outbox.hurry(what, now)


def subject_of(what: Addressed) -> str:
    """Return the subject of alarms about a channel or the mail server."""
    return "mail server" if isinstance(what, MailServer) else f"channel {what.pk}"


def place_of(what: Addressed) -> str:
    """Return its name as people know it."""
    return f"{what.name} of {what.user}" if isinstance(what, NotificationChannel) else str(what)
