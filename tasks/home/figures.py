"""Figures of all that a person sees, whose queries are built once.

The homepage asks some twenty questions. To build their SQL anew for each page took longer than to answer them, and but
for the moment it is the same each time: so the SQL is kept, and asked again with the moments moved to now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.signals import setting_changed
from django.db import connection
from django.db.models import Aggregate, Count, QuerySet, Value

from tasks.home.sight import Sight
from tasks.scope import limits_of

Rows = list[tuple[Any, ...]]
# Kept of one query: people are limited to few different sets of clusters.
_MOST = 100
# What differs between the same query of two moments is a moment.
_MOMENTS = (datetime(2001, 2, 3, 4, 5, 6, 7, tzinfo=UTC), datetime(2015, 9, 8, 7, 6, 5, 4, tzinfo=UTC))


@dataclass(frozen=True)
class _Kept:
    """SQL with its parameters; those at ``moments`` are so far from now."""

    sql: str
    parameters: tuple[Any, ...]
    moments: dict[int, timedelta]

    def at(self, now: datetime) -> list[Any]:
        """Return the parameters for ``now``."""
        found = list(self.parameters)
        for place, distance in self.moments.items():
            found[place] = connection.ops.adapt_datetimefield_value(now + distance)
        return found


class Figures:
    """A query of ``values_list`` as a function of who looks and when.

    What it finds is as the database gives it: truth may be a number, and a moment is read by ``moment_of``.

    It may depend on the moment of the sight, on settings, and on the clusters that the person is limited to; on nothing
    else.
    """

    def __init__(self, build: Callable[[Sight], QuerySet[Any, Any]]) -> None:
        self._build = build
        self._kept: dict[tuple[str, frozenset[int] | None], _Kept | None] = {}
        # A distance may be a setting; tests change those.
        setting_changed.connect(self._forget, weak=True)

    def rows(self, sight: Sight) -> Rows:
        """Ask; one query. Whoever is limited to no cluster at all has no row, not even of sums."""
        key = connection.vendor, limits_of(sight.user)
        try:
            kept = self._kept[key]
        except KeyError:
            # Another thread may do the same, or throw it away: each goes on with its own.
            kept = self._keep(sight)
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = kept
        if kept is None:
            return []
        with connection.cursor() as cursor:
            cursor.execute(kept.sql, kept.at(sight.now))
            found: Rows = cursor.fetchall()
        return found

    def number(self, sight: Sight) -> int:
        """Ask for the one number that the query gives; 0 for whoever sees nothing."""
        rows = self.rows(sight)
        return int(rows[0][0]) if rows else 0

    def _keep(self, sight: Sight) -> _Kept | None:
        try:
            (sql, first), (_, second) = (self._compiled(replace(sight, now=moment)) for moment in _MOMENTS)
        except EmptyResultSet:
            return None
        moments = {}
        for place, pair in enumerate(zip(first, second, strict=True)):
            if pair[0] != pair[1]:
                moments[place], other = (
                    moment_of(value) - moment for value, moment in zip(pair, _MOMENTS, strict=True)
                )
                if moments[place] != other:
                    raise ValueError(f"Parameter {place} is not at a fixed distance from now: {sql}")
        return _Kept(sql, first, moments)

    def _compiled(self, sight: Sight) -> tuple[str, tuple[Any, ...]]:
        sql, parameters = self._build(sight).query.sql_with_params()
        return sql, tuple(parameters)

    def _forget(self, **_: Any) -> None:
        self._kept.clear()


def summed(rows: QuerySet[Any], **figures: Aggregate) -> QuerySet[Any, Any]:
    """Return the query of ``figures`` of all ``rows``: one row, in the order of their names here."""
    return rows.order_by().annotate(one=Value(1)).values("one").annotate(**figures).values_list(*figures)


def counted(rows: QuerySet[Any]) -> QuerySet[Any, Any]:
    """Return the query of how many ``rows`` there are."""
    return summed(rows, number=Count("*"))


def moment_of(value: Any) -> datetime:
    """Return what the database calls a moment: SQLite does by a text, in UTC and without saying so."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
