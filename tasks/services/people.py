"""Verbs on people: create, change, disable, enable, and a password that is good for one login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from tasks import audit, people, permissions
from tasks.audit import Actor
from tasks.auditing.refusals import on_record_when_refused
from tasks.errors import EditConflict, Refused
from tasks.models import Cluster, Person, PersonSession
from tasks.passwords import random_password
from tasks.permissions import ADMINISTRATOR
from tasks.services.common import changes, require

LAST = "This is the last active administrator who sees all clusters."
MAKE_ANOTHER = "Give somebody else the role Administrator first."


@dataclass(frozen=True)
class PersonDraft:
    """What an administrator decided about a person; ``clusters`` count where ``limited``."""

    username: str
    roles: tuple[Group, ...] = ()
    limited: bool = False
    clusters: tuple[Cluster, ...] = ()
    first_name: str = ""
    last_name: str = ""
    email: str = ""


def create_person(actor: Actor, draft: PersonDraft) -> tuple[User, str]:
    """Create a user and return the password for the first login, which has to be changed there.

    Raises ``Refused`` naming the field where the name is taken, and for roles and clusters that the actor lacks.
    """
    user = User(username=draft.username)
    require(actor, permissions.PEOPLE, "create user", user)
    _require_own(actor, draft)
    if User.objects.filter(username__iexact=draft.username).exists():
        raise _name_taken(draft.username)
    password = random_password()
    try:
        with transaction.atomic():
            user.set_password(password)
            _fill(user, draft)
            person = Person(user=user, must_change_password=True)
            _decide(user, person, draft)
            audit.record(actor, "create user", user, after=_audited(user, person))
    except IntegrityError as error:
        raise _name_taken(draft.username) from error
    return user, password


@on_record_when_refused("change user")
def change_person(actor: Actor, user: User, version: int, draft: PersonDraft) -> User:
    """Change names, roles and clusters of a person who was read at ``version``; the username stays.

    Raises ``EditConflict`` when somebody else saved them since, and ``Refused`` as ``create_person`` does, for oneself,
    for people above the actor, and where nobody could look after everybody any more.
    """
    verb = "change user"
    _require(actor, user, verb)
    _require_own(actor, draft)
    with transaction.atomic():
        current, person = _locked(user)
        if person.version != version:
            raise EditConflict(f"{current.username} was changed by somebody else while you edited it.")
        before = _audited(current, person)
        was_last = people.is_last_administrator(current)
        person.version += 1
        _fill(current, draft)
        _decide(current, person, draft)
        if was_last and not people.administrators().filter(pk=current.pk).exists():
            raise Refused(LAST, cure=MAKE_ANOTHER, field="roles" if _stripped(draft) else "limited")
        old, new = changes(before, _audited(current, person))
        audit.record(actor, verb, current, before=old, after=new)
    return current


@on_record_when_refused("set one-time password")
def set_one_time_password(actor: Actor, user: User) -> str:
    """Give a person a new password that has to be changed at the next login, and return it; their sessions end."""
    verb = "set one-time password"
    _require(actor, user, verb)
    password = random_password()
    with transaction.atomic():
        current, person = _locked(user)
        current.set_password(password)
        current.save(update_fields=("password",))
        Person.objects.filter(pk=person.pk).update(must_change_password=True)
        audit.record(actor, verb, current, note=_ended(current))
    return password


@on_record_when_refused("disable user")
def disable_person(actor: Actor, user: User) -> None:
    """Let a person in no more and end their sessions; roles, records and what runs by their order stay.

    Raises ``Refused`` for oneself, for people above the actor, for the last administrator, and where it is done.
    """
    verb = "disable user"
    _require(actor, user, verb)
    with transaction.atomic():
        current, _ = _locked(user)
        if not current.is_active:
            raise Refused(f"{current.username} is disabled already.")
        if people.is_last_administrator(current):
            raise Refused(LAST, cure=MAKE_ANOTHER)
        _activate(current, False)
        audit.record(actor, verb, current, before={"active": True}, after={"active": False}, note=_ended(current))


@on_record_when_refused("enable user")
def enable_person(actor: Actor, user: User) -> None:
    """Let a disabled person in again, with the roles and the password they had."""
    verb = "enable user"
    _require(actor, user, verb)
    with transaction.atomic():
        current, _ = _locked(user)
        if current.is_active:
            raise Refused(f"{current.username} is active already.")
        _activate(current, True)
        audit.record(actor, verb, current, before={"active": False}, after={"active": True})


# --- What they share --------------------------------------------------------------------------------------------------
def _require(actor: Actor, user: User, verb: str) -> None:
    require(actor, permissions.PEOPLE, verb, user)
    if why := people.cannot_look_after(actor, user):
        raise Refused(why)


def _require_own(actor: Actor, draft: PersonDraft) -> None:
    """Refuse roles that give more than the actor has, and clusters that the actor does not see."""
    beyond = [role.name for role in draft.roles if people.gives_too_much(actor, people.rights_of_roles([role]))]
    if beyond:
        raise Refused(f"{', '.join(beyond)} gives rights that you lack.", cure="Leave it out.", field="roles")
    if draft.limited and not draft.clusters:
        raise Refused("No cluster is chosen.", cure="Choose one at least, or All clusters.", field="clusters")
    limits = frozenset(cluster.pk for cluster in draft.clusters) if draft.limited else None
    if people.sees_more(actor, limits):
        raise Refused("You do not see all of these clusters yourself.", cure="Choose from yours.", field="clusters")


def _locked(user: User) -> tuple[User, Person]:
    """Return the rows as they are now, locked; of two who change administrators, one waits for the other."""
    list(Group.objects.select_for_update().filter(name=ADMINISTRATOR).values_list("pk"))
    current = User.objects.select_for_update().get(pk=user.pk)
    person, _ = Person.objects.select_for_update().get_or_create(user=current)
    return current, person


def _fill(user: User, draft: PersonDraft) -> None:
    user.first_name, user.last_name, user.email = draft.first_name, draft.last_name, draft.email
    user.save()


def _decide(user: User, person: Person, draft: PersonDraft) -> None:
    person.limited = draft.limited
    person.save()
    person.clusters.set(draft.clusters if draft.limited else [])
    user.groups.set(draft.roles)


def _stripped(draft: PersonDraft) -> bool:
    return ADMINISTRATOR not in {role.name for role in draft.roles}


def _activate(user: User, active: bool) -> None:
    user.is_active = active
    user.save(update_fields=("is_active",))


def _ended(user: User) -> str:
    """End all sessions of a person and say how many."""
    count, _ = PersonSession.objects.filter(user=user).delete()
    return f"{count} {'session' if count == 1 else 'sessions'} ended"


def _audited(user: User, person: Person) -> dict[str, Any]:
    clusters = sorted(person.clusters.values_list("name", flat=True))
    return {
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "roles": sorted(user.groups.values_list("name", flat=True)),
        "clusters": clusters if person.limited else "all",
    }


def _name_taken(name: str) -> Refused:
    return Refused(f"Another user is already called {name}.", cure="Choose a different name.", field="username")
