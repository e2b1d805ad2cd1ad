"""What a person sees who is locked out: the login page, when to try again, and who can help."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from tasks.lockout.standing import minutes_left
from tasks.models import Lockout


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: Any = None) -> HttpResponse:
    """Answer an attempt that was not made, or that was one too many; the same for names that there are not.

    It says nothing of the password: a right one is refused as well.
    """
    lockout: Lockout | None = getattr(request, "lockout", None)
    minutes = minutes_left(lockout, timezone.now()) if lockout else 1
    context = {
        "form": AuthenticationForm(request, initial={"username": request.POST.get("username", "")[:150]}),
        "next": request.POST.get("next", ""),
        "locked": {"minutes": minutes, "whole_address": bool(lockout and lockout.rule == Lockout.Rule.ADDRESS)},
    }
    answer = render(request, "login.html", context, status=429)
    answer.headers["Retry-After"] = str(minutes * 60)
    return answer
