"""O&M > Alarms: what needs somebody, and clearing it by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from storage.errors import ConsoleError
from tasks import alarmlist, alarms, permissions, services
from tasks.alarmlist import AlarmState
from tasks.audit import actor_of
from tasks.models import Alarm
from tasks.views.common import back_to, needs, row_or_404, tell_refusal


@require_GET
@needs(permissions.VIEW)
def alarm_list(request: HttpRequest) -> HttpResponse:
    """Show the alarms; the filter and the pages are in the URL."""
    return render(request, "alarms/list.html", _whole(request))


@require_GET
@needs(permissions.VIEW)
def alarm_news(request: HttpRequest) -> HttpResponse:
    """Send what changes on the page by itself, for htmx."""
    return render(request, "alarms/_news.html", _whole(request))


def _whole(request: HttpRequest) -> dict[str, Any]:
    return alarmlist.whole(AlarmState.of(request.GET), alarms.counts(request.user), request.user)


@require_POST
@needs(permissions.RUN)
def clear(request: HttpRequest, pk: int) -> HttpResponse:
    """Clear an alarm by hand, and go back to the page."""
    alarm = row_or_404(request, Alarm.objects, pk)
    try:
        services.clear_alarm(actor_of(request), alarm, timezone.now())
        messages.success(request, f"{alarm.name} of {alarm.place} cleared. It comes back with its cause.")
    except ConsoleError as error:
        tell_refusal(request, error)
    return back_to(request, "alarms")
