"""Make the roles: one group each, with the permissions of ``tasks.permissions.ROLES``."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks.permissions import seed_roles


def make_roles(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the permissions, which Django would do only after the last migration, and then the groups."""
    for config in apps.get_app_configs():
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    seed_roles(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
