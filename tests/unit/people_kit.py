"""What the tests of the verbs on people share: actors with and without limits, and drafts."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User

from tasks.audit import Actor
from tasks.models import AuditEvent
from tasks.services import PersonDraft


def role(name: str) -> Group:
    return Group.objects.get(name=name)


def draft(name: str = "carla", *roles: str, **more: Any) -> PersonDraft:
    return PersonDraft(username=name, roles=tuple(role(one) for one in roles), **more)


def actor_for(user: User) -> Actor:
    return Actor(user.username, User.objects.get(pk=user.pk), "10.0.0.9")


def make_clerk() -> Actor:
    """Make somebody with a role of their own: looks after people and may see, nothing else."""
    clerks = Group.objects.create(name="Clerk")
    clerks.permissions.set(Permission.objects.filter(codename__in=("manage_people", "view_console")))
    user = User.objects.create_user("clerk")
    user.groups.add(clerks)
    return actor_for(user)


def last_event() -> AuditEvent:
    """Return the newest event of the audit."""
    event = AuditEvent.objects.first()
    assert event is not None
    return event
