"""Refusals on record without a flood: the first of a kind at once, those that follow within minutes by their number.

An event is never deleted, so a stranger who guesses passwords could fill the database for ever. So whoever is refused
has a few kinds at a time on record; everything beyond that is one number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.utils import timezone

from tasks.audit import Actor, Target, record
from tasks.errors import EditConflict, Refused
from tasks.models import AuditEvent, RefusalCount
from tasks.moments import stamp

WINDOW = timedelta(minutes=5)
# Kinds that one person, or all strangers together, have on record one by one within a window.
KINDS = 20
_STRANGERS = "strangers"
_SEVERAL = "several"
REFUSED = AuditEvent.Result.REFUSED

P = ParamSpec("P")
T = TypeVar("T")
Thing = TypeVar("Thing", bound=Model)


class OnRecord(PermissionDenied):
    """Somebody may not do something, and the attempt is on record already."""


def record_refusal(
    actor: Actor, verb: str, target: Model | Target, note: str = "", result: str = REFUSED
) -> AuditEvent | None:
    """Put a refusal on record; return None where it was only counted."""
    of = target if isinstance(target, Target) else Target.of(target)
    who = f"person {actor.user.pk}" if getattr(actor.user, "pk", None) else _STRANGERS
    key = _key(who, verb, of.kind, of.name, str(of.key), actor.address, result)
    now = timezone.now()
    if _counted(key, now):
        return None
    if RefusalCount.objects.filter(who=who).count() >= KINDS:
        _count_the_rest(actor, verb, who, note, result, now)
        return None
    facts = {"actor": actor.name, "actor_id": getattr(actor.user, "pk", None), "address": actor.address}
    if not _open(key, who, facts | {"verb": verb, "target": asdict(of), "note": note, "result": result}, now):
        _counted(key, now)
        return None
    return record(actor, verb, of, note=note, result=result)


def close_counts(now: datetime) -> int:
    """Put on record how many refusals followed within the windows that are over; return how many windows those were."""
    over = RefusalCount.objects.filter(opened_at__lte=now - WINDOW)
    # What a clock that was set back left in the future would never be over.
    ahead = RefusalCount.objects.filter(opened_at__gt=now + WINDOW)
    closed = 0
    for pk in [*over.values_list("pk", flat=True), *ahead.values_list("pk", flat=True)]:
        with transaction.atomic():
            count = RefusalCount.objects.select_for_update().filter(pk=pk).first()
            if count is None:
                continue
            count.delete()
            if count.times:
                _record_number(count)
        closed += 1
    return closed


def on_record_when_refused(
    verb: str,
) -> Callable[[Callable[Concatenate[Actor, Thing, P], T]], Callable[Concatenate[Actor, Thing, P], T]]:
    """Return a decorator for verbs ``(actor, target, …)``: what the present state refuses is put on record, too.

    The event is written when the verb's own transaction is undone already.
    """

    def decorate(
        function: Callable[Concatenate[Actor, Thing, P], T],
    ) -> Callable[Concatenate[Actor, Thing, P], T]:
        @wraps(function)
        def do(actor: Actor, target: Thing, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(actor, target, *args, **kwargs)
            except (Refused, EditConflict) as error:
                record_refusal(actor, verb, target, error.message)
                raise

        return do

    return decorate


def _counted(key: str, now: datetime) -> bool:
    return bool(RefusalCount.objects.filter(key=key).update(times=F("times") + 1, last_at=now))


def _open(key: str, who: str, facts: dict[str, Any], now: datetime, times: int = 0) -> bool:
    try:
        with transaction.atomic():
            RefusalCount.objects.create(key=key, who=who, facts=facts, opened_at=now, last_at=now, times=times)
    except IntegrityError:
        # Somebody was refused the same in this very moment.
        return False
    return True


def _count_the_rest(actor: Actor, verb: str, who: str, note: str, result: str, now: datetime) -> None:
    """Count a refusal beyond ``KINDS``: by its verb only, whatever it was about and wherever it came from."""
    key = _key(who, verb, _SEVERAL, result)
    if _counted(key, now):
        return
    name = actor.name if who != _STRANGERS else _SEVERAL
    facts = {"actor": name, "actor_id": getattr(actor.user, "pk", None), "address": "", "verb": verb, "note": ""}
    target = asdict(Target(_SEVERAL, _SEVERAL))
    if not _open(key, f"rest of {who}", facts | {"target": target, "result": result}, now, times=1):
        _counted(key, now)


def _record_number(count: RefusalCount) -> None:
    facts, target = count.facts, Target(**count.facts["target"])
    several = target.kind == _SEVERAL
    times = f"{count.times:,} {'time' if count.times == 1 else 'times'}"
    number = f"{times} from several addresses or about several things" if several else f"{times} more"
    note = " ".join(filter(None, (facts["note"], f"{number} until {stamp(count.last_at, seconds=True)}.")))
    record(
        Actor(facts["actor"], _Known(facts["actor_id"]), facts["address"]),
        facts["verb"],
        target,
        after={"times": count.times},
        note=note,
        result=facts["result"],
    )


class _Known:
    """A person of whom only the key is left."""

    def __init__(self, pk: int | None) -> None:
        self.pk = pk


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
