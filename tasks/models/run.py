"""Runs: one execution of a task, its log, and the files it published."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tasks.models.cluster import Cluster
from tasks.models.restoration import Restoration
from tasks.models.task import BackupTask
from tasks.states import ACTIVE, GOOD, Kind, RunState, Trigger

PROOFS = (Kind.CHECK, Kind.REHEARSAL)
RESTORES = (Kind.RESTORE, Kind.ROLLBACK)
# Fields that may have megabytes where IoTDB has ten thousand names; lists leave them where they are.
HEAVY = ("inventory", "changes", "steps")
_HAS_SET = Q(verified_at__isnull=False, set_removed_at__isnull=True)


class Run(models.Model):
    """One execution of a task, of a restoration task, or a proof (``kind``) of the set of another run (``subject``).

    The database is the queue: a waiting row is the order to run, claimed by a conditional update that also hands out a
    lease. The constraints say what no race may break: one occurrence once, one active run of a task, one running run
    of a cluster. The files of a run are its *backup file set*.
    """

    kind = models.CharField(max_length=9, choices=Kind.choices, default=Kind.BACKUP)
    # The backup task of a backup, and of the set that a proof looks at; none of a restoration.
    # A million rows are written one by one: the indexes of these keys are below, without the rows that have none.
    task = models.ForeignKey(
        BackupTask, on_delete=models.PROTECT, related_name="runs", null=True, blank=True, db_index=False
    )
    restoration = models.ForeignKey(
        "tasks.Restoration", on_delete=models.PROTECT, related_name="runs", null=True, blank=True, db_index=False
    )
    subject = models.ForeignKey(
        "self", on_delete=models.PROTECT, related_name="proofs", null=True, blank=True, db_index=False
    )
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="runs")
    trigger = models.CharField(max_length=8, choices=Trigger.choices)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, db_index=False
    )
    started_by_name = models.CharField(max_length=150, blank=True)
    scheduled_for = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.WAITING)
    queued_at = models.DateTimeField(default=timezone.now)
    offered_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    worker = models.CharField(max_length=120, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    stop_requested_by = models.CharField(max_length=150, blank=True)

    parameters: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    step = models.CharField(max_length=60, blank=True)
    bytes_expected = models.BigIntegerField(default=0)
    bytes_read = models.BigIntegerField(default=0)
    bytes_written = models.BigIntegerField(default=0)

    error_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    set_removed_at = models.DateTimeField(null=True, blank=True)

    # What the source said of itself (``tasks.iotdb``): a summary of counts and names for each service, what changed
    # since the run before, and whether IoTDB was well before and after; None where nobody could ask it.
    inventory: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict, blank=True)
    changes: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict, blank=True)
    healthy = models.BooleanField(null=True, blank=True)
    # Proofs of the set of a backup.
    checked_at = models.DateTimeField(null=True, blank=True)
    damaged_at = models.DateTimeField(null=True, blank=True)
    damage = models.TextField(blank=True)
    rehearsed_at = models.DateTimeField(null=True, blank=True)
    # Steps of a restoration or a rehearsal, in order: title, state, began, ended, text (``tasks.engine.steps``).
    steps: models.JSONField[Any, list[dict[str, Any]]] = models.JSONField(default=list, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=("task", "scheduled_for"), name="occurrence_once"),
            models.UniqueConstraint(
                fields=("task",), condition=Q(state__in=ACTIVE, kind=Kind.BACKUP), name="task_active_once"
            ),
            models.UniqueConstraint(
                fields=("restoration",), condition=Q(state__in=ACTIVE), name="restoration_active_once"
            ),
            models.UniqueConstraint(
                fields=("subject", "kind"), condition=Q(state__in=ACTIVE), name="proof_active_once"
            ),
            models.CheckConstraint(
                condition=Q(kind=Kind.BACKUP, task__isnull=False, restoration__isnull=True, subject__isnull=True)
                | Q(kind__in=PROOFS, task__isnull=False, restoration__isnull=True, subject__isnull=False)
                | Q(kind__in=RESTORES, task__isnull=True, restoration__isnull=False, subject__isnull=True),
                name="run_kind_has_its_object",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=RESTORES) | ~Q(state__in=(RunState.ROLLED_BACK, RunState.UNKNOWN)),
                name="only_restorations_roll_back",
            ),
            models.UniqueConstraint(fields=("cluster",), condition=Q(state=RunState.RUNNING), name="cluster_busy_once"),
            models.CheckConstraint(
                condition=~Q(state=RunState.RUNNING) | (~Q(lease_token="") & Q(lease_until__isnull=False)),
                name="running_has_lease",
            ),
            models.CheckConstraint(condition=Q(state__in=ACTIVE) | Q(ended_at__isnull=False), name="ended_run_has_end"),
            models.CheckConstraint(
                condition=~Q(state__in=GOOD, kind=Kind.BACKUP) | Q(size__isnull=False), name="good_run_has_size"
            ),
        ]
        indexes = [
            models.Index(fields=("task", "-id")),
            models.Index(fields=("task", "kind", "-id"), name="run_of_task"),
            models.Index(fields=("restoration",), condition=Q(restoration__isnull=False), name="run_of_restoration"),
            models.Index(fields=("subject",), condition=Q(subject__isnull=False), name="run_of_subject"),
            models.Index(fields=("started_by",), condition=Q(started_by__isnull=False), name="run_started_by"),
            models.Index(fields=("state", "queued_at")),
            # What ended within 24 hours is counted without looking at the rows.
            models.Index(fields=("state", "kind", "ended_at", "cluster"), name="run_ended"),
            models.Index(fields=("cluster", "queued_at"), condition=Q(state=RunState.WAITING), name="run_line"),
            # The sets that are kept: by age, and of all, of a task and of a cluster, newest first.
            models.Index(fields=("verified_at",), condition=_HAS_SET, name="run_set"),
            models.Index(fields=("-id",), condition=_HAS_SET, name="run_kept"),
            models.Index(fields=("task", "kind", "-id"), condition=_HAS_SET, name="run_kept_of_task"),
            models.Index(fields=("cluster", "kind", "-id"), condition=_HAS_SET, name="run_kept_of_cluster"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} run {self.pk}"

    @property
    def thing(self) -> BackupTask | Restoration:
        """The task or restoration task that the run belongs to."""
        found = self.task or self.restoration
        assert found is not None  # run_kind_has_its_object
        return found

    @property
    def active(self) -> bool:
        """Whether the run waits or is worked on."""
        return self.state in ACTIVE

    @property
    def good(self) -> bool:
        """Whether the run gave a set that counts."""
        return self.state in GOOD

    @property
    def read_back(self) -> bool:
        """Whether the set was read back and compared, and not only its size."""
        return self.verified_at is not None and bool(self.parameters.get("read_back", True))

    @property
    def began(self) -> datetime:
        """When the run was started, or was to be where it never was."""
        return self.started_at or self.scheduled_for or self.queued_at

    @property
    def duration(self) -> timedelta | None:
        """How long the run took so far, or None where it never started."""
        if self.started_at is None:
            return None
        return (self.ended_at or timezone.now()) - self.started_at

    @property
    def per_cent(self) -> int | None:
        """Progress of reading, 0 to 99 while running; None while there is no estimate."""
        if not self.bytes_expected:
            return None
        return min(99, self.bytes_read * 100 // self.bytes_expected)

    @property
    def who(self) -> str:
        """Who started it, in words."""
        return self.started_by_name if self.trigger == Trigger.PERSON else str(Trigger(self.trigger).label)


class BackupFile(models.Model):
    """One published archive; all files of a run are one backup file set."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="files")
    service = models.CharField(max_length=32)
    directory = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    path = models.TextField(help_text="The full path at the destination, as an administrator would type it.")
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    members = models.PositiveIntegerField()
    source_bytes = models.BigIntegerField()
    version = models.CharField(max_length=64)
    cluster_id = models.CharField(max_length=64, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    standby_at = models.DateTimeField(null=True, blank=True, help_text="Since when the standby node has a copy.")

    class Meta:
        ordering = ("run", "service")
        constraints = [models.UniqueConstraint(fields=("run", "service"), name="file_per_service")]

    def __str__(self) -> str:
        return self.name


class LogLine(models.Model):
    """One line of a run's log."""

    class Level(models.TextChoices):
        """How serious a line is."""

        INFO = "INFO"
        WARN = "WARN"
        ERROR = "ERROR"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=5, choices=Level.choices, default=Level.INFO)
    text = models.TextField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.text
