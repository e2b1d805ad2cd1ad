"""The verbs on lockouts: let somebody, or a whole address, try to log in again before its time."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils import timezone

from tasks import permissions
from tasks.audit import Actor
from tasks.errors import Refused
from tasks.lockout import standing
from tasks.models import Lockout
from tasks.services.common import require


def end_lockouts(actor: Actor, user: User) -> list[Lockout]:
    """End every lockout of a person and return them; raise ``Refused`` where there is none."""
    require(actor, permissions.PEOPLE, standing.END, user)
    ended = standing.end(standing.lockouts_of(user), actor, timezone.now())
    if not ended:
        raise Refused(f"{user.get_username()} is not locked out.")
    return ended


def end_lockout(actor: Actor, lockout: Lockout) -> None:
    """End one lockout, also of a whole address; raise ``Refused`` where it is over."""
    require(actor, permissions.PEOPLE, standing.END, lockout)
    if not standing.end(standing.in_force().filter(pk=lockout.pk), actor, timezone.now()):
        raise Refused("This lockout is over already.")
