"""Channels and messages of the administrator of a live console, in every state; nothing of it is sent."""

from __future__ import annotations

from datetime import timedelta


def seed() -> None:
    """Write them as rows. The level is Never, so that what other tests do is told nobody."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from tasks.models import BackupTask, NotificationChannel, NotificationSetting, OutboxMessage, TaskNotification

    now, who = timezone.now(), User.objects.get(username="administrator")
    NotificationSetting.objects.create(user=who, level="never")
    TaskNotification.objects.create(user=who, task=BackupTask.objects.get(name="plant-nightly"), level="never")
    mail = NotificationChannel.objects.create(
        user=who, kind="mail", name="Mail", recipient="administrator@plant.example", delivered_at=now
    )
    chat = NotificationChannel.objects.create(
        user=who, kind="url", name="Team chat", shown="mmosts://******", failures=2,
        failing_since=now - timedelta(hours=3),
        problem="chat.plant.example answered 403: no such hook. Check the token or the secret in the address.",
    )  # fmt: skip
    NotificationChannel.objects.create(
        user=who, kind="webhook", name="Tickets", shown="https://tickets.plant.example/******", enabled=False
    )
    failed = "Backup Console: Backup plant-nightly failed (cluster plant)"
    later = now + timedelta(days=365)
    for channel, state, subject, error in (
        (mail, "sent", failed, ""),
        (chat, "failed", failed, "chat.plant.example answered 403: no such hook."),
        (chat, "waiting", "Backup Console: 2 failed, 1 alarm raised", "chat.plant.example:443 did not answer in time."),
    ):
        OutboxMessage.objects.create(
            channel=channel, state=state, subject=subject, body=subject, first_batch=1, last_batch=1, error=error,
            attempts=1, cure="Check host and port, and firewalls between." if error else "", next_attempt_at=later,
            ended_at=None if state == "waiting" else now - timedelta(hours=2),
        )  # fmt: skip
