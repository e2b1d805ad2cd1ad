"""The audit of an imagined installation: events as the console writes them, sealed into its chain."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from tasks import chain
from tasks.models import AuditChain, AuditEvent
from tasks.risks import risk_of

from .bulk import at, write
from .imagined import Task

_VERBS = ("run task", "configure task", "suspend task", "stop run", "log in", "log in")
_PEOPLE = ("anna", "bernd", "carla", "dora")
_NAMES = (*chain.SEALED, "digest")


def events(tasks: Sequence[Task], number: int, now: datetime) -> None:
    """Write ``number`` events, one a minute until ``now``, behind those that are there, and the end of the chain."""
    head = AuditChain.load()
    # Asked for beforehand: while PostgreSQL copies rows it answers nothing else.
    last = AuditEvent.objects.order_by("pk").values_list("pk", flat=True).last() or 0
    write(AuditEvent, _NAMES, _rows(tasks, number, now, head, last))
    head.save()


def _rows(tasks: Sequence[Task], number: int, now: datetime, head: AuditChain, last: int) -> Iterator[list[Any]]:
    for place in range(number):
        event = _event(tasks[place * 7 % len(tasks)], place, now - timedelta(minutes=number - place))
        event |= {"id": last + place + 1, "position": head.position + 1, "foreign": False}
        event["stamp"] = chain.stamp(event)
        head.position, head.digest = head.position + 1, chain.digest(head.digest, event)
        event |= {"digest": head.digest, "at": at(event["at"])}
        yield [json.dumps(event[name]) if name in ("before", "after") else event[name] for name in _NAMES]


def _event(task: Task, place: int, moment: datetime) -> dict[str, Any]:
    verb, who = _VERBS[place % len(_VERBS)], place % len(_PEOPLE)
    of_task = verb != "log in"
    return {
        "at": moment,
        "actor_id": who + 1,
        "actor": _PEOPLE[who],
        "address": f"10.0.{who}.7",
        "verb": verb,
        "risk": str(risk_of(verb)),
        "target_kind": "backup task" if of_task else "user",
        "target_id": task.pk if of_task else who + 1,
        "target": task.name if of_task else _PEOPLE[who],
        "cluster_id": task.cluster if of_task else None,
        "result": "refused" if place % 50 == 0 else "successful",
        "before": {"copies": 7} if verb == "configure task" else {},
        "after": {"copies": 14} if verb == "configure task" else {},
        "note": "",
    }
