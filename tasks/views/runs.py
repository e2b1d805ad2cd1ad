"""View History: the runs of a task, their logs and their files."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tasks import permissions
from tasks.views.common import needs


@needs(permissions.VIEW)
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the runs of a task."""
    return render(request, "tasks/history.html", {"pk": pk})


history_head = row = log = log_download = backup_path = history
