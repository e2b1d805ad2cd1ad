"""Give the roles what ``tasks.permissions.ROLES`` says now: there is a Restore Administrator."""

from importlib import import_module

from django.db import migrations

make_roles = import_module("tasks.migrations.0002_roles").make_roles


class Migration(migrations.Migration):
    dependencies = [("tasks", "0003_restore")]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
