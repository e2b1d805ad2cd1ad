"""The outbox: from what was written down to one message for each channel, and what becomes of each message.

A message is made in the transaction that marks its notices as collected, so that no crash loses or doubles one. Then
it is claimed (a conditional update, with a lease), sent, and recorded as sent. Two systems cannot change at the same
instant, so one gap is left: a message that its server took, whose courier was killed before it could write down the
receipt, is sent again when the lease has run out. That is a system call's time; in every other place a kill leaves
either no message sent or a receipt of it. A repeated mail has the Message-ID of the first one and a repeated webhook
its Idempotency-Key, by which the other side can drop it. Receipts lie on the host that sent.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Max, Min, OuterRef, Q, QuerySet

from tasks.models import MailServer, Notice, NotificationChannel, OutboxMessage, Pulse
from tasks.models.notification import Addressed
from tasks.notify.audience import Listener, listeners
from tasks.notify.delivery import receipts_path
from tasks.states import ChannelKind, MessageState

# Minutes from one attempt to the next; the last one repeats. All of them together are about a day.
PAUSES = (1, 2, 5, 10, 15, 30, 60)
SLOW_PAUSE = timedelta(minutes=30)
MAX_ATTEMPTS = 28
# Notices that are collected in one transaction.
COLLECTED_AT_ONCE = 5000
_LOCK = "notices"
OPEN = (MessageState.WAITING, MessageState.SENDING)
BY_CONSOLE_SERVER = Q(channel__kind=ChannelKind.MAIL, channel__own_server=False)


# --- From notices to messages ---------------------------------------------------------------------------------------
def collect(now: datetime) -> int:
    """Give every channel that is to be told of new notices one message that holds them; return how many there were.

    A message that nobody tried to send yet takes them in, so that ten thousand failures in a minute, or a server that
    is down for a day, make one message and not thousands.
    """
    collected = 0
    while True:
        number = _collect_batch(now)
        collected += number
        if number < COLLECTED_AT_ONCE:
            return collected


@transaction.atomic
def _collect_batch(now: datetime) -> int:
    batch = lock_batches(now) + 1
    fresh = Notice.objects.filter(batch__isnull=True).order_by("pk").values_list("pk", flat=True)
    number = Notice.objects.filter(pk__in=list(fresh[:COLLECTED_AT_ONCE])).update(batch=batch)
    if number:
        Pulse.objects.filter(name=_LOCK).update(at=now, detail=str(batch))
        found = Notice.objects.filter(batch=batch)
        for listener in listeners():
            for channel in listener.channels:
                if listener.at_once(found, channel).exists():
                    _extend(channel, batch, now)
    return number


def lock_batches(now: datetime) -> int:
    """Return the number of the last batch; nobody else makes one until the end of the transaction."""
    Pulse.objects.get_or_create(name=_LOCK, defaults={"at": now, "detail": "0"})
    row = Pulse.objects.select_for_update().get(name=_LOCK)
    newest = Notice.objects.aggregate(newest=Max("batch"))["newest"] or 0
    # Old notices are pruned, the count goes on.
    return max(newest, int(row.detail or 0))


def _extend(channel: NotificationChannel, batch: int, now: datetime) -> None:
    growing = OutboxMessage.objects.filter(
        channel=channel, state=MessageState.WAITING, kind=OutboxMessage.Kind.NOTICES, subject=""
    )
    if not growing.update(last_batch=batch):
        OutboxMessage.objects.create(
            channel=channel, first_batch=batch, last_batch=batch, created_at=now, next_attempt_at=now
        )


def notices_of(message: OutboxMessage) -> QuerySet[Notice]:
    """Return the notices of the batches of a message, whoever they concern."""
    return Notice.objects.filter(batch__gte=message.first_batch, batch__lte=message.last_batch)


def listener_of(message: OutboxMessage) -> Listener | None:
    """Return the person whom a message is for; None for one who has no access any more."""
    return next(iter(listeners([message.channel.user_id])), None)


# --- Sending --------------------------------------------------------------------------------------------------------
def due(now: datetime) -> QuerySet[OutboxMessage]:
    """Return the messages that may be sent now: of each channel the oldest open one, channels that fail last.

    One whose sender was lost is among them when its lease has run out. None goes through a mail server that is left
    alone after a failure.
    """
    ready = Q(state=MessageState.WAITING, next_attempt_at__lte=now) | Q(state=MessageState.SENDING, lease_until__lt=now)
    older = OutboxMessage.objects.filter(channel_id=OuterRef("channel_id"), pk__lt=OuterRef("pk"), state__in=OPEN)
    found = OutboxMessage.objects.filter(ready, ~Exists(older), channel__enabled=True)
    if MailServer.objects.filter(retry_at__gt=now).exists():
        found = found.exclude(BY_CONSOLE_SERVER)
    return found.order_by("channel__failures", "attempts", "pk")


def claim(now: datetime) -> OutboxMessage | None:
    """Take the next message and return it with its lease; None when there is none to be had.

    Of any number of callers at the same time one gets it.
    """
    while True:
        settle_receipts(now)
        pk = due(now).values_list("pk", flat=True).first()
        if pk is None:
            return None
        token = secrets.token_hex(16)
        free = Q(state=MessageState.WAITING) | Q(state=MessageState.SENDING, lease_until__lt=now)
        taken = OutboxMessage.objects.filter(free, pk=pk).update(
            state=MessageState.SENDING,
            lease_token=token,
            lease_until=now + lease_time(),
            attempts=F("attempts") + 1,
        )
        if taken:
            return OutboxMessage.objects.select_related("channel__user").get(pk=pk)


def lease_time() -> timedelta:
    """Return how long a message belongs to who claimed it: longer than its courier can live."""
    return timedelta(seconds=settings.NOTIFY_SECONDS + 60)


def _held(message: OutboxMessage) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(pk=message.pk, state=MessageState.SENDING, lease_token=message.lease_token)


def write(message: OutboxMessage, subject: str, body: str, mood: str) -> bool:
    """Fix what a message says, for this and every later attempt; False when it is no longer ours."""
    message.subject, message.body, message.mood = subject, body, mood
    return bool(_held(message).update(subject=subject, body=body, mood=mood))


def drop(message: OutboxMessage) -> None:
    """Take a message away that has nothing to tell any more."""
    _held(message).delete()


def record_sent(message: OutboxMessage, now: datetime) -> bool:
    """Record that a message was taken by its server; False when it is no longer ours."""
    ended = {"state": MessageState.SENT, "ended_at": now, "error": "", "cure": "", "lease_until": None}
    return bool(_held(message).update(**ended))


def put_back(message: OutboxMessage, error: str, cure: str, now: datetime, *, slowly: bool) -> bool:
    """Record why an attempt failed and when the next one is; False when there is none, and the message is given up."""
    if message.attempts >= MAX_ATTEMPTS:
        give_up(message, f"{error} Given up after {message.attempts} attempts.", cure, now)
        return False
    following = now + pause_after(message.attempts, slowly=slowly)
    _held(message).update(
        state=MessageState.WAITING, next_attempt_at=following, lease_until=None, error=error, cure=cure
    )
    return True


def pause_after(failures: int, *, slowly: bool) -> timedelta:
    """Return how long is waited after so many attempts that failed."""
    pause = timedelta(minutes=PAUSES[min(max(failures, 1), len(PAUSES)) - 1])
    return max(pause, SLOW_PAUSE) if slowly else pause


def hurry(what: Addressed, now: datetime) -> None:
    """Let what waits for a channel, or for the mail server of the console, be tried now: it works again."""
    ours = Q(channel=what) if isinstance(what, NotificationChannel) else BY_CONSOLE_SERVER
    waiting = OutboxMessage.objects.filter(ours, state=MessageState.WAITING, next_attempt_at__gt=now)
    OutboxMessage.objects.filter(pk__in=waiting.values("pk")).update(next_attempt_at=now)


def give_up(message: OutboxMessage, error: str, cure: str, now: datetime) -> None:
    """Record that a message is not sent, and why; a person may have it tried again."""
    _held(message).update(state=MessageState.FAILED, ended_at=now, lease_until=None, error=error, cure=cure)


# --- Receipts -------------------------------------------------------------------------------------------------------
def settle_receipts(now: datetime) -> int:
    """Record as sent what a courier sent whose sender did not live to record it; return how many that were."""
    path = receipts_path()
    open_ones = OutboxMessage.objects.filter(state=MessageState.SENDING)
    expired = open_ones.filter(lease_until__lt=now)
    if not expired.exists():
        return 0
    ended = expired.filter(key__in=_keys_in(path)).update(
        state=MessageState.SENT, ended_at=now, error="", cure="", lease_until=None
    )
    return int(ended)


def forget_receipts() -> None:
    """Empty the receipts when nothing is under way whose courier could still need them."""
    if not OutboxMessage.objects.filter(state=MessageState.SENDING).exists():
        receipts_path().unlink(missing_ok=True)


def _keys_in(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if len(line) == 36]


# --- Clearing up ----------------------------------------------------------------------------------------------------
def prune(now: datetime) -> int:
    """Remove messages that ended long ago, and notices that nobody needs any more; return how many rows."""
    old = now - timedelta(days=settings.NOTIFY_KEEP_DAYS)
    ended = OutboxMessage.objects.exclude(state__in=OPEN).filter(ended_at__lt=old)
    gone = _delete_some(ended)
    # Digests reach back over days on which the console did not run.
    notices = Notice.objects.filter(batch__isnull=False, at__lt=now - timedelta(days=8))
    oldest = OutboxMessage.objects.filter(state__in=OPEN, subject="").aggregate(first=Min("first_batch"))["first"]
    return gone + _delete_some(notices if oldest is None else notices.filter(batch__lt=oldest))


def _delete_some(rows: QuerySet[OutboxMessage] | QuerySet[Notice]) -> int:
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:COLLECTED_AT_ONCE])
    rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)
