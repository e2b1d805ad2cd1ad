"""Who may look after whom: nobody gives, takes over or widens what they do not have themselves."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from tasks.audit import Actor
from tasks.models import Cluster
from tasks.permissions import ADMINISTRATOR, MAY, ROLES
from tasks.scope import limits_of, person_of

ONESELF = "This is you. Change your name and your password under Preferences; another administrator does the rest."


# --- Rights -----------------------------------------------------------------------------------------------------------
def rights_of(user: User) -> set[str]:
    """Return the permissions that a person has by roles and otherwise, also one who is disabled; not a superuser's."""
    return _codes(Permission.objects.filter(Q(group__user=user) | Q(user=user)))


def rights_of_roles(roles: Iterable[Group]) -> set[str]:
    """Return the permissions that the roles give together."""
    return _codes(Permission.objects.filter(group__in=list(roles)))


def _codes(permissions: QuerySet[Permission]) -> set[str]:
    rows = permissions.order_by().values_list("content_type__app_label", "codename")
    return {f"{label}.{code}" for label, code in rows}


def gives_too_much(actor: Actor, rights: set[str]) -> bool:
    """Tell whether ``rights`` hold any that the actor lacks; the console and superusers lack none."""
    return actor.user is not None and not actor.user.is_superuser and bool(rights - actor.user.get_all_permissions())


def sees_more(actor: Actor, limits: frozenset[int] | None) -> bool:
    """Tell whether a person with these limits would see a cluster that the actor does not see."""
    own = None if actor.user is None else limits_of(actor.user)
    return own is not None and (limits is None or bool(limits - own))


def cannot_look_after(actor: Actor, user: User) -> str:
    """Return why the actor may not change this person, empty where they may.

    A new password for somebody with more rights, or who sees more, would be the way to get these.
    """
    if actor.user is not None and actor.user.pk == user.pk:
        return ONESELF
    if actor.user is None or actor.user.is_superuser:
        return ""
    if user.is_superuser:
        return f"{user.username} is a superuser. Superusers are changed by superusers, or on the command line."
    if gives_too_much(actor, rights_of(user)):
        return f"{user.username} has rights that you lack."
    return f"{user.username} sees clusters that you do not see." if sees_more(actor, limits_of(user)) else ""


# --- Administrators ---------------------------------------------------------------------------------------------------
def administrators() -> QuerySet[User]:
    """Return the people who can look after everybody: active, superuser or Administrator, and not limited."""
    whole = Q(is_superuser=True) | Q(groups__name=ADMINISTRATOR) & ~Q(person__limited=True)
    return User.objects.filter(whole, is_active=True).distinct()


def is_last_administrator(user: User) -> bool:
    """Tell whether without this person nobody could look after everybody; in a transaction, with the roles locked."""
    able = set(administrators().values_list("pk", flat=True))
    return able == {user.pk}


# --- Words ------------------------------------------------------------------------------------------------------------
def what_role_may(role: Group) -> list[str]:
    """Return what a role may do, in words: of the table's roles by the table, of others by what they were given.

    The permissions of ``role`` should be fetched, with their types of content.
    """
    if role.name in ROLES:
        given = list(ROLES[role.name])
        return [words for right, words in MAY.items() if right in given]
    found = {f"{one.content_type.app_label}.{one.codename}": one.name for one in role.permissions.all()}
    known = [words for right, words in MAY.items() if right in found]
    return known + sorted(name for right, name in found.items() if right not in MAY)


def roles() -> QuerySet[Group]:
    """Return all roles with what ``what_role_may`` asks for, those of the table first and in its order."""
    places = [When(name=name, then=Value(place)) for place, name in enumerate(ROLES)]
    found = Group.objects.annotate(place=Case(*places, default=Value(len(ROLES)), output_field=IntegerField()))
    return found.order_by("place", "name").prefetch_related("permissions__content_type")


def clusters_in_words(user: User, actor: Actor) -> list[str]:
    """Return the names of the clusters that a person is limited to; what the actor does not see is only counted.

    Empty where the person sees all clusters.
    """
    person = None if user.is_superuser else person_of(user)
    if person is None or not person.limited:
        return []
    mine: list[Cluster] = list(person.clusters.all())
    if not mine:
        return ["None"]
    shown = sorted(cluster.name for cluster in mine if actor.sees(cluster))
    others = len(mine) - len(shown)
    return shown + ([f"{others} other {'cluster' if others == 1 else 'clusters'}"] if others else [])
