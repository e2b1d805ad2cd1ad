"""Pages of the person who is logged in: preferences and theme."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from tasks.context import THEMES, Shell
from tasks.models import Preference
from tasks.views.common import back_to, by_htmx


def preferences(request: HttpRequest) -> HttpResponse:
    """Show and change the zone and the theme of the person."""
    return render(request, "account/preferences.html")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme; htmx gets the button anew and keeps the page, a browser without script goes back to it."""
    wanted = request.POST.get("theme", "")
    value = wanted if wanted in THEMES else Preference.Theme.AUTO
    Preference.objects.update_or_create(user_id=request.user.pk, defaults={"theme": value})
    if not by_htmx(request):
        return back_to(request, "preferences")
    return render(request, "shell/_theme.html", {"shell": Shell(request)})
