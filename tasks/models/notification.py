"""Notifications: where a person is told, of what, and the messages on their way (``tasks.notify``)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tasks import vault
from tasks.models.alarm import Alarm
from tasks.models.cluster import Cluster
from tasks.models.run import Run
from tasks.models.task import BackupTask
from tasks.states import ChannelKind, Level, MessageState, NoticeKind, RunState, SmtpSecurity


class Addressed(models.Model):
    """What a mail server needs to be reached by, and how sending over it went lately; without a table of its own."""

    smtp_host = models.CharField("SMTP server", max_length=253, blank=True)
    smtp_port = models.PositiveIntegerField(
        "Port", default=587, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    smtp_security = models.CharField(
        "Encryption", max_length=8, choices=SmtpSecurity.choices, default=SmtpSecurity.STARTTLS
    )
    smtp_account = models.CharField("Account", max_length=254, blank=True)
    sender = models.EmailField("Sender", blank=True)
    # Write-only: ``set_secrets`` encrypts for this row, ``secrets`` decrypts (tasks.vault).
    sealed_secrets = models.TextField(blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts that failed in a row.")
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    problem = models.TextField(blank=True, editable=False, help_text="Why the last attempt failed.")
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True

    @property
    def row(self) -> str:
        """What secrets are bound to."""
        return f"{self._meta.verbose_name} {self.pk}"

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt ``secrets`` for this row, which has to have its key; the caller saves."""
        self.sealed_secrets = vault.seal(secrets, self.row)

    def secrets(self) -> dict[str, str]:
        """Return what is kept secret; raise ``vault.KeyLost`` where no key opens it."""
        return vault.unseal(self.sealed_secrets, self.row)


class MailServer(Addressed):
    """The one row of the mail server of the console, which every mail goes through that names no other one."""

    # After a failure nothing is tried before this moment, whatever waits.
    retry_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "mail server"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_row_of_mail_server")]

    def __str__(self) -> str:
        return f"Mail server {self.smtp_host}".strip()

    @classmethod
    def load(cls) -> MailServer:
        """Return the row, made where it is missing."""
        return cls.objects.get_or_create(pk=1)[0]

    @classmethod
    def current(cls) -> MailServer:
        """Return the row, or one with the defaults that is not stored; for looking."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)


class NotificationChannel(Addressed):
    """One way to reach a person: mail, webhook, or a service that apprise knows by its URL.

    Addresses of webhooks and services hold secrets as a rule, so they are kept as such; ``shown`` tells them apart.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_channels", editable=False
    )
    name = models.CharField("Name", max_length=60)
    kind = models.CharField(max_length=8, choices=ChannelKind.choices, editable=False)
    enabled = models.BooleanField("Send to this channel", default=True)
    recipient = models.EmailField("Recipient", blank=True)
    own_server = models.BooleanField("Use another mail server than the console's", default=False)
    shown = models.CharField(max_length=300, blank=True, editable=False)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "notification channel"
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("user", "name"), name="channel_name_in_use")]

    def __str__(self) -> str:
        return self.name

    @property
    def by_console_server(self) -> bool:
        """Whether its mails go through the mail server of the console."""
        return self.kind == ChannelKind.MAIL and not self.own_server


class NotificationSetting(models.Model):
    """What a person is told, and how far the daily digests have come; without a row the defaults hold."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_setting")
    level = models.CharField("Tell me", max_length=10, choices=Level.choices, default=Level.ON_FAILURE)
    digest_hour = models.PositiveSmallIntegerField("Daily digest at", default=7, validators=[MaxValueValidator(23)])
    # The day, in the person's zone, of the last digest, and the last batch of notices that it told of.
    digest_day = models.DateField(null=True, blank=True, editable=False)
    digest_batch = models.BigIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return f"Notifications of {self.user}"


class TaskNotification(models.Model):
    """What a person is told of one task, in the place of the person's own default."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="task_notifications")
    task = models.ForeignKey(BackupTask, on_delete=models.CASCADE, related_name="notifications")
    level = models.CharField("Tell me", max_length=10, choices=Level.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("user", "task"), name="task_notification_once")]

    def __str__(self) -> str:
        return f"Notifications of {self.user} about {self.task}"


class Notice(models.Model):
    """Something that people may want to be told, written in the transaction of its cause.

    ``batch`` is empty until it is collected; batches are numbered in the order of their collection, so that whoever
    remembers a number knows which notices are newer, whatever the clocks and the order of commits were.
    """

    kind = models.CharField(max_length=8, choices=NoticeKind.choices)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, null=True, related_name="notices")
    alarm = models.ForeignKey(Alarm, on_delete=models.CASCADE, null=True, related_name="notices")
    task = models.ForeignKey(BackupTask, on_delete=models.CASCADE, null=True, related_name="+")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, null=True, related_name="+")
    # Of a run: how it ended, and how the one before it had; empty for the first one.
    state = models.CharField(max_length=10, choices=RunState.choices, blank=True)
    before = models.CharField(max_length=10, choices=RunState.choices, blank=True)
    at = models.DateTimeField()
    batch = models.BigIntegerField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=("run",), condition=Q(run__isnull=False), name="run_told_once"),
            models.UniqueConstraint(fields=("alarm", "kind"), condition=Q(alarm__isnull=False), name="alarm_told_once"),
            models.CheckConstraint(
                condition=Q(kind=NoticeKind.RUN, run__isnull=False, alarm__isnull=True)
                | Q(kind__in=(NoticeKind.RAISED, NoticeKind.CLEARED), run__isnull=True, alarm__isnull=False),
                name="notice_has_its_cause",
            ),
        ]
        indexes = [
            models.Index(fields=("id",), condition=Q(batch__isnull=True), name="notice_uncollected"),
            models.Index(fields=("batch",), name="notice_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.run_id or self.alarm_id}"


class OutboxMessage(models.Model):
    """One message to one channel: the notices of the batches from ``first_batch`` to ``last_batch``.

    Until its first attempt it takes in later batches, so that a channel that is slow or dead collects one message and
    not one a minute. ``key`` is stable: it is the Message-ID of a mail and the idempotency key of a webhook.
    """

    class Kind(models.TextChoices):
        """What a message tells."""

        NOTICES = "notices", "Notices"
        DIGEST = "digest", "Daily digest"

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.NOTICES)
    day = models.DateField(null=True, blank=True, help_text="Of a digest: its day in the person's zone.")
    first_batch = models.BigIntegerField()
    last_batch = models.BigIntegerField()
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    state = models.CharField(max_length=8, choices=MessageState.choices, default=MessageState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    # Written at the first attempt and the same at every later one; empty before.
    subject = models.CharField(max_length=250, blank=True)
    body = models.TextField(blank=True)
    mood = models.CharField(max_length=8, blank=True, help_text="info, success, warning or failure.")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    cure = models.TextField(blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=("channel",),
                condition=Q(state=MessageState.WAITING, kind="notices", subject=""),
                name="outbox_grows_once",
            ),
            models.UniqueConstraint(fields=("channel", "day"), condition=Q(kind="digest"), name="digest_once_a_day"),
            models.CheckConstraint(condition=Q(kind="notices") | Q(day__isnull=False), name="digest_has_its_day"),
            models.CheckConstraint(
                condition=~Q(state=MessageState.SENDING) | (~Q(lease_token="") & Q(lease_until__isnull=False)),
                name="sending_has_lease",
            ),
        ]
        indexes = [
            models.Index(fields=("channel", "-id"), name="outbox_of_channel"),
            models.Index(fields=("state", "-id"), name="outbox_state"),
            models.Index(
                fields=("next_attempt_at",),
                condition=Q(state__in=(MessageState.WAITING, MessageState.SENDING)),
                name="outbox_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.key}"
