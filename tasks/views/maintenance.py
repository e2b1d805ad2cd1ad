"""System > Maintenance: the switch that lets no new run start."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import permissions, services
from tasks.audit import actor_of
from tasks.errors import Refused
from tasks.forms.editor import problems_of
from tasks.forms.maintenance import MaintenanceForm, mark
from tasks.models import BackupTask, Maintenance, Run
from tasks.scope import narrowed
from tasks.states import RunState
from tasks.views.common import needs, tell_refusal

AHEAD = timedelta(hours=24)


@needs(permissions.SYSTEM)
@require_http_methods(["GET", "POST"])
def switch(request: HttpRequest) -> HttpResponse:
    """Show the switch and what it would keep from starting; a POST sets it, or changes why and until when."""
    now, current = timezone.now(), Maintenance.current()
    form = MaintenanceForm(request.POST if request.method == "POST" else None, now=now, switch=current)
    if not form.is_bound or not form.is_valid():
        return _page(request, form, current, now)
    shown = form.cleaned_data["since"]
    verb = services.change_maintenance if shown else services.set_maintenance
    try:
        if shown != mark(current, now):
            raise Refused("Maintenance was set or ended by somebody else meanwhile.", cure="Look at it again.")
        verb(actor_of(request), form.cleaned_data["reason"], form.cleaned_data["until"], now)
    except ConsoleError as error:
        tell_refusal(request, error)
    else:
        what = "changed" if shown else "on"
        messages.success(request, f"Maintenance is {what}. No new run starts; what is running finishes.")
    return redirect("maintenance")


@needs(permissions.SYSTEM)
@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """End the maintenance; what waited starts."""
    try:
        services.end_maintenance(actor_of(request), timezone.now())
    except ConsoleError as error:
        tell_refusal(request, error)
    else:
        messages.success(request, "Maintenance has ended. What waited starts now, and schedules go on.")
    return redirect("maintenance")


def _page(request: HttpRequest, form: MaintenanceForm, current: Maintenance, now: datetime) -> HttpResponse:
    runs = narrowed(Run.objects.all(), request.user)
    due = narrowed(BackupTask.objects.filter(next_run_at__isnull=False, next_run_at__lte=now + AHEAD), request.user)
    context = {
        "form": form,
        "problems": problems_of(form) if form.is_bound else [],
        "noun": "maintenance",
        "last": current if current.since is not None and not current.on(now) else None,
        "running": runs.filter(state=RunState.RUNNING).count(),
        "waiting": runs.filter(state=RunState.WAITING).count(),
        "due": due.count(),
    }
    return render(request, "system/maintenance.html", context)
