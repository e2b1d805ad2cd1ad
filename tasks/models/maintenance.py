"""The maintenance switch: while it is on, no new run starts."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from tasks.keptsql import KeptQuery


class Maintenance(models.Model):
    """The one row of the switch: who set it, why and until when; after its end it tells of the last time.

    It is on from ``since`` until ``ended_at``, or until the moment ``until`` passes, whichever comes first. Whoever
    starts a run holds the row locked (``locked``), so that none starts once the switch was set.
    """

    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField("Ends by itself", null=True, blank=True)
    reason = models.CharField("Reason", max_length=200, blank=True)
    set_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "maintenance"
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="one_row_of_maintenance"),
            models.CheckConstraint(
                condition=models.Q(until__isnull=True) | models.Q(until__gt=models.F("since")),
                name="maintenance_ends_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return "Maintenance"

    @classmethod
    def current(cls) -> Maintenance:
        """Return the row, or one that says *off* and is not stored; for looking."""
        return _CURRENT.first() or cls(pk=1)

    @classmethod
    def locked(cls) -> Maintenance:
        """Return the row, made where it is missing, and locked until the end of the transaction."""
        return cls.objects.select_for_update(no_key=True).get_or_create(pk=1)[0]

    def on(self, now: datetime) -> bool:
        """Tell whether no run may start at ``now``."""
        if self.since is None or self.ended_at is not None:
            return False
        return self.until is None or now < self.until

    def ended_since(self, moment: datetime) -> bool:
        """Tell whether it was on at some time after ``moment``, whether or not it still is."""
        if self.since is None:
            return False
        ends = [end for end in (self.ended_at, self.until) if end is not None]
        return not ends or min(ends) > moment


_CURRENT = KeptQuery(lambda: Maintenance.objects.filter(pk=1))
