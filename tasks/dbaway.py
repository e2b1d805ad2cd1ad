"""Which errors say that the database is away, and not that the console asked it something wrong."""

from __future__ import annotations

from django.db import InterfaceError, InternalError, OperationalError

# InternalError: PostgreSQL had ended the session of a machine that stood still.
AWAY = (OperationalError, InterfaceError, InternalError)
