"""Alarms are acknowledged, and a task knows by when its next success is due."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


def expect_next_starts(apps, schema_editor):
    """Let nothing be overdue that the console before could not know of: a success is due by each next start."""
    tasks = apps.get_model("tasks", "BackupTask").objects
    tasks.filter(deleted_at__isnull=True, suspended=False).update(expected_at=models.F("next_run_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0004_restore_role"),
    ]

    operations = [
        migrations.AddField(
            model_name="alarm",
            name="acknowledged_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="alarm",
            name="acknowledged_by",
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name="alarm",
            name="comment",
            field=models.CharField(blank=True, max_length=500, verbose_name="Comment"),
        ),
        migrations.AddField(
            model_name="backuptask",
            name="expected_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="alarm",
            name="cluster",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alarms",
                to="tasks.cluster",
            ),
        ),
        migrations.AddField(
            model_name="alarm",
            name="urgency",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.expressions.CombinedExpression(
                    models.Case(
                        models.When(severity="critical", then=models.Value(0)),
                        models.When(severity="major", then=models.Value(1)),
                        models.When(severity="minor", then=models.Value(2)),
                        models.When(severity="suggestion", then=models.Value(3)),
                        default=models.Value(4),
                    ),
                    "+",
                    models.Case(
                        models.When(acknowledged_at__isnull=False, then=models.Value(10)), default=models.Value(0)
                    ),
                ),
                output_field=models.SmallIntegerField(),
            ),
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(
                condition=models.Q(("cleared_at__isnull", True)),
                fields=["urgency", "-id", "cluster"],
                name="alarm_uncleared",
            ),
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(
                condition=models.Q(("cleared_at__isnull", False)), fields=["-cleared_at", "-id"], name="alarm_history"
            ),
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(
                condition=models.Q(("cleared_at__isnull", False)),
                fields=["code", "-cleared_at", "-id"],
                name="alarm_history_of_type",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)), fields=["expected_at"], name="task_expected"
            ),
        ),
        migrations.RunPython(expect_next_starts, migrations.RunPython.noop),
    ]
