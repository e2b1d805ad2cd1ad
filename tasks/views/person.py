"""The form of a person: making one, and changing one unless somebody else did meanwhile."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from tasks import people, permissions, services
from tasks.audit import actor_of
from tasks.errors import EditConflict, Refused
from tasks.forms.editor import focus_first, problems_of, unjudged
from tasks.forms.person import PersonForm, differences, stored_values
from tasks.scope import limits_of
from tasks.views.common import clusters_of, needs, tell_refusal
from tasks.views.people import one_time, person_or_404

KEEP_EDITING = "keep_editing"


@require_http_methods(["GET", "POST"])
@needs(permissions.PEOPLE)
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """Make a user, and show the password for the first login."""
    form = _form(request)
    if request.method == "GET" or not form.is_valid():
        return _page(request, form)
    try:
        user, password = services.create_person(actor_of(request), form.draft())
    except Refused as refusal:
        return _page(request, _refused(form, refusal))
    return one_time(request, user, password, f"User {user.username} created")


@require_http_methods(["GET", "POST"])
@needs(permissions.PEOPLE)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change names, roles and clusters of a person."""
    user = person_or_404(pk)
    if why := people.cannot_look_after(actor_of(request), user):
        tell_refusal(request, Refused(why))
        return redirect("person", pk)
    form = _form(request, user)
    if KEEP_EDITING in request.POST:
        unjudged(form)
    if request.method == "GET" or KEEP_EDITING in request.POST or not form.is_valid():
        return _page(request, form)
    try:
        services.change_person(actor_of(request), user, form.cleaned_data["version"] or 1, form.draft())
    except EditConflict as conflict:
        return _conflict(request, form, user, conflict)
    except Refused as refusal:
        return _page(request, _refused(form, refusal))
    messages.success(request, f"User {user.username} saved.")
    return redirect("person", pk)


def _form(request: HttpRequest, user: User | None = None) -> PersonForm:
    """Return the form with what the person who fills it may give: roles within their rights, clusters in sight."""
    actor = actor_of(request)
    roles = people.roles()
    if not request.user.is_superuser:
        beyond = [role.pk for role in roles if people.gives_too_much(actor, people.rights_of_roles([role]))]
        roles = roles.exclude(pk__in=beyond)
    return PersonForm(
        request.POST or None,
        roles=roles,
        clusters=clusters_of(request),
        limited=limits_of(request.user) is not None,
        person=user,
        initial=stored_values(user) if user else {},
    )


def _refused(form: PersonForm, refusal: Refused) -> PersonForm:
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    return form


def _page(request: HttpRequest, form: PersonForm) -> HttpResponse:
    problems = problems_of(form) if form.is_bound else []
    focus_first(form)
    heading = f"Edit {form.person.username}" if form.person else "Create a user"
    context = {"form": form, "problems": problems, "person": form.person, "heading": heading, "noun": "user"}
    return render(request, "people/form.html", context)


def _conflict(request: HttpRequest, form: PersonForm, user: User, conflict: EditConflict) -> HttpResponse:
    """Show both values of each field, and let the person choose."""
    current = person_or_404(user.pk)
    sent = [(name, value) for name in form.fields if name != "version" for value in request.POST.getlist(name)]
    context: dict[str, Any] = {
        "person": current,
        "reason": conflict.message,
        "rows": differences(form.draft(), current),
        "hidden": [*sent, ("version", stored_values(current)["version"])],
    }
    return render(request, "people/conflict.html", context, status=409)
