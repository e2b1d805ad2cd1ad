"""Verbs on notifications: a person's own levels and channels, the mail server of the console, and the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from storage.checks import Check
from tasks import audit, permissions
from tasks.audit import Actor
from tasks.errors import EditConflict, Refused
from tasks.models import (
    BackupTask,
    MailServer,
    NotificationChannel,
    NotificationSetting,
    OutboxMessage,
    TaskNotification,
)
from tasks.models.notification import Addressed
from tasks.notify import channels, health
from tasks.notify.causes import explain
from tasks.notify.channels import NotSetUp
from tasks.notify.delivery import Delivery, Parcel
from tasks.services.common import changes, require, values_of
from tasks.states import ChannelKind, Level, MessageState
from tasks.units import format_duration
from tasks.vault import KeyLost

_SERVER = ("smtp_host", "smtp_port", "smtp_security", "smtp_account", "sender")
_CHANNEL = ("name", "kind", "enabled", "recipient", "own_server", "shown", *_SERVER)
CHANNELS_EACH = 20
_TURNED_OFF = "The channel was turned off before the message was sent."


# --- Levels ---------------------------------------------------------------------------------------------------------
def set_levels(actor: Actor, level: str, digest_hour: int) -> NotificationSetting:
    """Choose what the person is told by default, and at which hour the daily digest comes."""
    require(actor, permissions.VIEW, "set notification level", NotificationSetting(user=actor.user))
    with transaction.atomic():
        mine = _own_setting(actor)
        had = _gets_digests(mine)
        before = values_of(mine, ("level", "digest_hour"))
        mine.level, mine.digest_hour = level, digest_hour
        _save(mine, had)
        old, new = changes(before, values_of(mine, ("level", "digest_hour")))
        audit.record(actor, "set notification level", mine, before=old, after=new)
    return mine


def set_task_level(actor: Actor, task: BackupTask, level: str) -> None:
    """Choose what the person is told of ``task``; empty: as the default."""
    require(actor, permissions.VIEW, "set notification level", task)
    with transaction.atomic():
        setting = _own_setting(actor)
        had = _gets_digests(setting)
        mine = TaskNotification.objects.filter(user=actor.user, task=task)
        before = mine.values_list("level", flat=True).first() or ""
        if level:
            TaskNotification.objects.update_or_create(user=actor.user, task=task, defaults={"level": level})
        else:
            mine.delete()
        _save(setting, had)
        audit.record(actor, "set notification level", task, before={"level": before}, after={"level": level})


def _own_setting(actor: Actor) -> NotificationSetting:
    return NotificationSetting.objects.select_for_update().get_or_create(user=actor.user)[0]


def _gets_digests(setting: NotificationSetting) -> bool:
    tasks = TaskNotification.objects.filter(user=setting.user, level=Level.DIGEST)
    return setting.level == Level.DIGEST or tasks.exists()


def _save(setting: NotificationSetting, had: bool) -> None:
    """Save, and let digests that begin only now not tell of all that was since the last one long ago."""
    if not had and _gets_digests(setting):
        setting.digest_day = None
    setting.save()


# --- Channels -------------------------------------------------------------------------------------------------------
def save_channel(actor: Actor, channel: NotificationChannel, secrets: dict[str, str] | None) -> NotificationChannel:
    """Create or change a channel of the person. ``secrets`` is None where those that are stored stay.

    ``channel.version`` is the one that the person read: raises ``EditConflict`` when it was saved elsewhere since.
    """
    fresh = channel.pk is None
    verb = "create notification channel" if fresh else "change notification channel"
    require(actor, permissions.VIEW, verb, channel)
    with transaction.atomic():
        before: dict[str, Any] = {}
        if fresh:
            if NotificationChannel.objects.filter(user=actor.user).count() >= CHANNELS_EACH:
                raise Refused(f"You have {CHANNELS_EACH} channels already. Delete one first.")
        else:
            before = values_of(_locked(channel, actor), _CHANNEL)
            channel.version += 1
        if secrets and secrets.get("url"):
            channel.shown = channels.masked(channel.kind, secrets["url"])
        channel.save()
        if secrets is not None:
            channel.set_secrets(secrets)
            channel.save(update_fields=("sealed_secrets",))
        if not channel.enabled:
            _turn_off(channel)
        health.start_afresh(channel, timezone.now(), actor.name)
        old, new = changes(before, values_of(channel, _CHANNEL))
        audit.record(actor, verb, channel, before=old, after=new | dict.fromkeys(secrets or {}, audit.MASK))
    return channel


def _locked(channel: NotificationChannel, actor: Actor) -> NotificationChannel:
    current = NotificationChannel.objects.select_for_update().filter(pk=channel.pk, user=actor.user).first()
    if current is None or current.version != channel.version:
        raise EditConflict(f"{channel.name} was changed elsewhere while you edited it.")
    return current


def _turn_off(channel: NotificationChannel) -> None:
    waiting = OutboxMessage.objects.filter(channel=channel, state=MessageState.WAITING)
    waiting.filter(subject="").delete()
    waiting.update(state=MessageState.FAILED, ended_at=timezone.now(), error=_TURNED_OFF, cure="")


def delete_channel(actor: Actor, channel: NotificationChannel) -> None:
    """Take a channel of the person away, with its messages and its alarm."""
    require(actor, permissions.VIEW, "delete notification channel", channel)
    with transaction.atomic():
        health.start_afresh(channel, timezone.now(), actor.name)
        audit.record(actor, "delete notification channel", channel, before=values_of(channel, _CHANNEL))
        NotificationChannel.objects.filter(pk=channel.pk, user=actor.user).delete()


# --- Mail server ----------------------------------------------------------------------------------------------------
def save_mail_server(actor: Actor, server: MailServer, secrets: dict[str, str] | None) -> None:
    """Change the mail server of the console, read at ``server.version``; what waits for it is tried at once.

    Raises ``EditConflict`` when somebody else saved it since.
    """
    require(actor, permissions.SYSTEM, "change mail server", MailServer.load())
    with transaction.atomic():
        current = MailServer.objects.select_for_update().get(pk=1)
        if current.version != server.version:
            raise EditConflict("The mail server was changed by somebody else while you edited it.")
        before = values_of(current, _SERVER)
        for name in _SERVER:
            setattr(current, name, getattr(server, name))
        current.version += 1
        if secrets is not None:
            current.set_secrets(secrets)
        current.save()
        health.start_afresh(current, timezone.now(), actor.name)
        old, new = changes(before, values_of(current, _SERVER))
        audit.record(
            actor, "change mail server", current, before=old, after=new | dict.fromkeys(secrets or {}, audit.MASK)
        )


# --- Test -----------------------------------------------------------------------------------------------------------
def test_channel(actor: Actor, channel: NotificationChannel, secrets: dict[str, str] | None = None) -> Iterator[Check]:
    """Send a test over ``channel`` as it stands, with ``secrets`` in the place of those that are stored."""
    require(actor, permissions.VIEW, "test notification channel", channel)
    audit.record(actor, "test notification channel", channel, after={"shown": channel.shown or channel.recipient})
    return _tested(channel, lambda: _test_parcel(channel, secrets))


def test_mail_server(
    actor: Actor, server: MailServer, recipient: str, secrets: dict[str, str] | None = None
) -> Iterator[Check]:
    """Send a test mail to ``recipient`` over the mail server as it stands in the form."""
    require(actor, permissions.SYSTEM, "test mail server", MailServer.load())
    audit.record(actor, "test mail server", server, after={"smtp_host": server.smtp_host, "recipient": recipient})
    password = None if secrets is None else secrets.get("password", "")
    return _tested(server, lambda: channels.mail_parcel(server, recipient, password=password, **_test_words()))


def _test_parcel(channel: NotificationChannel, secrets: dict[str, str] | None) -> Parcel:
    if secrets is None:
        return channels.parcel_of(channel, MailServer.current(), **_test_words())
    if channel.kind == ChannelKind.MAIL:
        server: Addressed = channel if channel.own_server else MailServer.current()
        password = secrets.get("password", "") if channel.own_server else None
        return channels.mail_parcel(server, channel.recipient, password=password, **_test_words())
    if channel.kind == ChannelKind.WEBHOOK:
        return channels.webhook_parcel(secrets.get("url", ""), secrets.get("token", ""), **_test_words())
    return channels.url_parcel(secrets.get("url", ""), **_test_words())


def _test_words() -> dict[str, str]:
    return {
        "key": str(uuid4()),
        "subject": f"{channels.APP}: test",
        "body": "This is a test from the backup console. Messages to this channel arrive.",
        "mood": "info",
    }


def _tested(what: Addressed, parcel: Any) -> Iterator[Check]:
    began = timezone.now()
    try:
        with Delivery() as delivery:
            result = delivery.send(parcel())
    except NotSetUp as error:
        yield Check("failed", "Settings", str(error), error.cure)
        return
    except KeyLost as error:
        yield Check("failed", "Settings", error.message, "Type the secret again, or bring back the key file.")
        return
    if not result.ok:
        cause = explain(result.fault)
        yield Check("failed", "Test message", cause.text, cause.cure)
        return
    if what.pk:
        health.worked(what, timezone.now())
    took = format_duration(timezone.now() - began)
    yield Check("ok", "Test message", f"The server took it after {took}. Look whether it arrived.")


# --- Outbox ---------------------------------------------------------------------------------------------------------
def retry_message(actor: Actor, message: OutboxMessage) -> None:
    """Have a message that was given up tried again at the next minute.

    Raises ``Refused`` where it is not one that was given up, or its channel is turned off.
    """
    mine = actor.user is not None and message.channel.user_id == actor.user.pk
    require(actor, permissions.VIEW if mine else permissions.SYSTEM, "retry message", message)
    if not message.channel.enabled:
        raise Refused(f"{message.channel.name} is turned off. Turn it on first.")
    with transaction.atomic():
        failed = OutboxMessage.objects.filter(pk=message.pk, state=MessageState.FAILED)
        if not failed.update(state=MessageState.WAITING, attempts=0, next_attempt_at=timezone.now(), ended_at=None):
            raise Refused("The message is not one that was given up any more.")
        audit.record(actor, "retry message", message, note=message.channel.name)
