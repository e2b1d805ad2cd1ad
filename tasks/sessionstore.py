"""Django's sessions in the database; the query that each request begins with is built once."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from tasks.keptsql import KeptQuery


class SessionStore(db.SessionStore):
    """A session as Django keeps it."""

    def load(self) -> dict[str, Any]:
        """Return what the session holds; what is not there, or too old, is Django's to deal with."""
        rows = _DATA.rows(key=self.session_key, now=timezone.now()) if self.session_key else []
        found: dict[str, Any] = self.decode(rows[0][0]) if rows else super().load()
        return found


_DATA = KeptQuery(
    lambda key, now: Session.objects.filter(session_key=key, expire_date__gt=now).values_list("session_data")
)
