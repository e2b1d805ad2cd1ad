"""The app of backup tasks."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class TasksConfig(AppConfig):
    """What is backed up, when, and what happened."""

    name = "tasks"
    verbose_name = "Backup and Restoration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let LocalDir follow the page of the management nodes, which ``storage`` does not know; watch who logs in.

        The database guards the audit from the end of every ``migrate`` on.
        """
        import tasks.signins  # noqa: F401
        from storage.localdir import choose_data_storage_path
        from tasks.auditing import protection
        from tasks.models import ManagementNodes

        def chosen() -> str:
            row = ManagementNodes.objects.filter(pk=1).values_list("data_storage_path", flat=True).first()
            return row or ""

        choose_data_storage_path(chosen)
        pre_migrate.connect(protection.before_migrate, sender=self, dispatch_uid=protection.PROTECT)
        post_migrate.connect(protection.after_migrate, sender=self, dispatch_uid=protection.PROTECT)
