"""Who may: roles as groups, and the permissions of each (issue: Who may).

The table is the truth; a migration brings the groups to it, and each change of the table brings a migration.
"""

from __future__ import annotations

from typing import Any, Protocol

from django.apps.registry import Apps

VIEW = "tasks.view_console"
RUN = "tasks.run_task"
MANAGE = "tasks.manage_task"
INVENTORY = "tasks.manage_inventory"
SYSTEM = "tasks.manage_system"
RESTORE = "tasks.restore"
PEOPLE = "tasks.manage_people"
AUDIT = "tasks.view_auditevent"

_RECORDS = ("tasks.view_auditevent", "tasks.view_run", "tasks.view_backupfile", "tasks.view_logline")
_QUEUE = ("django_q.view_schedule", "django_q.view_success", "django_q.view_failure", "django_q.view_ormq")

# What each permission is good for, in the words of the pages.
MAY: dict[str, str] = {
    VIEW: "See clusters, tasks, runs, restorations and alarms",
    RUN: "Back up now, stop, suspend and resume tasks; check and rehearse sets; clear alarms",
    MANAGE: "Create, configure and delete backup tasks",
    INVENTORY: "Register and change clusters, services and nodes",
    RESTORE: "Restore sets, salvage them, remove safety copies",
    SYSTEM: "Look after the management nodes and the console itself",
    PEOPLE: "Make and disable users, give roles, limit people to clusters",
    AUDIT: "Read the audit and the records of runs",
}

VIEWER = "Viewer"
OPERATOR = "Operator"
BACKUP_ADMINISTRATOR = "Backup Administrator"
RESTORE_ADMINISTRATOR = "Restore Administrator"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"

ROLES: dict[str, tuple[str, ...]] = {
    VIEWER: (VIEW,),
    OPERATOR: (VIEW, RUN),
    BACKUP_ADMINISTRATOR: (VIEW, RUN, MANAGE, INVENTORY),
    RESTORE_ADMINISTRATOR: (VIEW, RESTORE),
    AUDITOR: _RECORDS,
    ADMINISTRATOR: (VIEW, RUN, MANAGE, INVENTORY, SYSTEM, RESTORE, PEOPLE, *_RECORDS, *_QUEUE),
}


class Asker(Protocol):
    """Anything that can be asked whether it has a permission: a user."""

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Tell whether it has."""


def seed_roles(apps: Apps) -> None:
    """Make the groups of ``ROLES`` hold exactly the permissions listed there; other groups are left alone.

    ``apps`` is the registry to take the models from, so that migrations can call this. Idempotent.
    """
    groups, rights = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for name, wanted in ROLES.items():
        group, _ = groups.objects.get_or_create(name=name)
        codes = {permission.split(".", 1)[1] for permission in wanted}
        found = rights.objects.filter(codename__in=codes).select_related("content_type")
        group.permissions.set(
            [right for right in found if f"{right.content_type.app_label}.{right.codename}" in wanted]
        )
