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
_PEOPLE = tuple(f"auth.{verb}_{noun}" for noun in ("user", "group") for verb in ("view", "add", "change", "delete"))
_QUEUE = ("django_q.view_schedule", "django_q.view_success", "django_q.view_failure", "django_q.view_ormq")

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
    ADMINISTRATOR: (VIEW, RUN, MANAGE, INVENTORY, SYSTEM, RESTORE, PEOPLE, *_RECORDS, *_PEOPLE, *_QUEUE),
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
