"""Totals of runs that ended, kept beside the history so that they never fall when the history is pruned."""

from __future__ import annotations

from django.db import models

from tasks.models.cluster import Cluster
from tasks.states import Kind, RunState


class RunTotal(models.Model):
    """How many runs of a kind ended in a state on a cluster, how long they took and what they stored, ever."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="run_totals")
    kind = models.CharField(max_length=9, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=RunState.choices)
    runs = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0, help_text="From start to end; a run that never started took none.")
    stored_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ("cluster", "kind", "state")
        constraints = [models.UniqueConstraint(fields=("cluster", "kind", "state"), name="one_total_of_runs")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.get_state_display()}: {self.runs}"
