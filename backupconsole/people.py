"""The first administrator, made from the command line."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from tasks import audit
from tasks.models import Person, PersonSession
from tasks.permissions import ADMINISTRATOR


def has_administrator() -> bool:
    """Tell whether anybody can log in who may do everything."""
    people = User.objects.filter(is_active=True)
    return people.filter(is_superuser=True).exists() or people.filter(groups__name=ADMINISTRATOR).exists()


def weakness(password: str, name: str) -> str:
    """Return what the rules for passwords have against ``password``, or nothing."""
    try:
        validate_password(password, User(username=name))
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


@transaction.atomic
def make_administrator(name: str, password: str) -> bool:
    """Make ``name`` an active superuser in the group Administrator with ``password``; return whether they are new.

    Whatever sessions there were end, for somebody else may have begun them.
    """
    user, fresh = User.objects.get_or_create(username=name)
    user.is_active = user.is_staff = user.is_superuser = True
    user.set_password(password)
    user.save()
    Person.objects.filter(user=user).update(must_change_password=False)
    PersonSession.objects.filter(user=user).delete()
    user.groups.add(Group.objects.get(name=ADMINISTRATOR))
    verb = "create administrator" if fresh else "set administrator's password"
    audit.record(audit.CONSOLE, verb, user, note="from the command line")
    return fresh
