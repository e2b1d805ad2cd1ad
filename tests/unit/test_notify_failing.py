"""Channels that fail: one alarm, told elsewhere and never in a circle; what cannot be sent says why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from tasks import alarms
from tasks.models import MailServer, NotificationChannel, OutboxMessage
from tasks.notify import outbox
from tasks.notify.audience import FAILING
from tasks.states import MessageState, RunState
from tests.notify_kit import (
    NOW,
    REFUSED,
    End,
    Post,
    Send,
    anna,
    end,
    mail_channel,
    no_receipts,
    send,
    the,
    webhook_channel,
)

__all__ = ["anna", "end", "no_receipts", "send"]
pytestmark = pytest.mark.django_db


def test_a_channel_that_fails_again_and_again_raises_an_alarm_that_clears_itself(
    viewer: User, end: End, send: Send
) -> None:
    channel = webhook_channel(viewer, "https://hook.example/x")
    end(RunState.FAILED)
    now = NOW
    for attempt in range(3):
        assert not alarms.uncleared().filter(code=FAILING).exists(), attempt
        send(Post(REFUSED), now)
        now += timedelta(hours=1)
    alarm = alarms.uncleared().get(code=FAILING)
    assert (alarm.subject, alarm.place) == (f"channel {channel.pk}", "Hook of viewer")
    assert "3 attempts in a row failed. mail:25 refused the connection." in alarm.cause
    send(Post(), now)
    assert not alarms.uncleared().filter(code=FAILING).exists()
    channel.refresh_from_db()
    assert (channel.failures, channel.problem, channel.delivered_at) == (0, "", now)


def test_the_mail_server_of_the_console_has_one_alarm_however_many_depend_on_it(
    anna: User, operator: User, end: End, send: Send
) -> None:
    mail_channel(operator)
    end(RunState.FAILED)
    now = NOW
    for _ in range(4):
        send(Post(REFUSED), now)
        now += timedelta(hours=1)
    assert list(alarms.uncleared().filter(code=FAILING).values_list("subject", flat=True)) == ["mail server"]
    assert not NotificationChannel.objects.filter(failures__gt=0).exists()
    assert send(Post(), now) >= 2, "what waited for the server goes out at once when it works"


def test_a_refused_recipient_is_trouble_of_the_channel(anna: User, end: End, send: Send) -> None:
    end(RunState.FAILED)
    send(Post({"stage": "recipient", "how": "status", "host": "mail", "status": 550}), NOW)
    assert NotificationChannel.objects.get().failures == 1
    assert MailServer.load().failures == 0


def test_trouble_of_a_channel_is_told_over_another_one_and_never_over_itself(administrator: User, viewer: User) -> None:
    bad = webhook_channel(administrator, "https://hook.example/x", name="Bad")
    good = webhook_channel(administrator, "https://good.example/x", name="Good")
    webhook_channel(viewer, "https://viewer.example/x")
    NotificationChannel.objects.filter(pk=bad.pk).update(failures=3)
    alarms.raise_alarm(FAILING, f"channel {bad.pk}", cause="x", now=NOW)
    outbox.collect(NOW)
    assert list(OutboxMessage.objects.values_list("channel__name", flat=True)) == [good.name]


def test_two_channels_that_fail_do_not_tell_of_each_other_for_ever(administrator: User, end: End, send: Send) -> None:
    for name in ("One", "Two"):
        webhook_channel(administrator, f"https://{name}.example/x", name=name)
    end(RunState.FAILED)
    now = NOW
    for _ in range(40):
        send(Post(*[REFUSED] * 10), now)
        now += timedelta(hours=1)
    assert OutboxMessage.objects.exclude(state=MessageState.FAILED).count() == 0
    assert OutboxMessage.objects.count() == 2, "the failure itself, once for each channel"


def test_a_person_who_lost_access_is_told_nothing(anna: User, end: End, send: Send) -> None:
    end(RunState.FAILED)
    outbox.collect(NOW)
    anna.is_active = False
    anna.save()
    post = Post()
    send(post, NOW)
    assert post.parcels == [] and not OutboxMessage.objects.exists()


def test_a_lost_key_is_said_and_the_message_kept(viewer: User, settings: Any, end: End, send: Send) -> None:
    webhook_channel(viewer, "https://hook.example/x")
    end(RunState.FAILED)
    settings.SECRETS_KEYS = ["another"]
    send(Post(), NOW)
    assert "cannot be decrypted" in the(MessageState.WAITING).error


def test_without_a_mail_server_mails_wait_and_say_why(viewer: User, end: End, send: Send) -> None:
    mail_channel(viewer)
    end(RunState.FAILED)
    send(Post(), NOW)
    assert the(MessageState.WAITING).error == "The console has no mail server yet."
