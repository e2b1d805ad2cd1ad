"""Alarms: what needs somebody, until it does no more."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from tasks.models.cluster import Cluster
from tasks.states import Severity


class Alarm(models.Model):
    """One trouble of one thing, raised once and cleared by itself when its cause is gone.

    ``code`` is stable (``tasks.alarms`` has the list); ``subject`` tells of what: ``task 7``, ``cluster 2``. Of each
    pair at most one is not cleared.
    """

    code = models.CharField(max_length=40)
    subject = models.CharField(max_length=60)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    name = models.CharField(max_length=150)
    # The thing's name as people know it, and the cluster it belongs to.
    place = models.CharField(max_length=150, blank=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="alarms")
    cause = models.TextField()
    cure = models.TextField(blank=True)
    # Where to go: a path of the console.
    link = models.CharField(max_length=300, blank=True)
    raised_at = models.DateTimeField(default=timezone.now)
    renewed_at = models.DateTimeField(default=timezone.now)
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=("code", "subject"), condition=models.Q(cleared_at__isnull=True), name="alarm_raised_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.place}"
