"""Ends of runs by their states: the homepage counts those of a day."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0011_size"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="run",
            name="run_ended",
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["state", "kind", "ended_at", "cluster"], name="run_ended"),
        ),
    ]
