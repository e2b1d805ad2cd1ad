"""Keep the name of a task's directory with the task: it must not follow a change of TIME_ZONE."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

from tasks.naming import directory_name


def name_directories(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the directory that the newest file of a task lies in; compute it for a task without files."""
    tasks, files = apps.get_model("tasks", "BackupTask"), apps.get_model("tasks", "BackupFile")
    zone = timezone.get_default_timezone()
    for task in tasks._base_manager.filter(directory=""):
        known = files.objects.filter(run__task_id=task.pk).order_by("-pk").values_list("directory", flat=True).first()
        task.directory = known or directory_name(task.name, task.created_at, zone)
        task.save(update_fields=("directory",))


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0002_roles"),
    ]

    operations = [
        migrations.AddField(
            model_name="backuptask",
            name="directory",
            field=models.CharField(blank=True, editable=False, max_length=100),
        ),
        migrations.RunPython(name_directories, migrations.RunPython.noop),
    ]
