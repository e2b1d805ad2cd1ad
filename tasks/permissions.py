"""Who may: roles as groups, and the permissions of each (issue: Who may).

The table is the truth: the groups are brought to it after every ``migrate``.
"""

from __future__ import annotations

from typing import Any, Protocol

VIEW = "tasks.view_console"
RUN = "tasks.run_task"
MANAGE = "tasks.manage_task"
INVENTORY = "tasks.manage_inventory"
AUDIT = "tasks.view_auditevent"

_RECORDS = ("tasks.view_auditevent", "tasks.view_run", "tasks.view_backupfile", "tasks.view_logline")
_PEOPLE = tuple(f"auth.{verb}_{noun}" for noun in ("user", "group") for verb in ("view", "add", "change", "delete"))
_QUEUE = ("django_q.view_schedule", "django_q.view_success", "django_q.view_failure", "django_q.view_ormq")

VIEWER = "Viewer"
OPERATOR = "Operator"
BACKUP_ADMINISTRATOR = "Backup Administrator"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"

ROLES: dict[str, tuple[str, ...]] = {
    VIEWER: (VIEW,),
    OPERATOR: (VIEW, RUN),
    BACKUP_ADMINISTRATOR: (VIEW, RUN, MANAGE, INVENTORY),
    AUDITOR: _RECORDS,
    ADMINISTRATOR: (VIEW, RUN, MANAGE, INVENTORY, *_RECORDS, *_PEOPLE, *_QUEUE),
}


class Asker(Protocol):
    """Anything that can be asked whether it has a permission: a user."""

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Tell whether it has."""


def seed_roles() -> None:
    """Make the groups of ``ROLES`` hold exactly the permissions listed there; other groups are left alone."""
    from django.contrib.auth.models import Group, Permission

    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        pairs = [permission.split(".", 1) for permission in wanted]
        found = Permission.objects.filter(
            content_type__app_label__in={app for app, _ in pairs}, codename__in={code for _, code in pairs}
        ).select_related("content_type")
        group.permissions.set(p for p in found if f"{p.content_type.app_label}.{p.codename}" in wanted)
