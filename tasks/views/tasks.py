"""Backup Management: the list and the verbs on its rows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from tasks import permissions
from tasks.views.common import needs


def home(request: HttpRequest) -> HttpResponse:
    """Lead a person to the first page that the role allows; without a role say whom to ask."""
    if request.user.has_perm(permissions.VIEW):
        return redirect("tasks")
    if request.user.has_perm(permissions.AUDIT):
        return redirect("admin:index")
    return render(request, "shell/no_role.html")


@needs(permissions.VIEW)
def task_list(request: HttpRequest) -> HttpResponse:
    """Show the backup tasks."""
    return render(request, "tasks/list.html")


task_cells = task_list
back_up_now = stop = suspend = resume = delete = task_list
