"""System > People > Lockouts: who cannot log in for a while, and letting them try again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from storage.errors import ConsoleError
from tasks import permissions, services
from tasks.audit import actor_of
from tasks.lockout import standing
from tasks.models import Lockout
from tasks.views.common import back_to, needs, tell_refusal
from tasks.views.people import person_or_404

# What attacks leave is of no use one by one; the newest are shown.
MOST = 100


@require_GET
@needs(permissions.PEOPLE)
def lockouts(request: HttpRequest) -> HttpResponse:
    """Show what is locked out now."""
    found = standing.in_force(timezone.now())
    count = found.count()
    return render(request, "people/lockouts.html", {"lockouts": list(found[:MOST]), "count": count, "most": MOST})


@require_POST
@needs(permissions.PEOPLE)
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End one lockout, and go back to the page."""
    lockout = get_object_or_404(Lockout.objects.select_related("user"), pk=pk)
    try:
        services.end_lockout(actor_of(request), lockout)
        messages.success(request, f"The lockout of {standing.words(lockout)} has ended.")
    except ConsoleError as error:
        tell_refusal(request, error)
    return back_to(request, "lockouts")


@require_POST
@needs(permissions.PEOPLE)
def end_of_person(request: HttpRequest, pk: int) -> HttpResponse:
    """End every lockout of a person, and go back to their page."""
    user = person_or_404(pk)
    try:
        services.end_lockouts(actor_of(request), user)
        messages.success(request, f"{user.username} can try to log in again.")
    except ConsoleError as error:
        tell_refusal(request, error)
    return back_to(request, "person", pk)
