"""The admin site: history and audit to read, people and groups to look after."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class ConsoleAdminSite(AdminSite):
    """Lets auditors and administrators in by their permission, not by Django's staff flag.

    Roles are groups; a person who is given the group Auditor needs no second switch to read the audit.
    """

    site_header = "Backup Console: history, audit and people"
    site_title = "Backup Console"
    index_title = "Records"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may see the admin at all."""
        return request.user.is_active and request.user.has_perm("tasks.view_auditevent")
