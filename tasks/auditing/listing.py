"""The page of the audit as its templates read it: events with what they changed, dates, choices, state of the chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.http import urlencode

from tasks import chain
from tasks.audit import mask
from tasks.auditing import search
from tasks.auditing.periods import Period, with_events
from tasks.auditing.sealing import unsealed
from tasks.models import AuditChain, AuditEvent
from tasks.scope import limits_of

# So many of a kind are offered to choose from.
CHOICES = 200


@dataclass(frozen=True)
class Difference:
    """A value before and after; None where there was none."""

    name: str
    before: str | None
    after: str | None

    @property
    def gone(self) -> bool:
        """Tell whether there was a value that is no more."""
        return self.before is not None and self.before != self.after

    @property
    def come(self) -> bool:
        """Tell whether there is a value that was not."""
        return self.after is not None and self.before != self.after


@dataclass(frozen=True)
class Row:
    """An event with what it changed, value by value."""

    event: AuditEvent
    differences: list[Difference]

    @property
    def compared(self) -> bool:
        """Tell whether there are values of both sides."""
        return bool(self.event.before and self.event.after)

    @property
    def column(self) -> str:
        """The head of the only column of values."""
        return "Before" if self.event.before else "Value"


@dataclass(frozen=True)
class Chain:
    """What is known of the chain: verified when and to which event, what does not hold, what is not sealed yet."""

    verified_at: datetime | None
    verified_event: int | None
    troubles: list[str]
    unsealed: int


def row_of(event: AuditEvent) -> Row:
    """Return an event with what it changed; what looks like a secret by its name is masked here once more."""
    return Row(event, differences(mask(event.before), mask(event.after)))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return all values of both sides, those of nested ones by their whole names."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [Difference(name, old.get(name), new.get(name)) for name in {**old, **new}]


def chain_state() -> Chain:
    """Return what the page says of the chain; two queries."""
    state = AuditChain.current()
    objections = [f"{text} So says the checkpoint of {host}." for host, text in state.checkpoints.items()]
    troubles = [*objections, *(finding["text"] for finding in state.findings)]
    return Chain(state.verified_at, state.verified_event, troubles, unsealed()[: search.COUNT_LIMIT].count())


def fits(event: AuditEvent) -> bool:
    """Tell whether the hash of a sealed event fits its content and the event before it."""
    if event.position is None:
        return False
    previous = AuditEvent.objects.filter(position=event.position - 1).values_list("digest", flat=True).first()
    return chain.digest(previous or chain.GENESIS, event.__dict__) == event.digest


def same(event: AuditEvent) -> dict[str, str]:
    """Return the filters, as parts of a URL, that lead to events with something in common."""
    found = {"person": {"person": event.actor}}
    if event.target_id is not None:
        found["thing"] = {"kind": event.target_kind, "thing": str(event.target_id)}
    if event.address:
        found["address"] = {"address": event.address}
    return {name: urlencode(pairs) for name, pairs in found.items()}


def dates(chosen: Period | None) -> dict[str, Any]:
    """Return the dates to choose from: those above ``chosen``, and the parts of it that have events."""
    above: list[Period] = []
    period = chosen
    while period:
        above.insert(0, period)
        period = period.above
    # A day has no parts: the other days of its month stay in sight.
    whole = chosen.above if chosen and len(chosen.parts) == 3 else chosen
    parts = with_events(AuditEvent.objects.all(), whole, timezone.get_current_timezone())
    return {"above": above, "parts": parts, "chosen": chosen}


def choices(user: Any) -> dict[str, list[str]]:
    """Return what operations and kinds there are, and the people for who may see them all; three queries."""
    people = _distinct("actor") if limits_of(user) is None else []
    return {"verbs": _distinct("verb"), "kinds": _distinct("target_kind"), "people": people}


def _distinct(column: str) -> list[str]:
    """Return the values of a column that heads an index, jumping from one to the next; DISTINCT looks at every row."""
    table, name = AuditEvent._meta.db_table, connection.ops.quote_name(column)
    query = (
        f"WITH RECURSIVE found(value, number) AS (SELECT (SELECT MIN({name}) FROM {table}), 1 UNION ALL "
        f"SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > found.value), number + 1 FROM found "
        f"WHERE found.value IS NOT NULL AND number < %s) SELECT value FROM found WHERE value IS NOT NULL"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [CHOICES])
        return [row[0] for row in cursor.fetchall()]


def _flat(values: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in values.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{name}.")
        else:
            found.append((name, _told(value)))
    return found


def _told(value: Any) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return "None"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
