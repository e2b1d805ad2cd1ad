"""Verbs of a person on themselves, and on sessions, which administrators end as well."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from tasks import audit, people, permissions
from tasks.audit import Actor
from tasks.devices import device
from tasks.errors import Refused
from tasks.models import Person, PersonSession
from tasks.services.common import changes, require

_PROFILE = ("first_name", "last_name", "email")


def change_own_profile(actor: Actor, user: User, values: dict[str, Any]) -> None:
    """Store the names and the mail address that a person gives of themselves."""
    with transaction.atomic():
        current = User.objects.select_for_update().get(pk=user.pk)
        before = {name: getattr(current, name) for name in _PROFILE}
        for name in _PROFILE:
            setattr(current, name, values[name])
        current.save(update_fields=_PROFILE)
        old, new = changes(before, {name: getattr(current, name) for name in _PROFILE})
        audit.record(actor, "change own profile", current, before=old, after=new)


def change_own_password(actor: Actor, user: User, password: str, kept: PersonSession | None) -> None:
    """Store the password that a person chose, judged by the form before; all their sessions but ``kept`` end."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=("password",))
        Person.objects.filter(user=user).update(must_change_password=False)
        count = _others(user, kept)
        audit.record(actor, "change own password", user, note=f"{count} other {_sessions(count)} ended")


def end_session(actor: Actor, session: PersonSession) -> None:
    """End one session, of oneself or of somebody whom the actor looks after; its next request leads to the login."""
    _require(actor, session.user, "end session")
    with transaction.atomic():
        gone, _ = PersonSession.objects.filter(pk=session.pk).delete()
        if not gone:
            raise Refused("This session has ended already.")
        note = f"{device(session.user_agent)}, {session.address or 'unknown address'}"
        audit.record(actor, "end session", session.user, note=note)


def end_sessions(actor: Actor, user: User, kept: PersonSession | None = None) -> int:
    """End all sessions of a person but ``kept``, and return how many those were."""
    _require(actor, user, "end sessions")
    with transaction.atomic():
        count = _others(user, kept)
        audit.record(actor, "end sessions", user, note=f"{count} {_sessions(count)} ended")
    return count


def _require(actor: Actor, user: User, verb: str) -> None:
    """Refuse sessions of other people to who does not look after these."""
    if actor.user is not None and actor.user.pk == user.pk:
        return
    require(actor, permissions.PEOPLE, verb, user)
    if why := people.cannot_look_after(actor, user):
        raise Refused(why)


def _others(user: User, kept: PersonSession | None) -> int:
    rows = PersonSession.objects.filter(user=user)
    count, _ = (rows.exclude(pk=kept.pk) if kept is not None else rows).delete()
    return count


def _sessions(count: int) -> str:
    return "session" if count == 1 else "sessions"
