"""Marks the browser of somebody who has just logged in."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tasks.lockout import browsers


class KnownBrowserMiddleware:
    """Sets the cookie by which a browser has counts of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and mark the browser where that is due."""
        return browsers.mark(request, self.get_response(request))
