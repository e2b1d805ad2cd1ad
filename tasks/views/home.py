"""The Homepage, and where a person lands who may not see it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from tasks import permissions
from tasks.context import shell_of
from tasks.home.days import PAGE_SIZE
from tasks.home.page import HomeState, news, whole
from tasks.home.sight import Sight
from tasks.selectors import number_in
from tasks.views.common import needs


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the homepage; whose role does not allow that is led to the first page that it does, or told whom to ask."""
    if request.user.has_perm(permissions.VIEW):
        context = whole(_sight(request), HomeState.of(request.GET))
        return render(request, "home/home.html", context)
    if request.user.has_perm(permissions.AUDIT):
        return redirect("audit")
    return render(request, "shell/no_role.html")


@require_GET
@needs(permissions.VIEW)
def home_news(request: HttpRequest) -> HttpResponse:
    """Send what changes on the page by itself, for htmx; the tasks named by ``ids`` stay in their order."""
    numbers = [number_in(part) for part in request.GET.get("ids", "").split(",")]
    keys = [key for key in numbers if key is not None][:PAGE_SIZE]
    context = news(_sight(request), HomeState.of(request.GET), keys)
    return render(request, "home/_news.html", context)


def _sight(request: HttpRequest) -> Sight:
    shell = shell_of(request)
    return Sight(request.user, timezone.now(), shell.may, shell.alarm_counts, shell.workers)
