"""The outbox: one message for what happened, in order, once, retried and given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from tasks import alarms
from tasks.models import Alarm, BackupTask, MailServer, Notice, NotificationChannel, OutboxMessage, Pulse
from tasks.notify import outbox, sender
from tasks.notify.delivery import receipts_path
from tasks.states import Level, MessageState, NoticeKind, RunState
from tests.notify_kit import (
    GONE,
    LOGIN,
    MINUTE,
    NOW,
    REFUSED,
    End,
    Post,
    Send,
    anna,
    end,
    level,
    mail_channel,
    no_receipts,
    send,
    the,
    webhook_channel,
)

__all__ = ["anna", "end", "no_receipts", "send"]
pytestmark = pytest.mark.django_db


def test_what_happened_in_a_minute_is_one_message(anna: User, end: End, send: Send) -> None:
    for _ in range(3):
        end(RunState.FAILED)
    post = Post()
    assert send(post, NOW) == 1
    assert "3 failed" in post.parcels[0].subject
    assert the(MessageState.SENT).ended_at == NOW
    assert not Notice.objects.filter(batch__isnull=True).exists()


def test_ten_thousand_failures_in_a_minute_are_one_message(anna: User, task: BackupTask, end: End, send: Send) -> None:
    run = end(RunState.FAILED)
    first = alarms.raise_alarm("backup-failed", "task 1", cause="x", cluster=task.cluster, now=NOW)
    Alarm.objects.bulk_create(
        Alarm(code="x", subject=f"x {number}", severity="major", name="X", cause="x") for number in range(9_998)
    )
    known = set(Notice.objects.values_list("alarm_id", flat=True))
    Notice.objects.bulk_create(
        Notice(kind=NoticeKind.RAISED, alarm=alarm, at=NOW) for alarm in Alarm.objects.exclude(pk__in=known - {None})
    )
    post = Post()
    assert send(post, NOW) == 1
    assert len(post.parcels) == 1
    assert f"{Notice.objects.count() - 1:,} alarms raised" in post.parcels[0].body
    assert len(post.parcels[0].body) < 8000
    assert run.pk and first.pk


def test_nothing_is_sent_where_nothing_is_wanted(anna: User, end: End, send: Send) -> None:
    level(anna, Level.NEVER)
    end(RunState.FAILED)
    assert send(Post(), NOW) == 0
    assert not OutboxMessage.objects.exists()


def test_a_server_that_is_down_for_a_day_makes_two_messages_and_not_thousands(anna: User, end: End, send: Send) -> None:
    down = Post(*[REFUSED] * 50)
    for minute in range(30):
        end(RunState.FAILED)
        send(down, NOW + minute * MINUTE)
    assert OutboxMessage.objects.count() == 2
    post = Post()
    assert send(post, NOW + timedelta(hours=2)) == 2
    assert "Backup task-1 failed" in post.parcels[0].subject
    assert "29 failed" in post.parcels[1].subject


def test_an_attempt_that_fails_is_made_again_later_with_the_same_key_and_words(
    anna: User, end: End, send: Send
) -> None:
    end(RunState.FAILED)
    post = Post(REFUSED)
    send(post, NOW)
    waiting = the(MessageState.WAITING)
    assert (waiting.attempts, waiting.next_attempt_at, waiting.error) == (
        1,
        NOW + MINUTE,
        "mail:25 refused the connection.",
    )
    BackupTask.objects.update(name="renamed")
    assert send(post, NOW + timedelta(seconds=30)) == 0
    assert send(post, NOW + MINUTE) == 1
    first, second = post.parcels
    assert (first.key, first.subject, first.body) == (second.key, second.subject, second.body)


def test_pauses_grow_and_a_message_is_given_up_after_a_day(anna: User, end: End, send: Send) -> None:
    end(RunState.FAILED)
    post, now = Post(*[REFUSED] * 100), NOW
    while OutboxMessage.objects.filter(state=MessageState.WAITING).exists() or now == NOW:
        MailServer.objects.update(retry_at=None)
        send(post, now)
        now = OutboxMessage.objects.get().next_attempt_at
        assert len(post.parcels) <= outbox.MAX_ATTEMPTS
    given_up = the(MessageState.FAILED)
    assert given_up.attempts == outbox.MAX_ATTEMPTS
    assert f"Given up after {outbox.MAX_ATTEMPTS} attempts." in given_up.error
    assert timedelta(hours=20) < now - NOW < timedelta(hours=26)


def test_what_can_never_work_is_not_tried_again(viewer: User, end: End, send: Send) -> None:
    webhook_channel(viewer, "https://hook.example/x")
    end(RunState.FAILED)
    send(Post(GONE), NOW)
    assert "answered 410" in the(MessageState.FAILED).error


def test_a_refused_login_is_tried_rarely_and_once_for_all(anna: User, operator: User, end: End, send: Send) -> None:
    mail_channel(operator)
    end(RunState.FAILED)
    post = Post(*[LOGIN] * 9)
    for minute in range(30):
        send(post, NOW + minute * MINUTE)
    assert len(post.parcels) == 1, "every attempt more may lock the account"
    post.faults.clear()
    assert send(post, NOW + timedelta(minutes=31)) == 2


def test_messages_of_a_channel_go_out_in_their_order(anna: User, end: End, send: Send) -> None:
    end(RunState.FAILED)
    send(Post(REFUSED), NOW)
    end(RunState.SUCCESSFUL)
    outbox.collect(NOW)
    assert not outbox.due(NOW + timedelta(seconds=30)).exists(), "what is newer does not overtake"
    assert [message.first_batch for message in outbox.due(NOW + 5 * MINUTE)] == [1]


def test_one_claims_and_a_lost_claim_changes_nothing(anna: User, end: End) -> None:
    end(RunState.FAILED)
    outbox.collect(NOW)
    mine = outbox.claim(NOW)
    assert mine is not None and outbox.claim(NOW) is None
    later = NOW + outbox.lease_time() + timedelta(seconds=1)
    other = outbox.claim(later)
    assert other is not None and (other.pk, other.attempts) == (mine.pk, 2)
    assert not outbox.record_sent(mine, later)
    assert outbox.record_sent(other, later)


def test_a_receipt_of_a_lost_sender_counts_as_sent(anna: User, end: End, send: Send) -> None:
    end(RunState.FAILED)
    outbox.collect(NOW)
    mine = outbox.claim(NOW)
    assert mine is not None
    receipts_path().write_text(f"{mine.key}\n")
    later = NOW + outbox.lease_time() + timedelta(seconds=1)
    post = Post()
    assert send(post, later) == 0
    assert post.parcels == []
    assert the(MessageState.SENT).key == mine.key
    assert not receipts_path().exists()


def test_receipts_are_kept_while_something_is_under_way(anna: User, end: End) -> None:
    end(RunState.FAILED)
    outbox.collect(NOW)
    assert outbox.claim(NOW)
    receipts_path().write_text("x\n")
    outbox.forget_receipts()
    assert receipts_path().exists()


def test_one_sender_works_at_a_time_and_a_lost_one_is_replaced(anna: User) -> None:
    assert sender._take(NOW)
    assert sender._take(NOW + MINUTE) is None
    assert not sender.wanted(NOW + MINUTE)
    assert sender._take(NOW + 2 * MINUTE)
    # A clock that was set back by a day keeps nobody from sending for a day.
    assert sender._take(NOW - timedelta(days=1))


def test_a_sender_stops_at_the_end_of_its_budget(anna: User, operator: User, monkeypatch: Any, end: End) -> None:
    mail_channel(operator)
    end(RunState.FAILED)
    clock = {"now": NOW}

    def tick(parcel: Any) -> None:
        clock["now"] += sender.BUDGET

    monkeypatch.setattr(sender, "Delivery", lambda: Post(then=tick))
    assert sender.run(lambda: clock["now"]) == 1
    assert OutboxMessage.objects.filter(state=MessageState.WAITING).count() == 1
    assert Pulse.objects.get(name="sender").detail == "idle"


def test_old_rows_are_pruned_and_what_is_needed_stays(anna: User, settings: Any, end: End, send: Send) -> None:
    end(RunState.FAILED)
    send(Post(), NOW)
    outbox.prune(NOW + timedelta(days=8, seconds=-1))
    assert (Notice.objects.count() > 0, OutboxMessage.objects.count()) == (True, 1)
    outbox.prune(NOW + timedelta(days=9))
    assert (Notice.objects.count(), OutboxMessage.objects.count()) == (0, 1)
    outbox.prune(NOW + timedelta(days=settings.NOTIFY_KEEP_DAYS + 1))
    assert OutboxMessage.objects.count() == 0


def test_notices_that_a_message_has_yet_to_tell_are_not_pruned(anna: User, end: End) -> None:
    end(RunState.FAILED)
    outbox.collect(NOW)
    outbox.prune(NOW + timedelta(days=99))
    assert Notice.objects.exists()


def test_numbers_of_batches_go_on_after_all_notices_were_pruned(anna: User, end: End) -> None:
    end(RunState.FAILED)
    outbox.collect(NOW)
    OutboxMessage.objects.all().delete()
    Notice.objects.all().delete()
    end(RunState.FAILED)
    outbox.collect(NOW)
    assert set(Notice.objects.values_list("batch", flat=True)) == {2}


def test_the_database_lets_a_channel_have_one_message_that_grows(anna: User) -> None:
    channel = NotificationChannel.objects.get()
    OutboxMessage.objects.create(channel=channel, first_batch=1, last_batch=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        OutboxMessage.objects.create(channel=channel, first_batch=2, last_batch=2)
