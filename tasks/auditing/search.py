"""What the page of the audit asks of the database: filters, a page by its key, never more rows than it can afford.

Each filter has an index that is in the order of time (``AuditEvent.Meta``). One of those that are set, the one that
usually leaves least, leads; the others, and the search for a text, are held against the rows that it gives. They may
fit none of a million, so at most ``WINDOW`` rows are looked at: a page that finds less says how far back it looked, and
goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.db.models.lookups import Exact

from tasks.models import AuditEvent
from tasks.scope import limits_of

PAGE_SIZE = 50
WINDOW = 10_000
COUNT_LIMIT = 10_000
# What is done to people and their sessions is of no cluster, and is not for those who are limited to some.
PERSONAL = ("user", "group", "person", "session", "address", "page", "audit")
_SEARCHED = ("actor", "verb", "target", "address", "note")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Cursor:
    """A place between two events in the order of time, newest first."""

    at: datetime
    event: int = 0

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.event}"

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """Return the place that a URL names, None where it names none."""
        at, _, event = text.partition("-")
        if not (at.isdecimal() and event.isdecimal() and len(at) < 17 and len(event) < 19):
            return None
        return cls(_EPOCH + int(at) * _MICROSECOND, int(event))

    @property
    def older(self) -> Q:
        """What is behind the place."""
        return Q(at__lte=self.at) & ~Q(at=self.at, id__gte=self.event)


@dataclass(frozen=True)
class Search:
    """What is looked for; an empty value lets everything through. ``since`` is included, ``until`` is not."""

    q: str = ""
    person: str = ""
    verb: str = ""
    result: str = ""
    risk: str = ""
    kind: str = ""
    name: str = ""
    thing: int | None = None
    cluster: int | None = None
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Tell whether anything is filtered."""
        return self != Search()

    def told(self) -> dict[str, Any]:
        """Return the filters that are set, for the audit."""
        found = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: str(value) for name, value in found if value not in ("", None)}


def seen_by(user: AbstractBaseUser | Any) -> Q:
    """Return the condition of the events that ``user`` may see.

    Who is limited to some clusters sees the events of these, what concerns the console as a whole, and their own; not
    what other people did or had done to their accounts.
    """
    limits = limits_of(user)
    if limits is None:
        return Q()
    common = Q(cluster_id__isnull=True) & ~Q(target_kind__in=PERSONAL)
    return Q(cluster_id__in=limits) | common | Q(actor_id=user.pk)


def matching(search: Search, user: Any) -> tuple[QuerySet[AuditEvent], Q]:
    """Return the events of the leading filter and of the time, and the condition that the others are."""
    found = AuditEvent.objects.all()
    if search.since:
        found = found.filter(at__gte=search.since)
    if search.until:
        found = found.filter(at__lt=search.until)
    rest, leads = seen_by(user), True
    for condition in _filters(search):
        if leads:
            found, leads = found.filter(**condition), False
            continue
        rest &= _without_index(condition)
    if search.q:
        rest &= _text(search.q)
    return found, rest


def whole(search: Search, user: Any) -> QuerySet[AuditEvent]:
    """Return everything that fits, however far back; for a stream."""
    found, rest = matching(search, user)
    return found.filter(rest)


@dataclass(frozen=True)
class Found:
    """A page of events, newest first.

    ``older`` is where the next one begins, None at the end. ``looked_back_to`` is set where the page ends because it
    had looked at enough rows. ``total`` is known on the first page only; there are ``more`` where counting ended early.
    The values before and after are not fetched.
    """

    events: list[AuditEvent]
    older: Cursor | None
    looked_back_to: datetime | None = None
    total: int | None = None
    more: bool = False


def find(search: Search, user: Any, before: Cursor | None = None) -> Found:
    """Return a page of what fits; three queries at most, and each looks at a bounded number of rows."""
    found, rest = matching(search, user)
    newest = (found.filter(before.older) if before else found).order_by("-at", "-id")
    if rest:
        return _sifted(newest, rest, before)
    events = list(newest.defer("before", "after")[: PAGE_SIZE + 1])
    if before:
        return Found(events[:PAGE_SIZE], _behind(events))
    total = newest.order_by()[: COUNT_LIMIT + 1].count()
    return Found(events[:PAGE_SIZE], _behind(events), None, min(total, COUNT_LIMIT), total > COUNT_LIMIT)


def _sifted(newest: QuerySet[AuditEvent], rest: Q, before: Cursor | None) -> Found:
    """Return a page of those of the next ``WINDOW`` rows that the condition lets through."""
    behind = list(newest.values_list("at", "id")[WINDOW : WINDOW + 2])
    floor = Cursor(*behind[0]) if len(behind) == 2 else None
    window = newest.filter(rest, at__gte=floor.at) if floor else newest.filter(rest)
    keys = list(window.values_list("pk", flat=True))
    chosen = AuditEvent.objects.filter(pk__in=keys[: PAGE_SIZE + 1]).defer("before", "after")
    events = list(chosen.order_by("-at", "-id"))
    total = len(keys) if before is None else None
    if floor and len(events) <= PAGE_SIZE:
        # Whatever has the moment of the place is on this page.
        return Found(events, Cursor(floor.at), floor.at, total)
    return Found(events[:PAGE_SIZE], _behind(events), None, total, bool(floor))


def _behind(events: list[AuditEvent]) -> Cursor | None:
    """Return where the next page begins; ``events`` has one more than fits on a page where there is one."""
    return Cursor(events[PAGE_SIZE - 1].at, events[PAGE_SIZE - 1].pk) if len(events) > PAGE_SIZE else None


def _filters(search: Search) -> Iterator[dict[str, Any]]:
    """Yield the conditions that have an index, those first that usually leave least."""
    if search.thing is not None:
        yield {"target_kind": search.kind, "target_id": search.thing}
    if search.name:
        yield {"target": search.name}
    if search.address:
        yield {"address": search.address}
    if search.result == AuditEvent.Result.REFUSED:
        yield {"result": search.result}
    if search.cluster is not None:
        yield {"cluster_id": search.cluster}
    if search.verb:
        yield {"verb": search.verb}
    if search.person:
        yield {"actor": search.person}
    if search.kind and search.thing is None:
        yield {"target_kind": search.kind}
    if search.risk:
        yield {"risk": search.risk}
    if search.result == AuditEvent.Result.SUCCESSFUL:
        yield {"result": search.result}


def _without_index(condition: dict[str, Any]) -> Q:
    """Return a condition that leaves the database no choice which index to use.

    Without statistics it takes any of them, and with some it may take the one by time and walk through all rows.
    """
    found = Q()
    for name, value in condition.items():
        bare = Concat(F(name), Value("")) if isinstance(value, str) else F(name) + 0
        found &= Q(Exact(bare, value))
    return found


def _text(q: str) -> Q:
    found = Q()
    for name in _SEARCHED:
        found |= Q(**{f"{name}__icontains": q})
    return found
