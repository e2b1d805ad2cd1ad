"""The lockouts that are in force: which one an attempt meets, how they begin, how they end by themselves or by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tasks.audit import CONSOLE, Actor, Target, record
from tasks.auditing.refusals import record_refusal
from tasks.lockout.attempt import Attempt
from tasks.models import AuditEvent, Lockout
from tasks.moments import stamp
from tasks.signins import UNKNOWN

END = "end lockout"
_DONE = AuditEvent.Result.SUCCESSFUL


def in_force(now: datetime | None = None) -> QuerySet[Lockout]:
    """Return the lockouts that are not over, the newest first."""
    return Lockout.objects.filter(until__gt=now or timezone.now()).select_related("user")


def lockouts_of(user: User) -> QuerySet[Lockout]:
    """Return the lockouts of a person that are in force; those of whole addresses belong to nobody."""
    return in_force().filter(user=user)


def of(attempt: Attempt, now: datetime) -> Lockout | None:
    """Return the lockout that an attempt meets, the one that lasts longest; None where it may be made."""
    met = Q(rule=Lockout.Rule.PAIR, name_key=attempt.key, address=attempt.network or "")
    if attempt.network and not attempt.browser:
        met |= Q(rule=Lockout.Rule.ADDRESS, address=attempt.network)
    return Lockout.objects.filter(met, until__gt=now).order_by("-until").first()


def begin(rule: Lockout.Rule, attempt: Attempt, user: User | None, now: datetime) -> Lockout:
    """Lock out what ``rule`` names, and put it on record."""
    pair = rule == Lockout.Rule.PAIR
    until = now + timedelta(minutes=settings.LOCKOUT_MINUTES)
    lockout, _ = Lockout.objects.update_or_create(
        rule=rule,
        name_key=attempt.key if pair else "",
        address=attempt.network or "",
        defaults={"user": user if pair else None, "since": now, "until": until},
    )
    limit = settings.LOCKOUT_FAILURES if pair else settings.LOCKOUT_ADDRESS_FAILURES
    note = f"{limit:,} wrong passwords within {settings.LOCKOUT_MINUTES} min. Locked out until {stamp(until)}."
    record_refusal(Actor(CONSOLE.name, None, lockout.address), "lock out", target_of(lockout), note, _DONE)
    return lockout


def end(lockouts: QuerySet[Lockout], actor: Actor, now: datetime) -> list[Lockout]:
    """End lockouts before their time, forget the failures that led to them, and return them; on record."""
    with transaction.atomic():
        ended = list(lockouts.select_for_update(of=("self",)))
        for lockout in ended:
            failures = AccessAttempt.objects.filter(ip_address=lockout.address or None)
            if lockout.rule == Lockout.Rule.PAIR:
                failures = failures.filter(username=lockout.name_key)
            failures.delete()
            record(actor, END, target_of(lockout), after={"address": lockout.address or "unknown"})
        Lockout.objects.filter(pk__in=[lockout.pk for lockout in ended]).delete()
    return ended


def look_after(now: datetime) -> int:
    """Do the tick's part: put the end of what is over on record, and forget failures that count no more."""
    lasts = timedelta(minutes=settings.LOCKOUT_MINUTES)
    # What a clock that was set back has left in the future would last too long.
    over = list(Lockout.objects.filter(Q(until__lte=now) | Q(since__gt=now + lasts)).select_related("user"))
    for lockout in over:
        Lockout.objects.filter(pk=lockout.pk).delete()
        actor = Actor(CONSOLE.name, None, lockout.address)
        record_refusal(actor, END, target_of(lockout), "Its time was over.", _DONE)
    AccessAttempt.objects.filter(Q(attempt_time__lte=now - lasts) | Q(attempt_time__gt=now + lasts)).delete()
    return len(over)


def target_of(lockout: Lockout) -> Target | User:
    """Return what the audit says was locked out; a name that no account has is not told."""
    if lockout.rule == Lockout.Rule.ADDRESS:
        return Target("address", lockout.address)
    return lockout.user or Target("user", UNKNOWN)


def words(lockout: Lockout) -> str:
    """Return who is locked out, and where."""
    who = "everybody" if lockout.rule == Lockout.Rule.ADDRESS else str(lockout.user or "a name that no user has")
    return f"{who} at {lockout.address or 'an unknown address'}"


def minutes_left(lockout: Lockout, now: datetime) -> int:
    """Return in how many whole minutes the lockout is over, one at least."""
    return max(1, -int((now - lockout.until).total_seconds() // 60))
