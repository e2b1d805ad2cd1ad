"""Rows by the hundred thousand into a table, past the ORM: COPY on PostgreSQL, one statement on SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models, transaction

_AT_ONCE = 20_000


@contextmanager
def unchecked() -> Iterator[None]:
    """Let rows in without a look at what they refer to, and without waiting for the disk, as one transaction each."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA foreign_keys=OFF")
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA journal_mode=OFF")
            cursor.execute("PRAGMA cache_size=-400000")
        else:
            cursor.execute("SET session_replication_role=replica")
            cursor.execute("SET synchronous_commit=off")
    try:
        yield
    finally:
        connection.close()


def write(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write ``rows`` of the columns ``names`` (``task_id``, not ``task``); all others get their defaults.

    Values are None, numbers, truth values and text; moments and JSON are given as text (``at``).
    """
    fields: dict[str, Any] = {field.attname: field for field in model._meta.concrete_fields}
    given = [fields[name] for name in names]
    blank = model()
    rest = [
        field
        for field in model._meta.concrete_fields
        if field.attname not in names and not field.generated and not (field.primary_key and blank.pk is None)
    ]
    constants = [_plain(field, blank) for field in rest]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in (*given, *rest))
    table = connection.ops.quote_name(model._meta.db_table)
    with transaction.atomic():
        _into(table, columns, len(given), constants, rows)


def forward_keys(*written: type[models.Model]) -> None:
    """Let the next row that the ORM makes have a key above those that were written here."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(written)):
            cursor.execute(statement)


def _into(table: str, columns: str, given: int, constants: list[Any], rows: Iterable[Sequence[Any]]) -> None:
    if connection.vendor == "sqlite":
        _insert(table, columns, given, constants, rows)
    else:
        _copy(table, columns, constants, rows)


def at(moment: datetime) -> str:
    """Return a moment, which is in UTC, as both databases take it."""
    return str(moment)[:-6]


def _plain(field: models.Field[Any, Any], blank: models.Model) -> Any:
    value = field.pre_save(blank, True)
    if isinstance(field, models.JSONField):
        return json.dumps(value)
    return at(value.astimezone(UTC)) if isinstance(value, datetime) else value


def _insert(table: str, columns: str, given: int, constants: list[Any], rows: Iterable[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        quoted = []
        for constant in constants:
            cursor.execute("SELECT quote(%s)", [constant])
            quoted.append(str(cursor.fetchone()[0]).replace("%", "%%"))
        marks = ", ".join(["%s"] * given + quoted)
        waiting = iter(rows)
        while chunk := list(islice(waiting, _AT_ONCE)):
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", chunk)  # noqa: S608


def _copy(table: str, columns: str, constants: list[Any], rows: Iterable[Sequence[Any]]) -> None:
    tail = tuple(constants)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row((*row, *tail))
