"""Indexes for pages over a million runs: the order and the counts of the list, the sets that are kept."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0010_audit"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="backuptask",
            name="urgency",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(last_state="running", then=models.Value(0)),
                    models.When(last_state="waiting", then=models.Value(1)),
                    models.When(last_state="failed", then=models.Value(2)),
                    models.When(last_state="postponed", then=models.Value(3)),
                    models.When(last_state="warnings", then=models.Value(4)),
                    models.When(last_state="stopped", then=models.Value(5)),
                    models.When(last_state="successful", then=models.Value(6)),
                    default=models.Value(7),
                ),
                output_field=models.SmallIntegerField(),
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)), fields=["urgency", "name"], name="task_urgency"
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["last_state", "suspended", "deleted_at"],
                name="task_status",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["cluster", "last_state", "suspended", "deleted_at"],
                name="task_status_of_cluster",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("last_verified_at__isnull", True)),
                fields=["last_verified_at", "last_checked_at", "last_rehearsed_at", "name"],
                name="task_not_proven",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("last_success_at__isnull", True)),
                fields=["last_success_at", "name"],
                name="task_never",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(
                    ("deleted_at__isnull", True),
                    ("last_rehearsed_at__isnull", True),
                    ("rehearse_after_days__isnull", False),
                ),
                fields=["last_rehearsed_at", "rehearse_after_days", "name"],
                name="task_not_rehearsed",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["cluster", "sets_kept", "bytes_kept", "last_rehearsed_at", "deleted_at"],
                name="task_kept",
            ),
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(
                condition=models.Q(("cleared_at__isnull", True)), fields=["cluster", "code"], name="alarm_of_cluster"
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["task", "kind", "-id"], name="run_of_task"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("set_removed_at__isnull", True), ("verified_at__isnull", False)),
                fields=["-id"],
                name="run_kept",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("set_removed_at__isnull", True), ("verified_at__isnull", False)),
                fields=["task", "kind", "-id"],
                name="run_kept_of_task",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("set_removed_at__isnull", True), ("verified_at__isnull", False)),
                fields=["cluster", "kind", "-id"],
                name="run_kept_of_cluster",
            ),
        ),
    ]
