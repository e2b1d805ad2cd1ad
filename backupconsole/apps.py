"""Django's admin, with the console's own rule of who may enter."""

from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class ConsoleAdminConfig(AdminConfig):
    """Use the console's admin site in the place of Django's, and bring the console's system checks."""

    default_site = "backupconsole.adminsite.ConsoleAdminSite"

    def ready(self) -> None:
        """Register the checks."""
        super().ready()
        import_module("backupconsole.checks")
