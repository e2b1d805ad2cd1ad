"""The audit becomes a chain; refusals are counted, lockouts kept. What is on record already is chained as it stands."""

import django.db.models.deletion
import django.utils.timezone
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks import chain
from tasks.risks import risk_of

_SEAL = "UPDATE tasks_auditevent SET position = %s, digest = %s WHERE id = %s"


def chain_events(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Give each event its risk and its link, the oldest first, in a stream."""
    events = apps.get_model("tasks", "AuditEvent").objects.using(editor.connection.alias).order_by("pk")
    for verb in events.order_by().values_list("verb", flat=True).distinct():
        events.filter(verb=verb).update(risk=risk_of(verb))
    position, last, digest = 0, 0, chain.GENESIS
    while batch := list(events.filter(pk__gt=last).values(*chain.CONTENT, "foreign", "stamp")[:1000]):
        seals = []
        for event in batch:
            position, last = position + 1, event["id"]
            digest = chain.digest(digest, {**event, "position": position})
            seals.append((position, digest, last))
        with editor.connection.cursor() as cursor:
            cursor.executemany(_SEAL, seals)
    ends = {"position": position, "digest": digest}
    apps.get_model("tasks", "AuditChain").objects.using(editor.connection.alias).update_or_create(pk=1, defaults=ends)


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0009_notifications"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditChain",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.BigIntegerField(default=0)),
                (
                    "digest",
                    models.CharField(
                        default="0000000000000000000000000000000000000000000000000000000000000000", max_length=64
                    ),
                ),
                ("pass_began_at", models.DateTimeField(null=True)),
                ("pass_position", models.BigIntegerField(default=0)),
                (
                    "pass_digest",
                    models.CharField(
                        default="0000000000000000000000000000000000000000000000000000000000000000", max_length=64
                    ),
                ),
                ("pass_findings", models.JSONField(default=list)),
                ("verified_at", models.DateTimeField(null=True)),
                ("verified_event", models.BigIntegerField(null=True)),
                ("findings", models.JSONField(default=list)),
                ("checkpoints", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="Lockout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "rule",
                    models.CharField(
                        choices=[
                            ("pair", "Person at an address"),
                            ("address", "Address"),
                        ],
                        max_length=7,
                    ),
                ),
                ("name_key", models.CharField(blank=True, max_length=80)),
                ("address", models.CharField(blank=True, max_length=64)),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                ("until", models.DateTimeField(db_index=True)),
            ],
            options={
                "ordering": ("-since", "-id"),
            },
        ),
        migrations.CreateModel(
            name="RefusalCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64, unique=True)),
                ("who", models.CharField(db_index=True, max_length=40)),
                ("opened_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("last_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("times", models.PositiveIntegerField(default=0)),
                ("facts", models.JSONField(default=dict)),
            ],
        ),
        migrations.AddField(
            model_name="auditevent",
            name="digest",
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="foreign",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="position",
            field=models.BigIntegerField(editable=False, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="risk",
            field=models.CharField(
                choices=[("critical", "Critical"), ("major", "Major"), ("minor", "Minor"), ("notice", "Notice")],
                default="minor",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="stamp",
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AlterField(
            model_name="auditevent",
            name="at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AlterField(
            model_name="auditevent",
            name="verb",
            field=models.CharField(max_length=40),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["at", "id"], name="audit_by_time"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["actor", "at", "id"], name="audit_by_actor"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["address", "at", "id"], name="audit_by_address"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["verb", "at", "id"], name="audit_by_verb"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["risk", "at", "id"], name="audit_by_risk"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["target_kind", "at", "id"], name="audit_by_kind"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["target_kind", "target_id", "at", "id"], name="audit_by_thing"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["target", "at", "id"], name="audit_by_target"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["cluster_id", "at", "id"], name="audit_by_cluster"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["result", "at", "id"], name="audit_by_result"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(condition=models.Q(("position__isnull", True)), fields=["id"], name="audit_not_sealed"),
        ),
        migrations.AddConstraint(
            model_name="auditchain",
            constraint=models.CheckConstraint(condition=models.Q(("pk", 1)), name="one_row_of_audit_chain"),
        ),
        migrations.AddField(
            model_name="lockout",
            name="user",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="lockouts",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="lockout",
            constraint=models.UniqueConstraint(fields=("rule", "name_key", "address"), name="locked_out_once"),
        ),
        migrations.RunPython(chain_events, migrations.RunPython.noop),
    ]
