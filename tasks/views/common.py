"""What all pages share: who may see them, where to go back to, and how a refusal is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from storage.errors import ConsoleError

View = Callable[..., HttpResponse]


def needs(permission: str) -> Callable[[View], View]:
    """Return a decorator that lets only people with ``permission`` in; everybody else gets the page for 403."""
    decorator: Callable[[View], View] = permission_required(permission, raise_exception=True)
    return decorator


def back_to(request: HttpRequest, fallback: str, *args: Any) -> HttpResponseRedirect:
    """Redirect to the page named by ``next``, or to ``fallback`` where that is missing or leads elsewhere."""
    target = request.POST.get("next", "") or request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(target if target and safe else resolve_url(fallback, *args))


def tell_refusal(request: HttpRequest, error: ConsoleError) -> None:
    """Leave the reason of a refusal as a notice for the next page."""
    messages.error(request, str(error))
