"""The daily digest: one message a day, at an hour of the person's zone, whatever crashed and whatever clocks did."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

from django.db import IntegrityError, transaction
from django.utils import timezone

from tasks.middleware import zone_named
from tasks.models import NotificationSetting, OutboxMessage, Preference
from tasks.notify.audience import Listener, listeners
from tasks.notify.outbox import lock_batches


def last_day(hour: int, zone: tzinfo, now: datetime) -> date:
    """Return the day whose digest moment is the last one that has come.

    A moment that the zone skips in spring comes as much later as the gap is long, one that comes twice in autumn is
    the first of the two, as with tasks (``tasks.schedule``). Pure.
    """
    today = now.astimezone(zone).date()
    moment = datetime.combine(today, time(hour), tzinfo=zone)
    return today if moment.timestamp() <= now.timestamp() else today - timedelta(days=1)


def zones_of(user_ids: list[int]) -> dict[int, tzinfo]:
    """Return the zone that each person chose, the console's for the others; one query."""
    chosen = dict(Preference.objects.filter(user_id__in=user_ids).values_list("user_id", "zone"))
    server = timezone.get_default_timezone()
    return {user_id: zone_named(chosen.get(user_id)) or server for user_id in user_ids}


def queue_due(now: datetime) -> int:
    """Make the digests whose time has come, one for each channel of the person; return how many.

    After days without a sender one digest tells of all of them. A person who has just begun to get digests gets the
    first one at the next hour of theirs.
    """
    found = [listener for listener in listeners() if listener.digests]
    zones = zones_of([listener.user.pk for listener in found])
    return sum(_queue(listener, last_day(listener.setting.digest_hour, zones[listener.user.pk], now), now)
               for listener in found)  # fmt: skip


def _queue(listener: Listener, day: date, now: datetime) -> int:
    if listener.setting.digest_day is not None and listener.setting.digest_day >= day:
        return 0
    try:
        with transaction.atomic():
            batch = lock_batches(now)
            setting, _ = NotificationSetting.objects.select_for_update().get_or_create(user=listener.user)
            if setting.digest_day is not None and setting.digest_day >= day:
                return 0
            first, before = setting.digest_day is None, setting.digest_batch
            setting.digest_day, setting.digest_batch = day, batch
            setting.save(update_fields=("digest_day", "digest_batch"))
            if first:
                return 0
            OutboxMessage.objects.bulk_create(
                OutboxMessage(
                    channel=channel,
                    kind=OutboxMessage.Kind.DIGEST,
                    day=day,
                    first_batch=before + 1,
                    last_batch=batch,
                    created_at=now,
                    next_attempt_at=now,
                )
                for channel in listener.channels
            )
    except IntegrityError:
        # Another sender made it in this moment.
        return 0
    return len(listener.channels)
