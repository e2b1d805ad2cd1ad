"""Pages of the person who is logged in: profile, preferences, theme, password and sessions."""

from __future__ import annotations

import json

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import permissions, services, sessions
from tasks.audit import actor_of
from tasks.context import THEMES, theme_of
from tasks.devices import device
from tasks.middleware import COOKIE, preference_of, zone_named
from tasks.models import PersonSession, Preference
from tasks.preferences import FirstPasswordForm, OwnPasswordForm, PreferenceForm, ProfileForm
from tasks.scope import person_of
from tasks.views.common import back_to, by_htmx, tell_refusal


def _me(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)  # the page is for people who are logged in
    return user


@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Show and change names, mail address, zone and theme of the person; each form saves on its own."""
    user = _me(request)
    posted = request.POST if request.method == "POST" else None
    of_profile = posted is not None and "profile" in posted
    mine = preference_of(request) or Preference(user=user)
    browser = zone_named(request.COOKIES.get(COOKIE))
    form = PreferenceForm(None if of_profile else posted, instance=mine, browser_zone=str(browser) if browser else "")
    profile = ProfileForm(posted if of_profile else None, initial=ProfileForm.stored(user))
    if of_profile and profile.is_valid():
        services.change_own_profile(actor_of(request), user, profile.cleaned_data)
        messages.success(request, "Profile saved.")
        return redirect("preferences")
    if posted is not None and not of_profile and form.is_valid():
        form.save()
        messages.success(request, "Preferences saved.")
        return redirect("preferences")
    context = {"form": form, "profile": profile, "errors": bool(form.errors or profile.errors)}
    return render(request, "account/preferences.html", context)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme; htmx gets the button anew and keeps the page, a browser without script goes back to it."""
    wanted = request.POST.get("theme", "")
    value = wanted if wanted in THEMES else Preference.Theme.AUTO
    changed, _ = Preference.objects.update_or_create(user=_me(request), defaults={"theme": value})
    if not by_htmx(request):
        return back_to(request, "preferences")
    response = render(request, "shell/_theme.html", {"theme": theme_of(changed), "next": request.POST.get("next", "")})
    response.headers["HX-Trigger"] = json.dumps({"theme": {"value": str(value)}})
    return response


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change the own password; after a one-time one this is the only page that is open (``tasks.gate``)."""
    user, posted = _me(request), request.POST if request.method == "POST" else None
    person = person_of(user)
    first = bool(person and person.must_change_password)
    form = FirstPasswordForm(user, posted) if first else OwnPasswordForm(user, posted)
    if posted is None or not form.is_valid():
        return render(request, "account/first_password.html" if first else "account/password.html", {"form": form})
    chosen = form.cleaned_data["new_password1"]
    services.change_own_password(actor_of(request), user, chosen, sessions.session_of(request))
    update_session_auth_hash(request, user)
    messages.success(request, "Password changed. Your sessions on other devices have ended.")
    return redirect("home" if first else "password")


# --- Sessions ---------------------------------------------------------------------------------------------------------
@require_GET
def session_list(request: HttpRequest) -> HttpResponse:
    """Show where the person is logged in."""
    context = {
        "sessions": list(sessions.live(_me(request), timezone.now())),
        "mine": sessions.session_of(request),
        "idle": sessions.idle_limit(),
        "whole": sessions.whole_limit(),
    }
    return render(request, "account/sessions.html", context)


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one session: an own one, or for who looks after people that of somebody else; 404 for others."""
    session = get_object_or_404(PersonSession.objects.select_related("user__person"), pk=pk)
    if session.user_id != request.user.pk and not request.user.has_perm(permissions.PEOPLE):
        raise Http404
    try:
        services.end_session(actor_of(request), session)
        messages.success(request, f"The session has ended: {device(session.user_agent)}, {session.address}.")
    except ConsoleError as error:
        tell_refusal(request, error)
    return back_to(request, "sessions")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """End all sessions of the person but this one."""
    count = services.end_sessions(actor_of(request), _me(request), kept=sessions.session_of(request))
    messages.success(request, f"{count} other {'session has' if count == 1 else 'sessions have'} ended.")
    return redirect("sessions")
