"""The maintenance switch, totals of runs that outlive their history, and what the last success took and gave."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Count, F, OuterRef, Subquery, Sum

ACTIVE = ("waiting", "running")
GOOD = ("successful", "warnings")
BATCH = 500


def count_runs(apps, schema_editor):
    """Begin the totals with the runs that are on record."""
    runs = apps.get_model("tasks", "Run").objects.exclude(state__in=ACTIVE).order_by()
    took = Sum(F("ended_at") - F("started_at"), output_field=models.DurationField())
    found = runs.values("cluster_id", "kind", "state").annotate(runs=Count("pk"), took=took, stored=Sum("size"))
    total = apps.get_model("tasks", "RunTotal")
    total.objects.bulk_create(
        total(
            cluster_id=row["cluster_id"],
            kind=row["kind"],
            state=row["state"],
            runs=row["runs"],
            seconds=max(0.0, row["took"].total_seconds()) if row["took"] else 0.0,
            stored_bytes=row["stored"] or 0,
        )
        for row in found
    )


def show_last_success(apps, schema_editor):
    """Copy size and duration of the last success onto each task."""
    run, tasks = apps.get_model("tasks", "Run").objects, apps.get_model("tasks", "BackupTask")._base_manager
    good = run.filter(task_id=OuterRef("pk"), kind="backup", state__in=GOOD).order_by("-pk").values("pk")[:1]
    last = dict(
        tasks.filter(last_success_at__isnull=False).annotate(good=Subquery(good)).values_list("pk", "good").iterator()
    )
    keys = list(last)
    for start in range(0, len(keys), BATCH):
        batch = [pk for pk in keys[start : start + BATCH] if last[pk]]
        runs = run.in_bulk([last[pk] for pk in batch])
        for pk in batch:
            found = runs[last[pk]]
            took = found.ended_at - found.started_at if found.started_at and found.ended_at else None
            tasks.filter(pk=pk).update(
                last_success_bytes=found.size, last_success_seconds=took.total_seconds() if took is not None else None
            )


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0005_alarms"),
    ]

    operations = [
        migrations.AddField(
            model_name="backuptask",
            name="last_success_bytes",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backuptask",
            name="last_success_seconds",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="Maintenance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("since", models.DateTimeField(blank=True, null=True)),
                ("until", models.DateTimeField(blank=True, null=True, verbose_name="Ends by itself")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="Reason")),
                ("set_by", models.CharField(blank=True, max_length=150)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=150)),
            ],
            options={
                "verbose_name": "maintenance",
                "verbose_name_plural": "maintenance",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="one_row_of_maintenance"),
                    models.CheckConstraint(
                        condition=models.Q(("until__isnull", True), ("until__gt", models.F("since")), _connector="OR"),
                        name="maintenance_ends_after_it_began",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RunTotal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("backup", "Backup"),
                            ("restore", "Restoration"),
                            ("rollback", "Rollback"),
                            ("check", "Check set"),
                            ("rehearsal", "Rehearsal"),
                        ],
                        max_length=9,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("successful", "Successful"),
                            ("warnings", "Successful with warnings"),
                            ("failed", "Failed"),
                            ("stopped", "Stopped"),
                            ("postponed", "Postponed"),
                            ("rolledback", "Rolled back"),
                            ("unknown", "Unknown"),
                        ],
                        max_length=10,
                    ),
                ),
                ("runs", models.PositiveBigIntegerField(default=0)),
                (
                    "seconds",
                    models.FloatField(default=0, help_text="From start to end; a run that never started took none."),
                ),
                ("stored_bytes", models.PositiveBigIntegerField(default=0)),
                (
                    "cluster",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="run_totals", to="tasks.cluster"
                    ),
                ),
            ],
            options={
                "ordering": ("cluster", "kind", "state"),
                "constraints": [models.UniqueConstraint(fields=("cluster", "kind", "state"), name="one_total_of_runs")],
            },
        ),
        migrations.RunPython(count_runs, migrations.RunPython.noop),
        migrations.RunPython(show_last_success, migrations.RunPython.noop),
    ]
