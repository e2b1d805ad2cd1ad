"""The state of the pages of alarms, from their URL: what is filtered by, and where a page begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.http import urlencode

from tasks.alarms import ALARMS
from tasks.models import Alarm
from tasks.selectors import number_in, search_in
from tasks.states import Severity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class AlarmState:
    """Whatever a URL holds becomes a usable state; what is unknown is passed over.

    ``first`` and ``last`` are days of the viewer's zone. ``after`` are the keys of the last row of the page before.
    """

    q: str = ""
    severity: str = ""
    code: str = ""
    cluster: int | None = None
    first: date | None = None
    last: date | None = None
    after: tuple[int, int] | None = None

    @classmethod
    def of(cls, query: QueryDict) -> AlarmState:
        """Read the state from a URL."""
        severity, code = query.get("severity", ""), query.get("type", "")
        return cls(
            q=search_in(query),
            severity=severity if severity in Severity.values else "",
            code=code if code in ALARMS else "",
            cluster=number_in(query.get("cluster", "")),
            first=_day(query.get("from", "")),
            last=_day(query.get("to", "")),
            after=_cursor(query.get("after", "")),
        )

    def query(self, **changes: Any) -> str:
        """Return the query string of this state with ``changes``; a change of the filter leads to the first page."""
        state = replace(self, **({"after": None} | changes))
        pairs = {
            "q": state.q,
            "severity": state.severity,
            "type": state.code,
            "cluster": state.cluster,
            "from": state.first and state.first.isoformat(),
            "to": state.last and state.last.isoformat(),
            "after": state.after and ".".join(map(str, state.after)),
        }
        return urlencode({name: value for name, value in pairs.items() if value})

    @property
    def here(self) -> str:
        """The query string of this very state."""
        return self.query(after=self.after)

    @property
    def filtered(self) -> bool:
        """Whether anything is filtered out."""
        return bool(self.query())

    def narrow(self, found: QuerySet[Alarm], *, severity: bool = True) -> QuerySet[Alarm]:
        """Return what the filter lets through; without ``severity`` whatever is said of that."""
        if self.q:
            numbers = [code for code, known in ALARMS.items() if known.number == self.q]
            words = Q(code__in=numbers)
            for name in ("place", "cause", "name", "cluster__name", "comment"):
                words |= Q(**{f"{name}__icontains": self.q})
            found = found.filter(words)
        if self.severity and severity:
            found = found.filter(severity=self.severity)
        if self.code:
            found = found.filter(code=self.code)
        if self.cluster:
            found = found.filter(cluster_id=self.cluster)
        if self.first:
            # One that was cleared on that day was raised on it, whenever that began.
            found = found.filter(Q(cleared_at__isnull=True) | Q(cleared_at__gte=_midnight(self.first)))
        if self.last:
            found = found.filter(raised_at__lt=_midnight(self.last + timedelta(days=1)))
        return found


def micros(moment: datetime) -> int:
    """Return a moment as a number that loses nothing of it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int) -> datetime | None:
    """Return the moment that ``micros`` made a number of; None where there is none such."""
    try:
        return _EPOCH + number * _MICROSECOND
    except OverflowError:
        return None


def _cursor(text: str) -> tuple[int, int] | None:
    first, _, second = text.partition(".")
    one, other = number_in(first), number_in(second)
    return None if one is None or other is None else (one, other)


def _day(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    # The day after has to be one as well, in every zone.
    return day if day and date(1971, 1, 1) <= day <= date(9998, 12, 31) else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
