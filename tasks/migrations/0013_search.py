"""The text that the list's search looks through, for the tasks that are there."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks.searchtext import search_text

_BATCH = 500


def fill(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Write the text of each task, deleted ones as well."""
    tasks = apps.get_model("tasks", "BackupTask")._base_manager
    found = list(tasks.only("name", "destination"))
    for task in found:
        task.search_text = search_text(task.name, task.destination)
    tasks.bulk_update(found, ["search_text"], batch_size=_BATCH)


class Migration(migrations.Migration):
    dependencies = [("tasks", "0012_ranges")]

    operations = [
        migrations.AddField(
            model_name="backuptask",
            name="search_text",
            field=models.TextField(blank=True, default="", editable=False),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
