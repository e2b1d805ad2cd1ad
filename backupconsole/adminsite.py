"""The admin site: history and audit to read."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class ConsoleAdminSite(AdminSite):
    """Lets auditors and administrators in by their permission, not by Django's staff flag.

    Roles are groups; a person who is given the group Auditor needs no second switch to read the audit.
    """

    site_header = "Records"
    site_title = "Backup Console"
    index_title = "Records"
    site_url = "/"
    # Nothing there is said by a word, as on all pages.
    empty_value_display = "None"

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may see the admin at all."""
        return request.user.is_active and request.user.has_perm("tasks.view_auditevent")

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the one page on which a password is changed."""
        return redirect("password")
