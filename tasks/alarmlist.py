"""O&M > Alarms as its templates read it: what is not cleared, what was, and the rules; by pages that cost the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.urls import reverse

from tasks import alarms
from tasks.alarmfilter import AlarmState, micros, moment_of
from tasks.alarms import ALARMS, AlarmType
from tasks.listing import PACE_CALM
from tasks.models import Alarm, Cluster
from tasks.models.alarm import ACKNOWLEDGED, SEVERITIES
from tasks.scope import narrowed

PAGE_SIZE = 25
RECENT = timedelta(hours=24)
RECENT_SHOWN = 5
# So many are acknowledged at once: each has its event in the audit.
AT_ONCE = 500


@dataclass(frozen=True)
class Slice:
    """One page of a list; ``following`` is the query string of the next one, empty on the last."""

    alarms: list[Alarm]
    following: str


@dataclass(frozen=True)
class Chip:
    """A severity with its count, as a link that filters by it."""

    severity: str
    label: str
    number: int
    query: str
    current: bool


@dataclass(frozen=True)
class Rule:
    """One type of alarm, and how many of it are raised."""

    code: str
    known: AlarmType
    raised: int


def whole(state: AlarmState, user: Any, now: datetime) -> dict[str, Any]:
    """Return everything that the page of uncleared alarms shows to ``user``; four queries."""
    raised = narrowed(alarms.uncleared(), user)
    numbers = dict(state.narrow(raised, severity=False).order_by().values_list("urgency").annotate(number=Count("*")))
    query = state.here
    return {
        "state": state,
        "chips": _chips(state, numbers),
        "pressing": sum(
            numbers.get(place, 0)
            for place, severity in enumerate(SEVERITIES)
            if not state.severity or severity == state.severity
        ),
        "raised": _uncleared(state, state.narrow(raised)),
        "recent": _recent(user, now),
        "first_page": state.query(),
        "here": f"{reverse('alarms')}?{query}".rstrip("?"),
        "poll_url": f"{reverse('alarm-news')}?{query}".rstrip("?"),
        "pace": PACE_CALM,
    }


def choices(user: Any) -> dict[str, Any]:
    """Return what can be filtered by; one query."""
    types = sorted(((code, known.name) for code, known in ALARMS.items()), key=lambda one: one[1])
    return {"types": types, "clusters": list(narrowed(Cluster.objects.all(), user, "pk")), "severities": SEVERITIES}


def history(state: AlarmState, user: Any) -> dict[str, Any]:
    """Return a page of the cleared alarms, those that were cleared last first; one query."""
    found = state.narrow(narrowed(Alarm.objects.filter(cleared_at__isnull=False), user))
    moment = moment_of(state.after[0]) if state.after else None
    if state.after and moment:
        found = found.filter(Q(cleared_at__lt=moment) | Q(cleared_at=moment, pk__lt=state.after[1]))
    rows = list(found.select_related("cluster").order_by("-cleared_at", "-pk")[: PAGE_SIZE + 1])
    following = ""
    if len(rows) > PAGE_SIZE:
        last = rows[PAGE_SIZE - 1]
        assert last.cleared_at is not None
        following = state.query(after=(micros(last.cleared_at), last.pk))
    return {"state": state, "first_page": state.query(), "cleared": Slice(rows[:PAGE_SIZE], following)}


def rules(user: Any) -> list[Rule]:
    """Return every type with how many alarms of it ``user`` may see raised, the most serious first; one query."""
    raised = narrowed(alarms.uncleared(), user).order_by().values_list("code").annotate(number=Count("*"))
    numbers = dict(raised)
    ranked = sorted(ALARMS.items(), key=lambda one: SEVERITIES.index(one[1].severity))
    return [Rule(code, known, numbers.get(code, 0)) for code, known in ranked]


@dataclass(frozen=True)
class Pressing:
    """Alarms that nobody has acknowledged, ``AT_ONCE`` of them at most, and the key of the newest that was counted."""

    alarms: list[Alarm]
    more: bool
    newest: int


def pressing(state: AlarmState, user: Any, newest: int | None = None) -> Pressing:
    """Return those that the filter lets through, up to the key ``newest``, the most serious first; two queries."""
    found = state.narrow(narrowed(alarms.uncleared().filter(acknowledged_at__isnull=True), user))
    if newest is None:
        newest = found.aggregate(newest=Max("pk"))["newest"] or 0
    rows = list(found.filter(pk__lte=newest).select_related("cluster").order_by("urgency", "-pk")[: AT_ONCE + 1])
    return Pressing(rows[:AT_ONCE], len(rows) > AT_ONCE, newest)


def _uncleared(state: AlarmState, found: QuerySet[Alarm]) -> Slice:
    """Return a page: the most serious first, acknowledged ones after all, and of equal ones those raised last."""
    if state.after:
        urgency, key = state.after
        found = found.filter(Q(urgency__gt=urgency) | Q(urgency=urgency, pk__lt=key))
    rows = list(found.select_related("cluster").order_by("urgency", "-pk")[: PAGE_SIZE + 1])
    following = ""
    if len(rows) > PAGE_SIZE:
        last = rows[PAGE_SIZE - 1]
        following = state.query(after=(last.urgency, last.pk))
    return Slice(rows[:PAGE_SIZE], following)


def _recent(user: Any, now: datetime) -> list[Alarm]:
    """Return what was cleared last within a day."""
    found = narrowed(Alarm.objects.filter(cleared_at__gt=now - RECENT), user)
    return list(found.select_related("cluster").order_by("-cleared_at", "-pk")[:RECENT_SHOWN])


def _chips(state: AlarmState, numbers: dict[int, int]) -> list[Chip]:
    """Return All and every severity that occurs, or that is chosen."""
    shown = [Chip("", "All", sum(numbers.values()), state.query(severity=""), not state.severity)]
    for place, severity in enumerate(SEVERITIES):
        number, chosen = numbers.get(place, 0) + numbers.get(place + ACKNOWLEDGED, 0), state.severity == severity
        if number or chosen:
            query = state.query(severity=severity.value)
            shown.append(Chip(severity.value, str(severity.label), number, query, chosen))
    return shown
