"""What is done for every request of a page: the viewer's zone, and sessions that ended while a page was open."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.cache import has_vary_header, patch_vary_headers

from tasks import logcontext
from tasks.models import Preference

COOKIE = "zone"
_PLAIN = re.compile(r"[A-Za-z0-9._-]{8,64}")


@cache
def zone_names() -> frozenset[str]:
    """Return every zone that can be chosen."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def zone_named(name: str | None) -> zoneinfo.ZoneInfo | None:
    """Return the zone called ``name``, or None where there is none; the name comes from outside."""
    return zoneinfo.ZoneInfo(name) if name and name in zone_names() else None


def preference_of(request: HttpRequest) -> Preference | None:
    """Return what the person chose, which is read with the user (``tasks.rights``); None where that is nothing."""
    return getattr(request.user, "preference", None)


class RequestNumberMiddleware:
    """Gives each request a number, which the lines of the log and the header ``X-Request-ID`` of the answer name.

    The number that a proxy gave is kept where a proxy is declared (``TRUSTED_PROXY``) and it is plain.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with a number."""
        given = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXY else ""
        number = logcontext.begin_request(given if _PLAIN.fullmatch(given) else "")
        response = self.get_response(request)
        response.headers["X-Request-ID"] = number
        if not response.streaming:
            # What streams is made after this; its number stays until the next request of the thread.
            logcontext.end_request()
        return response


class ViewerZoneMiddleware:
    """Shows times in the viewer's zone: the person's choice, else the browser's zone, else the server's.

    The browser tells its zone by the cookie ``zone``, which console.js sets; an unknown name is passed over.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the viewer's zone active."""
        preference = preference_of(request)
        zone = zone_named(preference.zone if preference else None) or zone_named(request.COOKIES.get(COOKIE))
        with timezone.override(zone or timezone.get_default_timezone()):
            response = self.get_response(request)
        return self._finished(request, response)

    def _finished(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Keep pages of a logged-in person out of caches; let a page whose session ended load anew.

        Without the latter htmx would follow the redirect and put the login page into a cell of a table.
        """
        if getattr(request, "htmx", False):
            login = resolve_url("login")
            if response.status_code == 302 and response.headers.get("Location", "").startswith(login):
                response = HttpResponse(status=204, headers={"HX-Refresh": "true"})
        if request.user.is_authenticated and not response.has_header("Cache-Control"):
            response.headers["Cache-Control"] = "private, no-cache"
        if not has_vary_header(response, "HX-Request"):
            patch_vary_headers(response, ("HX-Request",))
        return response
