"""Indexes that answer counts alone: ends of runs by their states, tasks by theirs with their keys.

Indexes that others cover go, and those of keys that most runs do not have hold only the runs that do: each run that is
queued was written to all of them. The old ones are dropped by name: to alter the fields SQLite would copy the table.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_OLD = {
    "tasks_run_task_id_d9105778": "task_id",
    "tasks_run_restoration_id_0c4a2bd9": "restoration_id",
    "tasks_run_subject_id_bd369c5e": "subject_id",
    "tasks_run_started_by_id_e912b362": "started_by_id",
}


def _without_index(name: str, **key: object) -> migrations.AlterField:
    field = models.ForeignKey(blank=True, db_index=False, null=True, **key)
    return migrations.AlterField(model_name="run", name=name, field=field)


def _only_with(name: str, index: str) -> migrations.AddIndex:
    there = models.Q((f"{name}__isnull", False))
    return migrations.AddIndex(model_name="run", index=models.Index(condition=there, fields=[name], name=index))


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
        migrations.RemoveIndex(
            model_name="backuptask",
            name="tasks_backu_last_st_185f16_idx",
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f'DROP INDEX IF EXISTS "{index}"', f'CREATE INDEX "{index}" ON "tasks_run" ("{column}")'
                )
                for index, column in _OLD.items()
            ],
            state_operations=[
                _without_index(
                    "task",
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="runs",
                    to="tasks.backuptask",
                ),
                _without_index(
                    "restoration",
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="runs",
                    to="tasks.restoration",
                ),
                _without_index(
                    "subject",
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="proofs",
                    to="tasks.run",
                ),
                _without_index(
                    "started_by",
                    on_delete=django.db.models.deletion.SET_NULL,
                    to=settings.AUTH_USER_MODEL,
                ),
            ],
        ),
        _only_with("restoration", "run_of_restoration"),
        _only_with("subject", "run_of_subject"),
        _only_with("started_by", "run_started_by"),
    ]
