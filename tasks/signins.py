"""Puts on record who logged in and out, and whose attempt was refused; logins that last get their row."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from tasks import sessions
from tasks.audit import Actor, address_of, record
from tasks.auditing.refusals import record_refusal

# What was typed as a name may be a password in the wrong field: only names that exist are written down.
UNKNOWN = "unknown account"


def _address(request: HttpRequest | None) -> str:
    return address_of(request) if request is not None else ""


@receiver(user_logged_in, dispatch_uid="audit log in")
def logged_in(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    """Record a login, and begin its session."""
    record(Actor(user.get_username(), user, _address(request)), "log in", user)
    if request is not None:
        sessions.begin(request, user, timezone.now())


@receiver(user_logged_out, dispatch_uid="audit log out")
def logged_out(sender: Any, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """Record a logout of a session that belonged to somebody, and forget the session."""
    if user is not None:
        record(Actor(user.get_username(), user, _address(request)), "log out", user)
    if request is not None:
        sessions.forget(request)


@receiver(user_login_failed, dispatch_uid="audit refused login")
def login_failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Record an attempt that was refused, with the account if there is one of that name; a flood only by its number."""
    name = str(credentials.get(User.USERNAME_FIELD, ""))
    known = User.objects.filter(username=name).first()
    target = known or User(username=UNKNOWN)
    actor = Actor(target.get_username(), known, _address(request))
    record_refusal(actor, "log in", target, "locked out" if getattr(request, "axes_locked_out", False) else "")
