"""The audit: append-only records of who did what."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone


class AppendOnly(models.QuerySet["AuditEvent"]):
    """A query set that can neither change nor delete rows."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("Audit events are never changed.")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise TypeError("Audit events are never deleted.")


class AuditEvent(models.Model):
    """Who did what, when, from where, to which thing, with the values before and after; secrets are masked."""

    class Result(models.TextChoices):
        """How the attempt ended."""

        SUCCESSFUL = "successful", "Successful"
        REFUSED = "refused", "Refused"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=64, blank=True)
    verb = models.CharField(max_length=40, db_index=True)
    target_kind = models.CharField(max_length=40)
    target_id = models.BigIntegerField(null=True)
    target = models.CharField(max_length=255)
    # The key of the cluster that it concerns, if any: a number only, for the event outlives the cluster. Zero where
    # nobody knows any more which cluster that was.
    cluster_id = models.BigIntegerField(null=True)
    result = models.CharField(max_length=10, choices=Result.choices, default=Result.SUCCESSFUL)
    before: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    after: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    note = models.TextField(blank=True)

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.verb} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write the event once; a second time is refused."""
        if self.pk is not None:
            raise TypeError("Audit events are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("Audit events are never deleted.")
