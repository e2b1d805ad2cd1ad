"""Django's admin, with the console's own rule of who may enter."""

from django.contrib.admin.apps import AdminConfig


class ConsoleAdminConfig(AdminConfig):
    """Use the console's admin site in the place of Django's."""

    default_site = "backupconsole.adminsite.ConsoleAdminSite"
