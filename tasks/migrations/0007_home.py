"""Days of tasks and clusters, bytes of kept sets, and the room at destinations; the days are filled from the runs."""

from collections import defaultdict
from datetime import UTC, timedelta

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

# As tasks.engine.days had them when this migration was written.
_CODES = {"successful": "s", "warnings": "w", "failed": "f", "stopped": "x", "postponed": "p"}
_WORST_FIRST = "fpwxs."
_DAYS_KEPT = timedelta(days=400)
_BATCH = 2000


def fill_days(apps, editor):
    """Make the days of the last 400 days from the runs, task by task, so that few rows are in memory at a time."""
    run_model, day_model = apps.get_model("tasks", "Run"), apps.get_model("tasks", "TaskDay")
    runs = run_model.objects.filter(kind="backup", state__in=_CODES, task__isnull=False)
    runs = runs.annotate(began=Coalesce("started_at", "scheduled_for", "queued_at"))
    runs = runs.filter(began__gte=timezone.now() - _DAYS_KEPT).order_by("task_id", "id")
    clusters = defaultdict(lambda: [0, 0, 0.0])
    rows, current, ready = {}, None, []
    fields = ("task_id", "cluster_id", "state", "began", "started_at", "ended_at", "size")
    for task, cluster, state, began, started, ended, size in runs.values_list(*fields).iterator(chunk_size=_BATCH):
        if task != current:
            ready.extend(rows.values())
            rows, current = {}, task
            if len(ready) >= _BATCH:
                day_model.objects.bulk_create(ready, batch_size=_BATCH)
                ready = []
        moment = began.astimezone(UTC)
        row = rows.setdefault(moment.date(), day_model(task_id=task, day=moment.date()))
        hours = list(row.hours)
        hours[moment.hour] = min(hours[moment.hour], _CODES[state], key=_WORST_FIRST.index)
        row.hours = "".join(hours)
        if state in ("successful", "warnings"):
            took = (ended - started).total_seconds() if started and ended else None
            row.good_at, row.bytes, row.seconds = began, size, took
            sums = clusters[cluster, moment.date()]
            sums[0] += 1
            sums[1] += size or 0
            sums[2] += took or 0.0
    day_model.objects.bulk_create([*ready, *rows.values()], batch_size=_BATCH)
    cluster_model = apps.get_model("tasks", "ClusterDay")
    cluster_model.objects.bulk_create(
        (
            cluster_model(cluster_id=cluster, day=day, sets=sums[0], bytes=sums[1], seconds=sums[2])
            for (cluster, day), sums in clusters.items()
        ),
        batch_size=_BATCH,
    )


def fill_bytes(apps, editor):
    """Add up what each task keeps; the next run of a task counts anew."""
    kept = apps.get_model("tasks", "Run").objects.filter(
        kind="backup",
        state__in=("successful", "warnings"),
        verified_at__isnull=False,
        set_removed_at__isnull=True,
        damaged_at__isnull=True,
    )
    tasks = apps.get_model("tasks", "BackupTask")._base_manager
    for task, total in kept.order_by().values_list("task_id").annotate(total=Sum("size")):
        tasks.filter(pk=task).update(bytes_kept=total or 0)


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0006_operations"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ClusterDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("sets", models.PositiveIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("seconds", models.FloatField(default=0)),
            ],
            options={
                "ordering": ("cluster", "day"),
            },
        ),
        migrations.CreateModel(
            name="DestinationSpace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64, unique=True)),
                ("path_type", models.CharField(blank=True, max_length=12)),
                ("label", models.CharField(max_length=300)),
                ("own", models.BooleanField(default=False)),
                ("free_bytes", models.BigIntegerField(blank=True, null=True)),
                ("total_bytes", models.BigIntegerField(blank=True, null=True)),
                ("read_at", models.DateTimeField()),
                (
                    "trend",
                    models.CharField(
                        choices=[("unknown", "Not known yet"), ("steady", "Not growing"), ("growing", "Growing")],
                        default="unknown",
                        max_length=8,
                    ),
                ),
                ("pace", models.BigIntegerField(blank=True, null=True)),
                ("full_at", models.DateTimeField(blank=True, null=True)),
                ("low", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name": "space of a destination",
                "ordering": ("label",),
            },
        ),
        migrations.CreateModel(
            name="SpaceDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("read_at", models.DateTimeField()),
                ("free_bytes", models.BigIntegerField()),
                ("total_bytes", models.BigIntegerField()),
            ],
            options={
                "ordering": ("space", "day"),
            },
        ),
        migrations.CreateModel(
            name="TaskDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("hours", models.CharField(default="........................", max_length=24)),
                ("good_at", models.DateTimeField(blank=True, null=True)),
                ("bytes", models.BigIntegerField(blank=True, null=True)),
                ("seconds", models.FloatField(blank=True, null=True)),
            ],
            options={
                "ordering": ("task", "day"),
            },
        ),
        migrations.AddField(
            model_name="backuptask",
            name="bytes_kept",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["ended_at", "kind", "state", "cluster"], name="run_ended"),
        ),
        migrations.AddField(
            model_name="clusterday",
            name="cluster",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="days", to="tasks.cluster"
            ),
        ),
        migrations.AddField(
            model_name="destinationspace",
            name="read_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="tasks.backuptask",
            ),
        ),
        migrations.AddField(
            model_name="backuptask",
            name="space",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="tasks",
                to="tasks.destinationspace",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("mode", "periodic"), ("suspended", False)),
                fields=["last_success_at"],
                name="task_oldest_success",
            ),
        ),
        migrations.AddField(
            model_name="spaceday",
            name="space",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="days", to="tasks.destinationspace"
            ),
        ),
        migrations.AddField(
            model_name="taskday",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="days", to="tasks.backuptask"
            ),
        ),
        migrations.AddConstraint(
            model_name="clusterday",
            constraint=models.UniqueConstraint(fields=("cluster", "day"), name="day_of_cluster_once"),
        ),
        migrations.AddIndex(
            model_name="destinationspace",
            index=models.Index(fields=["-low", "full_at", "label"], name="space_urgency"),
        ),
        migrations.AddConstraint(
            model_name="spaceday",
            constraint=models.UniqueConstraint(fields=("space", "day"), name="space_day_once"),
        ),
        migrations.AddConstraint(
            model_name="taskday",
            constraint=models.UniqueConstraint(fields=("task", "day"), name="day_of_task_once"),
        ),
        migrations.RunPython(fill_days, migrations.RunPython.noop),
        migrations.RunPython(fill_bytes, migrations.RunPython.noop),
    ]
