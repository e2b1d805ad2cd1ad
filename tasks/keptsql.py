"""Queries that pages ask again and again, whose SQL is built once.

To build the SQL of a query anew takes the ORM longer than most databases need for the answer, and but for a few values
it is the same each time: so it is kept, and asked again with other values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import QuerySet
from django.db.models.query import get_related_populators

Rows = list[tuple[Any, ...]]
Given = datetime | date | int | str
# Kept of one query: people are limited to few different sets of clusters, and turn few pages.
_MOST = 100


@dataclass(frozen=True)
class _Parameter:
    """A parameter of the SQL that is given: by this name, and for what is of time at this distance from it."""

    name: str
    distance: timedelta = timedelta(0)

    def value(self, given: Mapping[str, Any]) -> Any:
        """Return the parameter as the database takes it."""
        value = given[self.name]
        if isinstance(value, datetime):
            return connection.ops.adapt_datetimefield_value(value + self.distance)
        if isinstance(value, date):
            return connection.ops.adapt_datefield_value(value + self.distance)
        return value


@dataclass(frozen=True)
class _Kept:
    """SQL with its parameters, those at some places ``given`` anew each time; and how the ORM reads what it finds.

    ``columns`` are those whose values the ORM converts, ``model`` makes an object of a row of values.
    """

    sql: str
    parameters: tuple[Any, ...]
    given: dict[int, _Parameter]
    columns: dict[int, Any]
    model: Callable[[tuple[Any, ...]], Any] | None

    def ask(self, given: Mapping[str, Given]) -> Rows:
        """Return what is found; one query."""
        parameters = list(self.parameters)
        for place, parameter in self.given.items():
            parameters[place] = parameter.value(given)
        with connection.cursor() as cursor:
            cursor.execute(self.sql, parameters)
            return self._read(cursor.fetchall())

    def _read(self, rows: Rows) -> Rows:
        if not self.columns or not rows:
            return rows
        # Asked for each time: a converter holds the connection that it comes from, and that one's thread may be gone.
        database = connections[DEFAULT_DB_ALIAS]
        values: list[Any] = list(zip(*rows, strict=True))
        for place, column in self.columns.items():
            for convert in (*database.ops.get_db_converters(column), *column.get_db_converters(database)):
                values[place] = [convert(value, column, database) for value in values[place]]
        return list(zip(*values, strict=True))


class KeptQuery:
    """A query as a function ``build(*shape, **given)`` that returns it.

    ``given`` is what the query compares with: keys, texts and moments, which it may move by what does not change. All
    else that its SQL depends on is the ``shape``, for each of which it is built once. Settings may matter as well.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self._build = build
        self._kept: dict[tuple[Hashable, ...], _Kept | None] = {}
        # A distance may be a setting; tests change those.
        setting_changed.connect(self._forget, weak=True)

    def rows(self, *shape: Hashable, **given: Given) -> Rows:
        """Ask for what ``values_list`` names, and return it as the ORM would; one query.

        Where nothing can be found, as nobody sees anything, there is no row, not even one of sums. Raises ValueError
        for a query that does more with what is given than to compare.
        """
        kept = self._of(shape, given)
        return kept.ask(given) if kept else []

    def objects(self, *shape: Hashable, **given: Given) -> list[Any]:
        """Ask for objects of a model, with what ``only``, ``select_related`` and ``annotate`` say; one query."""
        kept = self._of(shape, given)
        if kept is None:
            return []
        assert kept.model is not None
        return [kept.model(row) for row in kept.ask(given)]

    def first(self, *shape: Hashable, **given: Given) -> Any:
        """Ask for objects, and return the first one; None where none is found."""
        return next(iter(self.objects(*shape, **given)), None)

    def _of(self, shape: tuple[Hashable, ...], given: dict[str, Given]) -> _Kept | None:
        key = connection.vendor, *given, *shape
        try:
            return self._kept[key]
        except KeyError:
            # Another thread may do the same, or throw it away: each goes on with its own.
            kept = self._keep(shape, given)
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = kept
            return kept

    def _keep(self, shape: tuple[Hashable, ...], given: dict[str, Given]) -> _Kept | None:
        """Build the query with two different values of all that is given: what differs shows where they go."""
        samples = {name: _samples(value, number) for number, (name, value) in enumerate(given.items())}
        compilers = [
            self._build(*shape, **{name: pair[which] for name, pair in samples.items()}).query.get_compiler(
                connection=connection
            )
            for which in (0, 1)
        ]
        try:
            (sql, first), (other, second) = (compiler.as_sql() for compiler in compilers)
        except EmptyResultSet:
            return None
        if sql != other:
            raise ValueError(f"What is given changes the query itself: {sql}")
        pairs = enumerate(zip(first, second, strict=True))
        places = {place: _meant(pair, samples, sql) for place, pair in pairs if pair[0] != pair[1]}
        columns = [column for column, *_ in compilers[0].select]
        converted = {place: column for place, (_, column) in compilers[0].get_converters(columns).items()}
        return _Kept(sql, tuple(first), places, converted, _model(compilers[0]))

    def _forget(self, **_: Any) -> None:
        self._kept.clear()


def numbered(keys: Iterable[int]) -> dict[str, int]:
    """Return ``keys`` as what is given to a query of several, which takes them as ``**keys``."""
    return {f"key{number}": key for number, key in enumerate(keys)}


def _samples(value: Given, number: int) -> tuple[Given, Given]:
    """Return two values of this kind that no query holds otherwise, and none of another ``number``."""
    if isinstance(value, datetime):
        moments = datetime(2001, 2, 3, 4, 5, 6, 7, tzinfo=UTC), datetime(2015, 9, 18, 17, 46, 35, 4, tzinfo=UTC)
        return moments[0] + timedelta(hours=number), moments[1] + timedelta(days=number)
    if isinstance(value, date):
        return date(2001, 2, 3) + timedelta(days=number), date(2015, 9, 18) + timedelta(days=2 * number)
    if isinstance(value, str):
        return f"\x01{number}\x02", f"\x03{number}\x04"
    return 1_999_999_973 - number, 2_000_000_011 + number


def _meant(pair: tuple[Any, Any], samples: Mapping[str, tuple[Any, Any]], sql: str) -> _Parameter:
    """Return what is given where a parameter has these two values."""
    for name, (one, other) in samples.items():
        if pair == (one, other):
            return _Parameter(name)
        if isinstance(one, date):
            distance = _distance(pair[0], one)
            if distance is not None and distance == _distance(pair[1], other):
                return _Parameter(name, distance)
    raise ValueError(f"{pair[0]} is neither what is given nor at a fixed distance from it: {sql}")


def _distance(value: Any, start: date) -> timedelta | None:
    """Return how far a parameter is from a moment or a day, None where it is none.

    SQLite is given texts for them, in UTC and without saying so.
    """
    try:
        found = type(start).fromisoformat(value) if isinstance(value, str) else value
        if isinstance(found, datetime) and found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return found - start
    except (TypeError, ValueError):
        return None


def _model(compiler: Any) -> Callable[[tuple[Any, ...]], Any] | None:
    """Return what makes an object of a row, as ``ModelIterable`` does; None where the query names values."""
    info = compiler.klass_info
    if info is None:
        return None
    model, first, last = info["model"], info["select_fields"][0], info["select_fields"][-1] + 1
    names = [column.target.attname for column, *_ in compiler.select[first:last]]
    related = get_related_populators(info, compiler.select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]
    annotations = list((compiler.annotation_col_map or {}).items())

    def make(row: tuple[Any, ...]) -> Any:
        made = model.from_db(DEFAULT_DB_ALIAS, names, row[first:last])
        for each in related:
            each.populate(row, made)
        for name, place in annotations:
            setattr(made, name, row[place])
        return made

    return make
