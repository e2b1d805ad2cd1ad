"""Logins that last: each has a row, by which it is listed, timed and ended; without the row it is over.

Django keeps the session itself. Its data holds the row's token, never a page: a session whose row is gone, or is too
old, is thrown away at its next request (``tasks.gate``). So it can be ended from elsewhere, without knowing its key.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from tasks.audit import address_of
from tasks.keptsql import KeptQuery
from tasks.models import PersonSession

_TOKEN = "person_session"
_KEPT = "_person_session"
# What a login is over for, as the page of the login is told.
IDLE, LONG, ENDED = "idle", "long", "ended"
# The last moment is written at most this often.
SEEN_EVERY = timedelta(minutes=1)


def begin(request: HttpRequest, user: User, now: datetime) -> PersonSession:
    """Make the row of a login and put its token into the session; rows and sessions that are too old go."""
    forget(request)
    stale(now).delete()
    request.session.clear_expired()
    row = PersonSession.objects.create(
        user=user,
        token=secrets.token_urlsafe(24),
        user_agent=str(request.META.get("HTTP_USER_AGENT", ""))[:255],
        address=address_of(request),
        since=now,
        seen_at=now,
    )
    request.session[_TOKEN] = row.token
    setattr(request, _KEPT, row)
    return row


def session_of(request: HttpRequest) -> PersonSession | None:
    """Return the row of the login behind a request; read once per request."""
    if not hasattr(request, _KEPT):
        token = request.session.get(_TOKEN, "") if hasattr(request, "session") else ""
        row = _BY_TOKEN.first(token=token) if token else None
        if row is not None and row.user_id != request.user.pk:
            row = None
        setattr(request, _KEPT, row)
    found: PersonSession | None = getattr(request, _KEPT)
    return found


def forget(request: HttpRequest) -> None:
    """Remove the row of the login behind a request, which ends here."""
    token = request.session.pop(_TOKEN, "")
    if token:
        PersonSession.objects.filter(token=token).delete()


def over(session: PersonSession | None, now: datetime) -> str:
    """Return why a login is over: ``ENDED``, ``IDLE`` or ``LONG``; empty while it lasts."""
    if session is None:
        return ENDED
    if now - session.seen_at > idle_limit():
        return IDLE
    return LONG if now - session.since > whole_limit() else ""


def seen(session: PersonSession, now: datetime) -> None:
    """Write that the person did something; at most once a minute."""
    if now - session.seen_at >= SEEN_EVERY:
        PersonSession.objects.filter(pk=session.pk).update(seen_at=now)
        session.seen_at = now


def live(user: User, now: datetime) -> QuerySet[PersonSession]:
    """Return the logins of a person that last, the one that did something last first."""
    return PersonSession.objects.filter(
        user=user, seen_at__gte=now - idle_limit(), since__gte=now - whole_limit()
    ).order_by("-seen_at", "-pk")


def stale(now: datetime) -> QuerySet[PersonSession]:
    """Return the rows of logins that are over by time, of all people."""
    rows = PersonSession.objects
    return rows.filter(seen_at__lt=now - idle_limit()) | rows.filter(since__lt=now - whole_limit())


def idle_limit() -> timedelta:
    """How long a login lasts without anything being done."""
    return timedelta(minutes=settings.SESSION_IDLE_MINUTES)


def whole_limit() -> timedelta:
    """How long a login lasts in all."""
    return timedelta(seconds=settings.SESSION_COOKIE_AGE)


_BY_TOKEN = KeptQuery(lambda token: PersonSession.objects.filter(token=token))
