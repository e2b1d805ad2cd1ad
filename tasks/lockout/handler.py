"""What django-axes asks: may this attempt be made, and what follows from one that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Sum, Value, When
from django.http import HttpRequest
from django.utils import timezone

from tasks.lockout import browsers, standing
from tasks.lockout.attempt import Attempt
from tasks.models import Lockout


class LockoutBackend(AxesStandaloneBackend):
    """Refuses an attempt while its name or its address is locked out. Without a request there is nobody to refuse."""

    def authenticate(self, request: HttpRequest | None, *args: Any, **kwargs: Any) -> None:
        """Raise ``AxesBackendPermissionDenied`` for an attempt that may not be made."""
        if request is not None:
            super().authenticate(request, *args, **kwargs)


class LockoutHandler(AxesDatabaseHandler):
    """Counts by the console's rules, in the table of django-axes, and keeps nothing of what was typed there."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """Tell whether the attempt is locked out, and leave the lockout at the request."""
        request.lockout = standing.of(Attempt.of(request, credentials or {}), timezone.now())  # type: ignore[attr-defined]
        return request.lockout is not None  # type: ignore[attr-defined]

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        """Count a failure, and lock out what has too many; what is locked out already is not counted."""
        if request is None or request.axes_locked_out:  # type: ignore[attr-defined]
            return
        attempt, now = Attempt.of(request, credentials), timezone.now()
        _count(attempt, now)
        rule = _reached(attempt, now)
        if rule is not None:
            user = User.objects.filter(username=credentials.get(User.USERNAME_FIELD)).first()
            request.lockout = standing.begin(rule, attempt, user, now)  # type: ignore[attr-defined]
            request.axes_locked_out = True  # type: ignore[attr-defined]

    def user_logged_in(self, sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
        """Forget the failures of the person at this address, and remember the browser."""
        if request is None:
            return
        attempt = Attempt.of(request, {User.USERNAME_FIELD: user.get_username()})
        AccessAttempt.objects.filter(username=attempt.key, ip_address=attempt.network).delete()
        browsers.remember(request, attempt.name_key)

    def user_logged_out(self, sender: Any, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
        """Nothing is kept of it."""


def _count(attempt: Attempt, now: datetime) -> None:
    """Add a failure; one of longer ago than the lockout lasts counts no more."""
    row = {"username": attempt.key, "ip_address": attempt.network, "user_agent": ""}
    fresh = When(attempt_time__gt=now - timedelta(minutes=settings.LOCKOUT_MINUTES), then=F("failures_since_start"))
    more = {"failures_since_start": Case(fresh, default=Value(0)) + 1, "attempt_time": now}
    if AccessAttempt.objects.filter(**row).update(**more):
        return
    try:
        with transaction.atomic():
            AccessAttempt.objects.create(**row, failures_since_start=1)
    except IntegrityError:
        # The first two failures came in the same moment.
        AccessAttempt.objects.filter(**row).update(**more)


def _reached(attempt: Attempt, now: datetime) -> Lockout.Rule | None:
    """Return the rule whose limit is reached. A browser that is known has only its own failures to answer for."""
    since = now - timedelta(minutes=settings.LOCKOUT_MINUTES)
    recent = AccessAttempt.objects.filter(ip_address=attempt.network, attempt_time__gt=since)
    if _sum(recent.filter(username=attempt.key)) >= settings.LOCKOUT_FAILURES:
        return Lockout.Rule.PAIR
    strangers = attempt.network is not None and not attempt.browser
    if strangers and _sum(recent) >= settings.LOCKOUT_ADDRESS_FAILURES:
        return Lockout.Rule.ADDRESS
    return None


def _sum(attempts: Any) -> int:
    return attempts.aggregate(failures=Sum("failures_since_start"))["failures"] or 0
