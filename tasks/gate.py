"""The gate between a login and the pages: logins that are over, and passwords that have to be changed first."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from tasks import sessions
from tasks.scope import person_of

# What is open to a person whose password has to be changed first.
_OPEN = ("password", "logout", "theme")


class GateMiddleware:
    """Lets a person on only in a login that lasts, and to the other pages only with a password of their own choice.

    What a page asks for by itself (GET by htmx) is no sign of a person: an open page keeps no login alive.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or send elsewhere."""
        stop = self._stop(request) if request.user.is_authenticated else None
        return stop or self.get_response(request)

    def _stop(self, request: HttpRequest) -> HttpResponse | None:
        now, session = timezone.now(), sessions.session_of(request)
        why = sessions.over(session, now)
        if session is None or why:
            return self._out(request, why)
        by_itself = request.method == "GET" and getattr(request, "htmx", False)
        if not by_itself:
            sessions.seen(session, now)
        person = person_of(request.user)
        if person is None or not person.must_change_password or request.path in map(reverse, _OPEN):
            return None
        if getattr(request, "htmx", False):
            # The page that asked loads anew, and is sent on as a whole.
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return HttpResponseRedirect(reverse("password"))

    def _out(self, request: HttpRequest, why: str) -> HttpResponse | None:
        """Throw the session away; say at the login why, and lead back to a page that can be loaded again."""
        sessions.forget(request)
        request.session.flush()
        request.user = AnonymousUser()
        login = reverse("login")
        if request.path in (login, reverse("logout")):
            return None
        back = {"next": request.get_full_path()} if request.method == "GET" else {}
        return HttpResponseRedirect(f"{login}?{urlencode(back | {'over': why})}")
