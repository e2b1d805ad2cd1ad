"""Restoration tasks, and the safety copies that restorations leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils import timezone

from tasks import vault
from tasks.models.cluster import Cluster, Node
from tasks.states import RunState


class LiveRestorations(models.Manager["Restoration"]):
    """Restoration tasks that were not deleted."""

    def get_queryset(self) -> models.QuerySet[Restoration]:
        """Leave out what was deleted; its runs stay known."""
        return super().get_queryset().filter(deleted_at__isnull=True)


class Restoration(models.Model):
    """One set that is to be put back, and where it lies. It is made once and never edited.

    ``files`` holds for each service of the set: ``service`` (name in the set), ``directory``, ``name``, ``size`` and
    ``sha256`` as recorded or as the manifest beside the archive says; the archives lie at the destination that
    ``path_type`` and ``destination`` describe. ``source_run`` is the run that made the set, where this console knows
    it.
    """

    name = models.CharField("Task Name", max_length=64)
    cluster = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="restorations", verbose_name="Recovery Object"
    )
    source_run = models.ForeignKey("tasks.Run", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    source_task = models.CharField(max_length=64, blank=True)
    path_type = models.CharField("Path Type", max_length=12)
    destination: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    sealed_secrets = models.TextField(blank=True, editable=False)
    files: models.JSONField[Any, list[dict[str, Any]]] = models.JSONField(default=list)
    taken_at = models.DateTimeField()
    version = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=150, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    last_run = models.ForeignKey("tasks.Run", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    last_state = models.CharField(max_length=10, choices=RunState.choices, blank=True)
    last_started_at = models.DateTimeField(null=True, blank=True)
    last_ended_at = models.DateTimeField(null=True, blank=True)
    last_reason = models.TextField(blank=True)

    objects = LiveRestorations()
    all_restorations: models.Manager[Restoration] = models.Manager()

    class Meta:
        verbose_name = "restoration task"
        ordering = ("-id",)
        base_manager_name = "all_restorations"
        permissions = [("restore", "Can restore sets and remove safety copies")]
        constraints = [
            models.UniqueConstraint(
                fields=("name",), condition=models.Q(deleted_at__isnull=True), name="restoration_name_in_use"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt ``secrets`` for this row, which has to have its key; the caller saves."""
        self.sealed_secrets = vault.seal(secrets, f"restoration task {self.pk}")

    def secrets(self) -> dict[str, str]:
        """Return the secrets of the destination; raise ``vault.KeyLost`` where no key opens them."""
        return vault.unseal(self.sealed_secrets, f"restoration task {self.pk}")


class SafetyCopy(models.Model):
    """One directory of a node that a restoration renamed, or is about to: on record before it is done.

    ``made_at`` is empty while the rename is only planned; ``put_back_at`` tells that it was renamed back;
    ``removed_at`` that it is gone for good. ``swapped_at`` tells that the restored directory took its place.
    """

    restoration = models.ForeignKey(Restoration, on_delete=models.PROTECT, related_name="safety_copies")
    run = models.ForeignKey("tasks.Run", on_delete=models.PROTECT, related_name="safety_copies")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="safety_copies")
    node = models.ForeignKey(Node, on_delete=models.SET_NULL, null=True, related_name="safety_copies")
    node_name = models.CharField(max_length=64)
    original = models.TextField(help_text="The directory as IoTDB knows it.")
    path = models.TextField(help_text="Where what was there before lies; empty where nothing was there.", blank=True)
    staging = models.TextField(help_text="Where the restored directory was unpacked, beside the original.", blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    planned_at = models.DateTimeField(default=timezone.now)
    made_at = models.DateTimeField(null=True, blank=True)
    swapped_at = models.DateTimeField(null=True, blank=True)
    put_back_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    keep_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "safety copies"
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.node_name}: {self.path or self.original}"

    @property
    def kept(self) -> bool:
        """Whether the copy is there."""
        return self.made_at is not None and self.removed_at is None and self.put_back_at is None
