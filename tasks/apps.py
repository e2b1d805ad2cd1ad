"""The app of backup tasks."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    """What is backed up, when, and what happened."""

    name = "tasks"
    verbose_name = "Backup and Restoration"
    default_auto_field = "django.db.models.BigAutoField"
