"""Puts on record what pages refuse before any verb is reached: for lack of a permission, or of the page's token."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views import csrf

from tasks.audit import Target, actor_of
from tasks.auditing.refusals import OnRecord, record_refusal

OPEN, SEND = "open page", "send form"


class RefusalMiddleware:
    """Records who was refused which page, however often that is asked for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Record a refusal that is not on record yet; Django answers it."""
        if isinstance(exception, PermissionDenied) and not isinstance(exception, OnRecord):
            _record(request, "the role does not include it")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Record a form without the token of its page, and answer as Django does."""
    _record(request, reason)
    return csrf.csrf_failure(request, reason)


def _record(request: HttpRequest, note: str) -> None:
    verb = OPEN if request.method in ("GET", "HEAD") else SEND
    record_refusal(actor_of(request), verb, Target("page", request.path), note)
