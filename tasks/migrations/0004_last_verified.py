"""Keep on the task when its last good set was proven, so that the list can show it after a run that failed."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

GOOD = ("successful", "warnings")


def find_proofs(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the proof of the newest good run of each task."""
    tasks, runs = apps.get_model("tasks", "BackupTask"), apps.get_model("tasks", "Run")
    newest = runs.objects.filter(task_id=models.OuterRef("pk"), state__in=GOOD).order_by("-pk")
    tasks._base_manager.update(last_verified_at=models.Subquery(newest.values("verified_at")[:1]))


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0003_task_directory"),
    ]

    operations = [
        migrations.AddField(
            model_name="backuptask",
            name="last_verified_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(find_proofs, migrations.RunPython.noop),
    ]
