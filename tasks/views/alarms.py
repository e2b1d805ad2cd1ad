"""O&M > Alarms: what needs somebody, what did, the rules, and the verbs on one."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import alarmexport, alarmlist, alarms, permissions, services
from tasks.alarmfilter import AlarmState
from tasks.audit import Actor, actor_of
from tasks.forms.alarm import AcknowledgeForm
from tasks.models import Alarm
from tasks.scope import narrowed
from tasks.selectors import number_in
from tasks.views.common import back_to, by_htmx, do, needs, row_or_404, tell_refusal, wanted_next


@require_GET
@needs(permissions.VIEW)
def alarm_list(request: HttpRequest) -> HttpResponse:
    """Show the alarms that are not cleared; the filter and the page are in the URL."""
    context = alarmlist.whole(AlarmState.of(request.GET), request.user, timezone.now())
    return render(request, "alarms/list.html", context | alarmlist.choices(request.user))


@require_GET
@needs(permissions.VIEW)
def alarm_news(request: HttpRequest) -> HttpResponse:
    """Send what changes on the page by itself, for htmx."""
    context = alarmlist.whole(AlarmState.of(request.GET), request.user, timezone.now())
    return render(request, "alarms/_news.html", context)


@require_GET
@needs(permissions.VIEW)
def cleared_list(request: HttpRequest) -> HttpResponse:
    """Show the alarms that were cleared."""
    context = alarmlist.history(AlarmState.of(request.GET), request.user)
    return render(request, "alarms/cleared.html", context | alarmlist.choices(request.user))


@require_GET
@needs(permissions.VIEW)
def rules(request: HttpRequest) -> HttpResponse:
    """Show what raises and what clears each type of alarm."""
    limits = {"grace": settings.OVERDUE_GRACE, "drift": settings.CLOCK_DRIFT}
    return render(request, "alarms/rules.html", {"rules": alarmlist.rules(request.user)} | limits)


@require_GET
@needs(permissions.VIEW)
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Send the alarms that the filter lets through as CSV: those that are not cleared, or with ``cleared`` those."""
    found = Alarm.objects.all() if "cleared" in request.GET else alarms.uncleared()
    if "cleared" in request.GET:
        found = found.filter(cleared_at__isnull=False)
    found = AlarmState.of(request.GET).narrow(narrowed(found, request.user))
    return alarmexport.response(found, timezone.now())


@require_http_methods(["GET", "POST"])
@needs(permissions.RUN)
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask why an alarm may stay, as a dialog for htmx; a POST with the reason acknowledges it."""
    alarm = _alarm(request, pk)
    form = AcknowledgeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            services.acknowledge_alarm(actor_of(request), alarm, form.cleaned_data["comment"], timezone.now())
            messages.success(
                request, f"{alarm.name} of {_place(alarm)} acknowledged. It stays until its cause is gone."
            )
        except ConsoleError as error:
            tell_refusal(request, error)
        return back_to(request, "alarms")
    context = {"alarm": alarm, "form": form, "next": wanted_next(request)}
    template = "alarms/_acknowledge_dialog.html" if by_htmx(request) else "alarms/acknowledge.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
@needs(permissions.RUN)
def acknowledge_all(request: HttpRequest) -> HttpResponse:
    """Ask why all alarms that the filter lets through may stay; a POST acknowledges those that were counted there."""
    state = AlarmState.of(request.GET)
    form = AcknowledgeForm(request.POST if request.method == "POST" else None)
    # One that was raised since the question is not among those that the answer is about.
    pressing = alarmlist.pressing(state, request.user, number_in(request.POST.get("newest", "")))
    if request.method == "POST" and form.is_valid():
        try:
            comment = form.cleaned_data["comment"]
            count = services.acknowledge_alarms(actor_of(request), pressing.alarms, comment, timezone.now())
            messages.success(request, f"{count} alarms acknowledged. They stay until their causes are gone.")
        except ConsoleError as error:
            tell_refusal(request, error)
        return back_to(request, "alarms")
    context = {"pressing": pressing, "form": form, "filter": state.query(), "next": wanted_next(request)}
    template = "alarms/_acknowledge_all_dialog.html" if by_htmx(request) else "alarms/acknowledge_all.html"
    return render(request, template, context)


@require_POST
@needs(permissions.RUN)
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an acknowledgement back."""

    def verb(actor: Actor, alarm: Alarm) -> str:
        services.take_back_acknowledgement(actor, alarm)
        return f"{alarm.name} of {_place(alarm)} is no longer acknowledged."

    return _verb(request, pk, verb)


@require_POST
@needs(permissions.RUN)
def clear(request: HttpRequest, pk: int) -> HttpResponse:
    """Clear an alarm by hand."""

    def verb(actor: Actor, alarm: Alarm) -> str:
        services.clear_alarm(actor, alarm, timezone.now())
        return f"{alarm.name} of {_place(alarm)} cleared. It comes back with its cause."

    return _verb(request, pk, verb)


def _alarm(request: HttpRequest, pk: int) -> Alarm:
    return row_or_404(request, Alarm.objects.select_related("cluster"), pk)


def _place(alarm: Alarm) -> str:
    return alarm.place or alarm.subject


def _verb(request: HttpRequest, pk: int, verb: Callable[[Actor, Alarm], str]) -> HttpResponse:
    alarm = _alarm(request, pk)
    return do(request, lambda: verb(actor_of(request), alarm), "alarms")
