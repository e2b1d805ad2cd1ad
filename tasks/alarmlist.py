"""O&M > Alarms as its templates read it: what is not cleared, most serious first, and what was, by pages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from tasks import alarms
from tasks.alarms import SEVERITIES
from tasks.listing import PACE_CALM
from tasks.models import Alarm
from tasks.scope import narrowed
from tasks.selectors import number_in
from tasks.states import Severity

PAGE_SIZE = 25


@dataclass(frozen=True)
class AlarmState:
    """The state of the page, from its URL: a severity or all, and a page of each of the two lists."""

    severity: str = ""
    page: int = 1
    cleared: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> AlarmState:
        """Read the state from a URL; what is unknown is passed over."""
        severity = query.get("severity", "")
        pages = (min(number_in(query.get(name, "")) or 1, 10**6) for name in ("page", "cleared"))
        return cls(severity if severity in Severity.values else "", *(max(1, number) for number in pages))

    def query(self, **changes: Any) -> str:
        """Return the query string of this state with ``changes``."""
        state = replace(self, **changes)
        pairs = {
            "severity": state.severity,
            "page": state.page if state.page > 1 else "",
            "cleared": state.cleared if state.cleared > 1 else "",
        }
        return urlencode({name: value for name, value in pairs.items() if value})


@dataclass(frozen=True)
class Slice:
    """One page of a list; ``first`` and ``last`` count from 1, both are 0 on an empty page."""

    alarms: list[Alarm]
    number: int
    pages: int
    first: int
    last: int
    total: int
    previous: str
    following: str


@dataclass(frozen=True)
class Chip:
    """A severity with its count, as a link that filters by it."""

    severity: str
    label: str
    number: int
    query: str
    current: bool


def whole(state: AlarmState, counts: dict[str, int], user: Any) -> dict[str, Any]:
    """Return everything that the page shows to ``user``; ``counts`` are of ``alarms.counts``; three queries more."""
    raised, cleared = narrowed(alarms.uncleared(), user), narrowed(Alarm.objects.filter(cleared_at__isnull=False), user)
    if state.severity:
        raised, cleared = raised.filter(severity=state.severity), cleared.filter(severity=state.severity)
    number = counts.get(state.severity, 0) if state.severity else sum(counts.values())
    gone = cleared.aggregate(number=Count("pk"))["number"]
    query = state.query(page=state.page)
    return {
        "state": state,
        "chips": _chips(state, counts),
        "raised": _slice(_by_urgency(raised), number, state.page, lambda page: state.query(page=page)),
        "cleared": _slice(
            cleared.order_by("-cleared_at", "-pk"), gone, state.cleared, lambda page: state.query(cleared=page)
        ),
        "here": f"{reverse('alarms')}?{query}".rstrip("?"),
        "poll_url": f"{reverse('alarm-news')}?{query}".rstrip("?"),
        "pace": PACE_CALM,
    }


def _by_urgency(found: QuerySet[Alarm]) -> QuerySet[Alarm]:
    """Return the most serious first, and of equal ones those that were raised last: they are news."""
    places = [When(severity=severity, then=Value(place)) for place, severity in enumerate(SEVERITIES)]
    return found.order_by(
        Case(*places, default=Value(len(SEVERITIES)), output_field=IntegerField()), "-raised_at", "-pk"
    )


def _slice(found: QuerySet[Alarm], total: int, wanted: int, query: Any) -> Slice:
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(wanted, pages)
    start = (number - 1) * PAGE_SIZE
    rows = list(found.select_related("cluster")[start : start + PAGE_SIZE])
    first = start + 1 if rows else 0
    return Slice(rows, number, pages, first, start + len(rows), total, query(number - 1), query(number + 1))


def _chips(state: AlarmState, counts: dict[str, int]) -> list[Chip]:
    """Return All and every severity that occurs, or that is chosen."""
    shown = [Chip("", "All", sum(counts.values()), "", not state.severity)]
    for severity in SEVERITIES:
        number, chosen = counts.get(severity, 0), state.severity == severity
        if number or chosen:
            query = AlarmState(severity.value).query()
            shown.append(Chip(severity.value, str(severity.label), number, query, chosen))
    return shown
