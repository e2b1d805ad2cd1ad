"""Indexes that answer counts alone: ends of runs by their states, tasks by theirs with their keys."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0011_size"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="backuptask",
            name="task_status",
        ),
        migrations.RemoveIndex(
            model_name="backuptask",
            name="task_status_of_cluster",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_ended",
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["last_state", "suspended", "deleted_at", "id"],
                name="task_status",
            ),
        ),
        migrations.AddIndex(
            model_name="backuptask",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["cluster", "last_state", "suspended", "deleted_at", "id"],
                name="task_status_of_cluster",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["state", "kind", "ended_at", "cluster"], name="run_ended"),
        ),
    ]
