"""Alarms: what needs somebody, until it does no more."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from tasks.models.cluster import Cluster
from tasks.states import Severity

# The most serious first, as the pages list them.
SEVERITIES = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.SUGGESTION)
ACKNOWLEDGED = 10
_PLACES = [When(severity=severity, then=Value(place)) for place, severity in enumerate(SEVERITIES)]
_UNCLEARED, _CLEARED = Q(cleared_at__isnull=True), Q(cleared_at__isnull=False)


class Alarm(models.Model):
    """One trouble of one thing, raised once and cleared by itself when its cause is gone.

    ``code`` is stable (``tasks.alarms`` has the list); ``subject`` tells of what: ``task 7``, ``cluster 2``. Of each
    pair at most one is not cleared. An alarm without a cluster is one of the console itself.
    """

    code = models.CharField(max_length=40)
    subject = models.CharField(max_length=60)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    name = models.CharField(max_length=150)
    # The thing's name as people know it, and the cluster it belongs to.
    place = models.CharField(max_length=150, blank=True)
    # Goes with the cluster: without one it would be an alarm of the console, which everybody may see.
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, null=True, blank=True, related_name="alarms")
    cause = models.TextField()
    cure = models.TextField(blank=True)
    # Where to go: a path of the console.
    link = models.CharField(max_length=300, blank=True)
    raised_at = models.DateTimeField(default=timezone.now)
    renewed_at = models.DateTimeField(default=timezone.now)
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.CharField(max_length=150, blank=True)
    # Somebody knows of it and sees to it; it stays an alarm.
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    comment = models.CharField("Comment", max_length=500, blank=True)
    # The order of the list and the key of the counts: place of the severity, those that are acknowledged after all.
    urgency = models.GeneratedField(
        expression=Case(*_PLACES, default=Value(len(SEVERITIES)))
        + Case(When(acknowledged_at__isnull=False, then=Value(ACKNOWLEDGED)), default=Value(0)),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=("code", "subject"), condition=_UNCLEARED, name="alarm_raised_once")
        ]
        indexes = [
            models.Index(fields=("urgency", "-id", "cluster"), condition=_UNCLEARED, name="alarm_uncleared"),
            models.Index(fields=("cluster", "code"), condition=_UNCLEARED, name="alarm_of_cluster"),
            models.Index(fields=("-cleared_at", "-id"), condition=_CLEARED, name="alarm_history"),
            models.Index(fields=("code", "-cleared_at", "-id"), condition=_CLEARED, name="alarm_history_of_type"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.place}"
