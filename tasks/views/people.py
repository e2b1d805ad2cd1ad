"""System > People: the list, a person's page, and the verbs on people that are asked before they are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import people, peoplelist, permissions, services, sessions
from tasks.audit import actor_of
from tasks.lockout.standing import lockouts_of
from tasks.peoplelist import PeopleState, Row
from tasks.views.common import needs, tell_refusal


@require_GET
@needs(permissions.PEOPLE)
def person_list(request: HttpRequest) -> HttpResponse:
    """Show the people; filter and page are in the URL."""
    return render(request, "people/list.html", peoplelist.whole(PeopleState.of(request.GET), actor_of(request)))


def person_or_404(pk: int) -> User:
    """Return a person with what their page shows."""
    return get_object_or_404(peoplelist.known_people(), pk=pk)


@require_GET
@needs(permissions.PEOPLE)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a person: what they may do and see, and where they are logged in."""
    user, actor, now = person_or_404(pk), actor_of(request), timezone.now()
    roles = people.roles().filter(pk__in=[role.pk for role in user.groups.all()])
    context = {
        "person": user,
        "row": Row(user, actor),
        "may": [(role.name, people.what_role_may(role)) for role in roles],
        "cannot": people.cannot_look_after(actor, user),
        "sessions": list(sessions.live(user, now)),
        "mine": sessions.session_of(request),
        "lockouts": list(lockouts_of(user)),
    }
    return render(request, "people/person.html", context)


@require_http_methods(["GET", "POST"])
@needs(permissions.PEOPLE)
@never_cache
def password(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask before a person gets a new password; a POST sets it and shows it, this once."""
    user = person_or_404(pk)
    if request.method == "GET":
        return _ask(request, user, "password")
    try:
        made = services.set_one_time_password(actor_of(request), user)
    except ConsoleError as error:
        tell_refusal(request, error)
        return redirect("person", pk)
    return one_time(request, user, made, f"{user.username} has a new password")


def one_time(request: HttpRequest, user: User, made: str, heading: str) -> HttpResponse:
    """Show a password for one login; it is in this response and nowhere else in clear."""
    return render(request, "people/one_time.html", {"person": user, "made": made, "heading": heading})


@require_http_methods(["GET", "POST"])
@needs(permissions.PEOPLE)
def disable(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what disabling does; a POST does it."""
    user = person_or_404(pk)
    if request.method == "GET":
        return _ask(request, user, "disable")
    done = f"{user.username} is disabled and cannot log in. Roles and records stay."
    return _done(request, user, done, lambda: services.disable_person(actor_of(request), user))


@require_POST
@needs(permissions.PEOPLE)
def enable(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a disabled person in again."""
    user = person_or_404(pk)
    done = f"{user.username} is active again and logs in with the password they had."
    return _done(request, user, done, lambda: services.enable_person(actor_of(request), user))


@require_POST
@needs(permissions.PEOPLE)
def end_sessions(request: HttpRequest, pk: int) -> HttpResponse:
    """End all sessions of a person."""
    user = person_or_404(pk)
    return _done(
        request,
        user,
        f"All sessions of {user.username} have ended.",
        lambda: services.end_sessions(actor_of(request), user, kept=sessions.session_of(request)),
    )


def _done(request: HttpRequest, user: User, done: str, verb: Callable[[], Any]) -> HttpResponse:
    try:
        verb()
        messages.success(request, done)
    except ConsoleError as error:
        tell_refusal(request, error)
    return redirect("person", user.pk)


def _ask(request: HttpRequest, user: User, verb: str) -> HttpResponse:
    context = {
        "person": user,
        "verb": verb,
        "cannot": people.cannot_look_after(actor_of(request), user),
        "count": sessions.live(user, timezone.now()).count(),
    }
    return render(request, "people/confirm.html", context)
