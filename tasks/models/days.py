"""What became of a task and of a cluster day by day, so that thirty days of everything are read without the runs.

Written in the transaction that ends a run (``tasks.engine.days``). Days are those of UTC and hold their hours, from
which a page makes the days of its viewer.
"""

from __future__ import annotations

from django.db import models

from tasks.models.cluster import Cluster
from tasks.models.task import BackupTask

HOURS = 24
NO_RUN = "."


class TaskDay(models.Model):
    """One UTC day of a task.

    ``hours`` has one letter for each hour, that of the worst outcome in it (``tasks.engine.record``), or a dot.
    ``good_at``, ``bytes`` and ``seconds`` are of the last good run that began on the day.
    """

    task = models.ForeignKey(BackupTask, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    hours = models.CharField(max_length=HOURS, default=NO_RUN * HOURS)
    good_at = models.DateTimeField(null=True, blank=True)
    bytes = models.BigIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ("task", "day")
        constraints = [models.UniqueConstraint(fields=("task", "day"), name="day_of_task_once")]

    def __str__(self) -> str:
        return f"{self.task_id} {self.day}"


class ClusterDay(models.Model):
    """One UTC day of a cluster: how many sets its tasks gave, their bytes, and the seconds their runs took."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    sets = models.PositiveIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    seconds = models.FloatField(default=0)

    class Meta:
        ordering = ("cluster", "day")
        constraints = [models.UniqueConstraint(fields=("cluster", "day"), name="day_of_cluster_once")]

    def __str__(self) -> str:
        return f"{self.cluster_id} {self.day}"
