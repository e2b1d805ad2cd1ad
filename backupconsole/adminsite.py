"""The admin site: history and audit to read, people and groups to look after."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

# What Django calls otherwise than the console does: by the label of the app, or by the name of the model.
_WORDS = {"auth": "People and roles", "User": "People", "Group": "Roles"}


class ConsoleAdminSite(AdminSite):
    """Lets auditors and administrators in by their permission, not by Django's staff flag.

    Roles are groups; a person who is given the group Auditor needs no second switch to read the audit.
    """

    site_header = "Records and people"
    site_title = "Backup Console"
    index_title = "Records"
    site_url = "/"
    # Nothing there is said by a word, as on all pages.
    empty_value_display = "None"

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may see the admin at all."""
        return request.user.is_active and request.user.has_perm("tasks.view_auditevent")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return what the person may look at, in the console's words."""
        found = super().get_app_list(request, app_label)
        for app in found:
            app["name"] = _WORDS.get(app["app_label"], app["name"])
            for model in app["models"]:
                model["name"] = _WORDS.get(model["object_name"], model["name"])
        return found
