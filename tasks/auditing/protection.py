"""Triggers by which the database itself refuses to change or delete an audit event, whoever asks.

They let one thing through: the seal of an event that has none yet. They are taken away before migrations are applied
and put in place after every ``migrate``, not by one migration: SQLite rebuilds a table to change it and drops its
triggers without a word, and neither database lets a column go that a trigger names.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.transaction import atomic

from tasks.models import AuditEvent

PROTECT = "protect the audit"
_UPDATE, _DELETE, _TRUNCATE = "audit_keep_update", "audit_keep_delete", "audit_keep_truncate"
_SEAL = ("position", "digest", "foreign")
_CHANGED, _DELETED = "Audit events are never changed.", "Audit events are never deleted."


def install() -> None:
    """Put the triggers in place, anew where they are there already."""
    remove()
    table = AuditEvent._meta.db_table
    with atomic(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                f"CREATE TRIGGER {_UPDATE} BEFORE UPDATE ON {table} WHEN {_touched('IS NOT')} "
                f"BEGIN SELECT RAISE(ABORT, '{_CHANGED}'); END"
            )
            cursor.execute(
                f"CREATE TRIGGER {_DELETE} BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{_DELETED}'); END"
            )
        elif connection.vendor == "postgresql":
            _function(cursor, _UPDATE, _CHANGED)
            _function(cursor, _DELETE, _DELETED)
            cursor.execute(
                f"CREATE TRIGGER {_UPDATE} BEFORE UPDATE ON {table} FOR EACH ROW "
                f"WHEN ({_touched('IS DISTINCT FROM')}) EXECUTE FUNCTION {_UPDATE}()"
            )
            for name, when in ((_DELETE, "DELETE"), (_TRUNCATE, "TRUNCATE")):
                cursor.execute(
                    f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {_DELETE}()"
                )


def remove() -> None:
    """Take the triggers away."""
    table = AuditEvent._meta.db_table
    with atomic(), connection.cursor() as cursor:
        for name in (_UPDATE, _DELETE, _TRUNCATE):
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


def is_installed() -> bool:
    """Tell whether the database refuses to change and delete audit events."""
    query = {
        "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN (%s, %s)",
        "postgresql": "SELECT count(*) FROM pg_trigger WHERE tgname IN (%s, %s) AND tgenabled <> 'D'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query, [_UPDATE, _DELETE])
        return bool(cursor.fetchone()[0] == 2)


def before_migrate(sender: Any, using: str, plan: list[Any], **kwargs: Any) -> None:
    """Take the triggers out of the way of migrations, where there are any to apply."""
    if plan and using == connection.alias and _columns():
        remove()


def after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """Put the triggers in place, unless the table is that of an earlier release now."""
    if using == connection.alias and _columns() == {field.column for field in AuditEvent._meta.concrete_fields}:
        install()


def _columns() -> set[str]:
    """Return the columns that the table has in the database; none where it is not there."""
    table = AuditEvent._meta.db_table
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return set()
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def _touched(differs: str) -> str:
    """Return the condition that an update does anything but seal an event that is not sealed."""
    names = [field.attname for field in AuditEvent._meta.concrete_fields if field.attname not in _SEAL]
    changed = [f"OLD.{column} {differs} NEW.{column}" for column in map(connection.ops.quote_name, names)]
    return " OR ".join(["OLD.position IS NOT NULL", *changed])


def _function(cursor: CursorWrapper, name: str, message: str) -> None:
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
