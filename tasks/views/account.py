"""Pages of the person who is logged in: preferences, password and theme."""

from __future__ import annotations

import json

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from tasks import audit
from tasks.context import THEMES, theme_of
from tasks.middleware import COOKIE, preference_of, zone_named
from tasks.models import Preference
from tasks.preferences import OwnPasswordForm, PreferenceForm
from tasks.views.common import back_to, by_htmx


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Show and change the zone, the theme and the password of the person; each form saves on its own."""
    user = request.user
    assert isinstance(user, User)
    posted = request.POST if request.method == "POST" else None
    for_password = posted is not None and "password" in posted
    mine = preference_of(request) or Preference(user=user)
    browser = zone_named(request.COOKIES.get(COOKIE))
    shown = PreferenceForm(
        None if for_password else posted, instance=mine, browser_zone=str(browser) if browser else ""
    )
    password = OwnPasswordForm(user, posted if for_password else None)
    if posted is not None and not for_password and shown.is_valid():
        shown.save()
        messages.success(request, "Preferences saved.")
        return redirect("preferences")
    if for_password and password.is_valid():
        return _changed(request, password)
    context = {"form": shown, "password_form": password, "errors": bool(shown.errors or password.errors)}
    return render(request, "account/preferences.html", context)


def _changed(request: HttpRequest, form: OwnPasswordForm) -> HttpResponse:
    """Store the new password, put the change on record, and keep this session; the others end."""
    user = form.save()
    update_session_auth_hash(request, user)
    audit.record(audit.actor_of(request), "change own password", user)
    messages.success(request, "Password changed. Your sessions on other computers have ended.")
    return redirect("preferences")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme; htmx gets the button anew and keeps the page, a browser without script goes back to it."""
    wanted = request.POST.get("theme", "")
    value = wanted if wanted in THEMES else Preference.Theme.AUTO
    user = request.user
    assert isinstance(user, User)
    changed, _ = Preference.objects.update_or_create(user=user, defaults={"theme": value})
    if not by_htmx(request):
        return back_to(request, "preferences")
    response = render(request, "shell/_theme.html", {"theme": theme_of(changed), "next": request.POST.get("next", "")})
    response.headers["HX-Trigger"] = json.dumps({"theme": {"value": str(value)}})
    return response
