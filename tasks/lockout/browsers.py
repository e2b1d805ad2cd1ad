"""Browsers that somebody has logged in with before, told by a signed cookie.

The cookie lets nobody in. It gives the browser a count of its own for that name, so that strangers at the same address,
behind one proxy or one router, cannot use up the attempts of somebody who works there.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = "browser"
_SALT = "tasks.lockout.browsers"
_DAYS = 180
# People who share a browser.
_MOST = 5


def known(request: HttpRequest, name_key: str) -> str:
    """Return the mark of the browser for a name, or nothing where that has not logged in with it."""
    return dict(_read(request)).get(name_key, "")


def remember(request: HttpRequest, name_key: str) -> None:
    """Have the response mark the browser as one that this name has logged in with."""
    others = [(name, mark) for name, mark in _read(request) if name != name_key]
    mark = known(request, name_key) or secrets.token_hex(8)
    request.remembered_browser = [*others, (name_key, mark)][-_MOST:]  # type: ignore[attr-defined]


def mark(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Set the cookie where somebody has just logged in."""
    remembered = getattr(request, "remembered_browser", None)
    if remembered is not None:
        response.set_cookie(
            COOKIE,
            signing.dumps(remembered, salt=_SALT),
            max_age=_DAYS * 86_400,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def _read(request: HttpRequest) -> list[tuple[str, str]]:
    try:
        stored: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_DAYS * 86_400)
        return [(str(name), str(mark)) for name, mark in stored]
    except (signing.BadSignature, TypeError, ValueError):
        return []
