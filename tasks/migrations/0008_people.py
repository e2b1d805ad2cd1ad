"""People: limits to clusters, sessions and former passwords; the audit learns which cluster an event concerns."""

from importlib import import_module

import django.db.models.deletion
import django.utils.timezone
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

make_roles = import_module("tasks.migrations.0002_roles").make_roles
# Of what the audit tells, by the word it uses, and how its cluster is reached.
_PATHS = {
    "service": ("Service", "cluster_id"),
    "node": ("Node", "service__cluster_id"),
    "backup task": ("BackupTask", "cluster_id"),
    "restoration task": ("Restoration", "cluster_id"),
    "run": ("Run", "cluster_id"),
}
UNKNOWN = 0


def find_clusters(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Write beside each event which cluster it concerned; zero where what it was about is gone."""
    events = apps.get_model("tasks", "AuditEvent").objects
    events.filter(target_kind="cluster").update(cluster_id=Coalesce("target_id", UNKNOWN))
    for word, (name, path) in _PATHS.items():
        things = apps.get_model("tasks", name).objects.filter(pk=OuterRef("target_id")).values(path)
        events.filter(target_kind=word).update(cluster_id=Coalesce(Subquery(things[:1]), UNKNOWN))
    alarms = apps.get_model("tasks", "Alarm").objects.filter(pk=OuterRef("target_id")).values("cluster_id")
    events.filter(target_kind="alarm").update(cluster_id=Subquery(alarms[:1]))


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0007_home"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="auditevent",
            name="cluster_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="FormerPassword",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(editable=False, max_length=128)),
                ("set_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former_passwords",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("limited", models.BooleanField(default=False, verbose_name="Clusters")),
                ("must_change_password", models.BooleanField(default=False)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("clusters", models.ManyToManyField(blank=True, related_name="people", to="tasks.cluster")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="person", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "people",
                "permissions": [
                    ("manage_people", "Can make and disable users, give roles and limit people to clusters")
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonSession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token", models.CharField(editable=False, max_length=64, unique=True)),
                ("user_agent", models.CharField(blank=True, max_length=255)),
                ("address", models.CharField(blank=True, max_length=64)),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                ("seen_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="console_sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "ordering": ("-seen_at", "-id"),
            },
        ),
        migrations.RunPython(find_clusters, migrations.RunPython.noop),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
