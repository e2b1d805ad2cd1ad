"""Figures of all that a person sees: the homepage asks some twenty questions, and builds their queries once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from django.db.models import Aggregate, Count, QuerySet, Value

from tasks.home.sight import Look
from tasks.keptsql import KeptQuery, Rows
from tasks.scope import Limited


class Figures:
    """A query as a function of who looks and when, and of a ``shape`` where it has several.

    It may depend on the moment, on settings, and on the clusters that the person is limited to; on nothing else.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self.build = build
        self._kept = KeptQuery(lambda whose, *shape, now: build(Look(whose, now), *shape))

    def rows(self, look: Look, *shape: Hashable) -> Rows:
        """Ask for values; one query. Whoever is limited to no cluster at all has no row, not even of sums."""
        return self._kept.rows(Limited.like(look.user), *shape, now=look.now)

    def objects(self, look: Look, *shape: Hashable) -> list[Any]:
        """Ask for objects of a model; one query."""
        return self._kept.objects(Limited.like(look.user), *shape, now=look.now)

    def number(self, look: Look) -> int:
        """Ask for the one number that the query gives; 0 for whoever sees nothing."""
        rows = self.rows(look)
        return int(rows[0][0]) if rows else 0


def summed(rows: QuerySet[Any], **figures: Aggregate) -> QuerySet[Any, Any]:
    """Return the query of ``figures`` of all ``rows``: one row, in the order of their names here."""
    return rows.order_by().annotate(one=Value(1)).values("one").annotate(**figures).values_list(*figures)


def counted(rows: QuerySet[Any]) -> QuerySet[Any, Any]:
    """Return the query of how many ``rows`` there are."""
    return summed(rows, number=Count("*"))
