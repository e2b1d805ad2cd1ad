"""Sending what is in the outbox: called by the queue once a minute when there is something to do, beside all runs.

One sender works at a time. It has a budget of time, so that servers that hang hold its worker for a minute and no
longer; what is left is sent by the next one. Each message has its own hard limit (``delivery``).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from tasks.models import MailServer, Notice, NotificationSetting, OutboxMessage, Pulse
from tasks.notify import channels, digest, health, outbox
from tasks.notify.causes import Again, Cause, explain
from tasks.notify.channels import NotSetUp
from tasks.notify.composing import compose
from tasks.notify.delivery import Delivery, Parcel
from tasks.vault import KeyLost

log = logging.getLogger(__name__)
BUDGET = timedelta(seconds=45)
_SENDER, _IDLE = "sender", "idle"
Clock = Callable[[], datetime]


def wanted(now: datetime) -> bool:
    """Tell whether a sender would have something to do and none is at work."""
    if _at_work(now):
        return False
    return (
        Notice.objects.filter(batch__isnull=True).exists()
        or outbox.due(now).exists()
        or NotificationSetting.objects.exists()
        or OutboxMessage.objects.exists()
    )


def _at_work(now: datetime) -> bool:
    return Pulse.objects.filter(name=_SENDER, at__gt=now - _silence()).exclude(detail=_IDLE).exists()


def _silence() -> timedelta:
    """Return after how long a sender counts as lost that has not shown a sign of life: one message takes less."""
    return outbox.lease_time()


def run(clock: Clock = timezone.now) -> int:
    """Collect what is new, make digests, send what is due within ``BUDGET``, clear up; return how many were sent."""
    token = _take(clock())
    if token is None:
        return 0
    try:
        outbox.settle_receipts(clock())
        outbox.forget_receipts()
        outbox.collect(clock())
        digest.queue_due(clock())
        sent = _send_all(token, clock)
        outbox.prune(clock())
        return sent
    finally:
        Pulse.objects.filter(name=_SENDER, detail=token).update(detail=_IDLE)


def _take(now: datetime) -> str | None:
    """Become the sender; None where one is at work."""
    token = secrets.token_hex(8)
    Pulse.objects.get_or_create(name=_SENDER, defaults={"at": now, "detail": _IDLE})
    free = Q(detail=_IDLE) | Q(at__lte=now - _silence()) | Q(at__gt=now + _silence())
    taken = Pulse.objects.filter(free, name=_SENDER).update(at=now, detail=token)
    return token if taken else None


def _send_all(token: str, clock: Clock) -> int:
    end, sent = clock() + BUDGET, 0
    with Delivery() as delivery:
        while clock() < end and Pulse.objects.filter(name=_SENDER, detail=token).update(at=clock()):
            message = outbox.claim(clock())
            if message is None:
                break
            sent += deliver(message, delivery, clock)
    return sent


def deliver(message: OutboxMessage, delivery: Delivery, clock: Clock) -> bool:
    """Send one claimed message and record what came of it; True when its server took it."""
    try:
        parcel = _parcel(message)
    except NotSetUp as error:
        return _failed(message, Cause(str(error), error.cure, of_server=True), clock())
    except KeyLost:
        cause = Cause(
            "The stored secret cannot be decrypted: the console's key for secrets is another one than when it was "
            "saved.",
            "Bring back the key file, or type the secret of the channel again.",
            Again.SLOWLY,
            of_server=True,
        )
        return _failed(message, cause, clock())
    if parcel is None:
        outbox.drop(message)
        return False
    result = delivery.send(parcel)
    if result.ok:
        outbox.record_sent(message, clock())
        health.worked(message.channel, clock())
        return True
    return _failed(message, explain(result.fault), clock())


def _parcel(message: OutboxMessage) -> Parcel | None:
    """Return what is sent, written now or at an earlier attempt; None where nothing of it concerns the person now."""
    listener = outbox.listener_of(message)
    if listener is None:
        return None
    if not message.subject:
        letter = compose(listener, message)
        if letter is None or not outbox.write(message, *letter):
            return None
    return channels.parcel_of(
        message.channel,
        MailServer.current(),
        key=str(message.key),
        subject=message.subject,
        body=message.body,
        mood=message.mood,
    )


def _failed(message: OutboxMessage, cause: Cause, now: datetime) -> bool:
    channel = message.channel
    log.warning("a message to channel %s could not be sent: %s", channel.pk, cause.text)
    if cause.again == Again.NEVER:
        outbox.give_up(message, cause.text, cause.cure, now)
    else:
        outbox.put_back(message, cause.text, cause.cure, now, slowly=cause.again == Again.SLOWLY)
    health.failed(health.culprit(channel, cause), cause, now)
    return False
