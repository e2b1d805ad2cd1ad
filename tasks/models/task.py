"""Backup tasks: what an admin creates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from tasks import vault
from tasks.models.cluster import Cluster, Service
from tasks.naming import directory_name, name_problem
from tasks.schedule import Schedule
from tasks.searchtext import search_text
from tasks.states import Kind, Mode, PeriodUnit, Policy, RunState

if TYPE_CHECKING:
    from tasks.models.run import Run


# What needs attention first: the order of the column Task Status; a task that never ran comes last.
URGENCY = (
    RunState.RUNNING, RunState.WAITING, RunState.FAILED, RunState.POSTPONED, RunState.WARNINGS, RunState.STOPPED,
    RunState.SUCCESSFUL,
)  # fmt: skip
_LIVE = models.Q(deleted_at__isnull=True)


class LiveTasks(models.Manager["BackupTask"]):
    """Tasks that were not deleted."""

    def get_queryset(self) -> models.QuerySet[BackupTask]:
        """Leave out what was deleted; its runs and files stay known."""
        return super().get_queryset().filter(deleted_at__isnull=True)


class BackupTask(models.Model):
    """What is backed up, when, and where the files go.

    A deleted task keeps its row, so that its runs, its audit and the paths of its files stay known; its name is free
    again. What the list shows of the last run is copied onto the task in the run's own transaction
    (reference/performance.md, section 9), so that the list needs no join.
    """

    name = models.CharField("Name", max_length=64)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="tasks", verbose_name="Backup Object")
    mode = models.CharField("Mode", max_length=8, choices=Mode.choices, default=Mode.PERIODIC)
    started = models.DateTimeField("Started", null=True, blank=True)
    period = models.PositiveIntegerField("Period", default=1, validators=[MinValueValidator(1)])
    period_unit = models.CharField(max_length=5, choices=PeriodUnit.choices, default=PeriodUnit.DAYS)
    policy = models.CharField("Backup Policy", max_length=12, choices=Policy.choices, default=Policy.FULL)
    data_source = models.CharField(max_length=32, default="iotdb-metadata")
    all_services = models.BooleanField(default=True)
    services = models.ManyToManyField(Service, blank=True, related_name="tasks")
    path_type = models.CharField("Path Type", max_length=12)
    destination: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    # Write-only: ``set_secrets`` encrypts for this row, ``secrets`` decrypts (tasks.vault).
    sealed_secrets = models.TextField(blank=True, editable=False)
    copies = models.PositiveIntegerField("Maximum Number of Backup Copies", validators=[MinValueValidator(1)])

    version = models.PositiveIntegerField(default=1, editable=False)
    suspended = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=150, blank=True)
    # The name of the task's directory below the destination (seed, last step): fixed when the task is created, because
    # it holds a time in the console's zone, and TIME_ZONE may change.
    directory = models.CharField(max_length=100, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True)
    # The first start since the last success, or since the schedule holds: by then a success is due (``tasks.overdue``).
    # Never later than ``next_run_at``; empty where the system does not start the task.
    expected_at = models.DateTimeField(null=True, blank=True)

    last_run = models.ForeignKey("tasks.Run", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    last_state = models.CharField(max_length=10, choices=RunState.choices, blank=True)
    last_started_at = models.DateTimeField(null=True, blank=True)
    last_ended_at = models.DateTimeField(null=True, blank=True)
    last_bytes = models.BigIntegerField(null=True, blank=True)
    last_reason = models.TextField(blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    # Of the last success: they stay while the next run goes on, and after one that gave no set.
    last_success_bytes = models.BigIntegerField(null=True, blank=True)
    last_success_seconds = models.FloatField(null=True, blank=True)
    # When the set of the last success was proven; the run itself may be followed by others that gave no set.
    # When the last good set was read back and compared; empty where only its size was.
    last_verified_at = models.DateTimeField(null=True, blank=True)
    sets_kept = models.PositiveIntegerField(default=0)
    bytes_kept = models.BigIntegerField(default=0)
    # Where its last run found how much room; none before that, and after the destination was changed.
    space = models.ForeignKey(
        "tasks.DestinationSpace", on_delete=models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    # Sets are checked again, and the newest one is rehearsed, when their last proof is older than so many days.
    check_after_days = models.PositiveIntegerField("Check sets again after", null=True, blank=True, default=7)
    rehearse_after_days = models.PositiveIntegerField("Rehearse the newest set after", null=True, blank=True)
    last_checked_at = models.DateTimeField(null=True, blank=True)
    last_rehearsed_at = models.DateTimeField(null=True, blank=True)
    # Why the last proof failed; empty while sets are as they should be.
    proof_problem = models.TextField(blank=True)
    outcomes = models.CharField(max_length=400, blank=True, help_text="The states of the last 30 runs, oldest first.")
    # What the list's search looks through (``tasks.searchtext``): to take ten thousand destinations apart takes longer.
    search_text = models.TextField(blank=True, editable=False)

    # The order of the list: what needs attention first.
    urgency = models.GeneratedField(
        expression=models.Case(
            *[models.When(last_state=state, then=models.Value(place)) for place, state in enumerate(URGENCY)],
            default=models.Value(len(URGENCY)),
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )

    objects = LiveTasks()
    all_tasks: models.Manager[BackupTask] = models.Manager()

    class Meta:
        ordering = ("name",)
        base_manager_name = "all_tasks"
        permissions = [
            ("view_console", "Can see tasks, runs and inventory"),
            ("run_task", "Can run, stop, suspend and resume tasks"),
            ("manage_task", "Can create, configure and delete tasks"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("name",), condition=models.Q(deleted_at__isnull=True), name="task_name_in_use"
            ),
            models.CheckConstraint(condition=models.Q(copies__gte=1), name="task_keeps_a_copy"),
            models.CheckConstraint(condition=models.Q(period__gte=1), name="task_period_positive"),
            models.CheckConstraint(
                condition=models.Q(mode=Mode.MANUAL) | models.Q(started__isnull=False), name="periodic_task_has_start"
            ),
            models.CheckConstraint(condition=models.Q(policy=Policy.FULL), name="metadata_is_backed_up_full"),
        ]
        indexes = [
            models.Index(fields=("last_state", "name")),
            # Pages of the list, and its counts by status. With ``deleted_at``, which is the same in all of them, SQLite
            # counts without a look at the rows; PostgreSQL does with the key.
            models.Index(fields=("urgency", "name"), condition=_LIVE, name="task_urgency"),
            models.Index(fields=("last_state", "suspended", "deleted_at", "id"), condition=_LIVE, name="task_status"),
            models.Index(
                fields=("cluster", "last_state", "suspended", "deleted_at", "id"),
                condition=_LIVE,
                name="task_status_of_cluster",
            ),
            models.Index(fields=("next_run_at",), condition=_LIVE, name="task_due"),
            models.Index(fields=("expected_at",), condition=_LIVE, name="task_expected"),
            models.Index(
                fields=("last_success_at",),
                condition=models.Q(deleted_at__isnull=True, suspended=False, mode=Mode.PERIODIC),
                name="task_oldest_success",
            ),
            # What the homepage looks for and seldom finds. What is said to be null is a field as well: SQLite then goes
            # by these indexes and not through another one that has all tasks.
            models.Index(
                fields=("last_verified_at", "last_checked_at", "last_rehearsed_at", "name"),
                condition=_LIVE & models.Q(last_verified_at__isnull=True),
                name="task_not_proven",
            ),
            models.Index(
                fields=("last_success_at", "name"),
                condition=_LIVE & models.Q(last_success_at__isnull=True),
                name="task_never",
            ),
            models.Index(
                fields=("last_rehearsed_at", "rehearse_after_days", "name"),
                condition=_LIVE & models.Q(rehearse_after_days__isnull=False, last_rehearsed_at__isnull=True),
                name="task_not_rehearsed",
            ),
            # What all tasks keep together is summed up without a look at the rows, as it is counted.
            models.Index(
                fields=("cluster", "sets_kept", "bytes_kept", "last_rehearsed_at", "deleted_at"),
                condition=_LIVE,
                name="task_kept",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, name the directory of a new task, and keep up what the list's search looks through."""
        if not self.directory:
            self.directory = directory_name(self.name, self.created_at, timezone.get_default_timezone())
        names = kwargs.get("update_fields")
        if names is None or {"name", "destination"} & set(names):
            self.search_text = search_text(self.name, self.destination)
            if names is not None:
                kwargs["update_fields"] = {*names, "search_text"}
        super().save(*args, **kwargs)

    def clean_fields(self, exclude: Any = None) -> None:
        """Check the name by the rule of names as well."""
        super().clean_fields(exclude=exclude)
        problem = name_problem(self.name)
        if problem and "name" not in (exclude or ()):
            from django.core.exceptions import ValidationError

            raise ValidationError({"name": problem})

    @property
    def periodic(self) -> bool:
        """Whether the system starts the task."""
        return self.mode == Mode.PERIODIC

    @property
    def schedule(self) -> Schedule | None:
        """When the system starts the task; None for a manual one."""
        if self.mode != Mode.PERIODIC or self.started is None:
            return None
        return Schedule(self.started, self.period, self.period_unit, timezone.get_default_timezone())

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt ``secrets`` for this row, which has to have its key; the caller saves."""
        self.sealed_secrets = vault.seal(secrets, f"backup task {self.pk}")

    def secrets(self) -> dict[str, str]:
        """Return the secrets of the destination; raise ``vault.KeyLost`` where no key opens them."""
        return vault.unseal(self.sealed_secrets, f"backup task {self.pk}")

    @property
    def backups(self) -> models.QuerySet[Run]:
        """The task's own runs; proofs of its sets are not among them."""
        return self.runs.filter(kind=Kind.BACKUP)

    def chosen_services(self) -> models.QuerySet[Service]:
        """The services that the next run backs up: all of the cluster, or those assigned."""
        services = self.cluster.services if self.all_services else self.services
        return services.order_by("name").prefetch_related("nodes")
