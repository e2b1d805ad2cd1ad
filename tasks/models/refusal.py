"""Refusals that are counted, and logins that are locked out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


class RefusalCount(models.Model):
    """Refusals that followed a recorded one of the same kind within minutes; the tick records their number.

    Without it a stranger could fill the audit, whose events are never deleted. ``facts`` is what the event will hold.
    """

    key = models.CharField(max_length=64, unique=True)
    # Whose they are, for nobody's may be more than a few at a time.
    who = models.CharField(max_length=40, db_index=True)
    opened_at = models.DateTimeField(default=timezone.now, db_index=True)
    last_at = models.DateTimeField(default=timezone.now)
    times = models.PositiveIntegerField(default=0)
    facts: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.times} refusals of {self.who}"


class Lockout(models.Model):
    """A login that is refused for a while, whatever password is given (``tasks.lockout``).

    ``name_key`` is a keyed digest of the name that was typed, which may be a password in the wrong field.
    """

    class Rule(models.TextChoices):
        """What had too many wrong passwords."""

        PAIR = "pair", "Person at an address"
        ADDRESS = "address", "Address"

    rule = models.CharField(max_length=7, choices=Rule.choices)
    name_key = models.CharField(max_length=80, blank=True)
    address = models.CharField(max_length=64, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="lockouts"
    )
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-since", "-id")
        constraints = [models.UniqueConstraint(fields=("rule", "name_key", "address"), name="locked_out_once")]

    def __str__(self) -> str:
        return " at ".join(part for part in (str(self.user) if self.user else "", self.address) if part)
