"""How much room there is where sets go, and how that changes from day to day."""

from __future__ import annotations

from django.db import models


class DestinationSpace(models.Model):
    """The room at one destination, or on a disk of the console itself, as it was last read.

    ``key`` stands for the path type and the parameters that tell destinations apart (``PathType.location``); no secret
    is among them. Bytes are None where the destination does not tell. ``full_at`` is when it is full at the pace of the
    last weeks, None where that is not known or nothing grows.
    """

    class Trend(models.TextChoices):
        """What the last weeks say of the time to come."""

        UNKNOWN = "unknown", "Not known yet"
        STEADY = "steady", "Not growing"
        GROWING = "growing", "Growing"

    key = models.CharField(max_length=64, unique=True)
    path_type = models.CharField(max_length=12, blank=True)
    label = models.CharField(max_length=300)
    # A disk of the console itself, which is read whether or not a task stores anything there.
    own = models.BooleanField(default=False)
    free_bytes = models.BigIntegerField(null=True, blank=True)
    total_bytes = models.BigIntegerField(null=True, blank=True)
    read_at = models.DateTimeField()
    # The task whose run read it; none where the console did.
    read_by = models.ForeignKey("tasks.BackupTask", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    trend = models.CharField(max_length=8, choices=Trend.choices, default=Trend.UNKNOWN)
    # Bytes a day, where it grows.
    pace = models.BigIntegerField(null=True, blank=True)
    full_at = models.DateTimeField(null=True, blank=True)
    low = models.BooleanField(default=False)

    class Meta:
        verbose_name = "space of a destination"
        ordering = ("label",)
        indexes = [models.Index(fields=("-low", "full_at", "label"), name="space_urgency")]

    def __str__(self) -> str:
        return self.label

    @property
    def used_bytes(self) -> int | None:
        """Return what is used, by whomever; None where the destination does not tell."""
        if self.total_bytes is None or self.free_bytes is None:
            return None
        return max(0, self.total_bytes - self.free_bytes)


class SpaceDay(models.Model):
    """The last reading of a UTC day."""

    space = models.ForeignKey(DestinationSpace, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    read_at = models.DateTimeField()
    free_bytes = models.BigIntegerField()
    total_bytes = models.BigIntegerField()

    class Meta:
        ordering = ("space", "day")
        constraints = [models.UniqueConstraint(fields=("space", "day"), name="space_day_once")]

    def __str__(self) -> str:
        return f"{self.space_id} {self.day}"
