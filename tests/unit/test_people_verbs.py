"""Verbs on people: what they change and put on record, and that nobody gets or gives what they do not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied

from tasks import people, services
from tasks.audit import CONSOLE, Actor
from tasks.errors import EditConflict, Refused
from tasks.models import AuditEvent, Cluster, Person, PersonSession
from tasks.permissions import ADMINISTRATOR, OPERATOR, VIEWER
from tests.conftest import Person as MakePerson
from tests.unit.people_kit import actor_for, draft, last_event, make_clerk, role
from tests.web.scope_kit import limit

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(person: MakePerson) -> Actor:
    """An administrator without limits."""
    return actor_for(person(ADMINISTRATOR, "boss"))


@pytest.fixture
def local(person: MakePerson, cluster: Cluster) -> Actor:
    """An administrator of one cluster."""
    return actor_for(limit(person(ADMINISTRATOR, "local"), cluster))


# --- Create -----------------------------------------------------------------------------------------------------------
def test_create(boss: Actor, cluster: Cluster) -> None:
    wanted = draft("carla", OPERATOR, limited=True, clusters=(cluster,), email="carla@example.org")
    user, password = services.create_person(boss, wanted)
    assert authenticate(username="carla", password=password) == user
    assert [one.name for one in user.groups.all()] == [OPERATOR]
    assert Person.objects.get(user=user).must_change_password
    assert list(Person.objects.get(user=user).clusters.all()) == [cluster]
    event = last_event()
    assert (event.verb, event.target, event.actor, event.address) == ("create user", "carla", "boss", "10.0.0.9")
    assert event.after["roles"] == [OPERATOR] and event.after["clusters"] == ["plant"]
    assert password not in str(AuditEvent.objects.values())


@pytest.mark.parametrize("name", ["carla", "Carla"])
def test_a_name_that_is_taken(name: str, boss: Actor) -> None:
    services.create_person(boss, draft("carla"))
    with pytest.raises(Refused) as refusal:
        services.create_person(boss, draft(name))
    assert refusal.value.field == "username"


def test_a_name_taken_in_this_very_moment(boss: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    services.create_person(boss, draft("carla"))
    monkeypatch.setattr("tasks.services.people.User.objects", User.objects.none())
    with pytest.raises(Refused, match="already called carla"):
        services.create_person(boss, draft("carla"))


def test_only_some_clusters_needs_one(boss: Actor) -> None:
    with pytest.raises(Refused) as refusal:
        services.create_person(boss, draft(limited=True))
    assert refusal.value.field == "clusters"


def test_people_are_for_who_may(viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        services.create_person(actor_for(viewer), draft())
    assert last_event().result == "refused"


# --- Change -----------------------------------------------------------------------------------------------------------
def test_change(boss: Actor, person: MakePerson, cluster: Cluster) -> None:
    anna = person(VIEWER, "anna")
    wanted = draft("anna", OPERATOR, limited=True, clusters=(cluster,), first_name="Anna")
    services.change_person(boss, anna, 1, wanted)
    event = last_event()
    assert event.before == {"first_name": "", "roles": [VIEWER], "clusters": "all"}
    assert event.after == {"first_name": "Anna", "roles": [OPERATOR], "clusters": ["plant"]}
    assert Person.objects.get(user=anna).version == 2
    with pytest.raises(EditConflict):
        services.change_person(boss, anna, 1, wanted)
    services.change_person(boss, anna, 2, draft("anna", OPERATOR))
    assert not Person.objects.get(user=anna).clusters.exists()


def test_the_username_stays(boss: Actor, person: MakePerson) -> None:
    anna = person(VIEWER, "anna")
    services.change_person(boss, anna, 1, draft("another"))
    assert User.objects.get(pk=anna.pk).username == "anna"


# --- Password, disable, enable ----------------------------------------------------------------------------------------
def test_a_one_time_password(boss: Actor, person: MakePerson) -> None:
    anna = person(VIEWER, "anna")
    PersonSession.objects.create(user=anna, token="t")
    made = services.set_one_time_password(boss, anna)
    assert authenticate(username="anna", password=made)
    assert Person.objects.get(user=anna).must_change_password
    assert not PersonSession.objects.exists()
    event = AuditEvent.objects.get(verb="set one-time password")
    assert event.note == "1 session ended" and made not in str(AuditEvent.objects.values())


def test_disable_and_enable(boss: Actor, person: MakePerson) -> None:
    anna = person(VIEWER, "anna")
    PersonSession.objects.create(user=anna, token="t")
    services.disable_person(boss, anna)
    assert not User.objects.get(pk=anna.pk).is_active
    assert not PersonSession.objects.exists()
    assert (last_event().verb, last_event().note) == ("disable user", "1 session ended")
    with pytest.raises(Refused, match="disabled already"):
        services.disable_person(boss, anna)
    services.enable_person(boss, anna)
    assert (last_event().verb, last_event().after) == ("enable user", {"active": True})
    with pytest.raises(Refused, match="active already"):
        services.enable_person(boss, anna)


# --- Oneself and the last administrator -------------------------------------------------------------------------------
Verb = Callable[[Actor, User], Any]
VERBS: dict[str, Verb] = {
    "change": lambda actor, user: services.change_person(actor, user, 1, draft(user.username)),
    "password": services.set_one_time_password,
    "disable": services.disable_person,
    "enable": services.enable_person,
}


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_does_it_to_oneself(verb: str, boss: Actor, person: MakePerson) -> None:
    person(ADMINISTRATOR, "another")
    with pytest.raises(Refused, match="This is you"):
        VERBS[verb](boss, boss.user)


def test_the_last_administrator_stays(boss: Actor, cluster: Cluster) -> None:
    last = boss.user
    for wanted, field in (
        (draft("boss", VIEWER), "roles"),
        (draft("boss", ADMINISTRATOR, limited=True, clusters=(cluster,)), "limited"),
    ):
        with pytest.raises(Refused, match="last active administrator") as refusal:
            services.change_person(CONSOLE, last, 1, wanted)
        assert refusal.value.field == field
    with pytest.raises(Refused, match="last active administrator"):
        services.disable_person(CONSOLE, last)
    assert User.objects.get(pk=last.pk).groups.get() == role(ADMINISTRATOR)
    assert not Person.objects.filter(limited=True).exists()


def test_a_limited_or_a_disabled_administrator_is_no_substitute(boss: Actor, local: Actor, person: MakePerson) -> None:
    gone = person(ADMINISTRATOR, "gone")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    with pytest.raises(Refused, match="last active administrator"):
        services.disable_person(CONSOLE, boss.user)
    User.objects.create_superuser("root")
    services.disable_person(CONSOLE, boss.user)
    services.disable_person(CONSOLE, local.user)


# --- No escalation ----------------------------------------------------------------------------------------------------
def test_a_limited_administrator_makes_nobody_who_sees_more(local: Actor, cluster: Cluster) -> None:
    other = Cluster.objects.create(name="other")
    for wanted in (draft(), draft(limited=True, clusters=(cluster, other))):
        with pytest.raises(Refused) as refusal:
            services.create_person(local, wanted)
        assert refusal.value.field == "clusters"
    user, _ = services.create_person(local, draft("carla", ADMINISTRATOR, limited=True, clusters=(cluster,)))
    with pytest.raises(Refused):
        services.change_person(local, user, 1, draft("carla"))


@pytest.mark.parametrize("verb", VERBS)
def test_a_limited_administrator_does_not_touch_who_sees_more(verb: str, local: Actor, person: MakePerson) -> None:
    with pytest.raises(Refused, match="sees clusters that you do not see"):
        VERBS[verb](local, person(VIEWER, "anna"))


@pytest.mark.parametrize("verb", VERBS)
def test_a_superuser_is_out_of_reach(verb: str, boss: Actor) -> None:
    with pytest.raises(Refused, match="superuser"):
        VERBS[verb](boss, User.objects.create_superuser("root"))


def test_superusers_reach_everybody(person: MakePerson) -> None:
    root = actor_for(User.objects.create_superuser("root"))
    other = User.objects.create_superuser("other")
    services.disable_person(root, other)
    services.disable_person(root, person(ADMINISTRATOR, "anna"))


@pytest.fixture
def clerk() -> Actor:
    return make_clerk()


def test_nobody_gives_rights_that_they_lack(clerk: Actor, person: MakePerson) -> None:
    user, _ = services.create_person(clerk, draft("carla", VIEWER))
    with pytest.raises(Refused) as refusal:
        services.create_person(clerk, draft("dora", OPERATOR))
    assert refusal.value.field == "roles"
    with pytest.raises(Refused, match="Operator gives rights that you lack"):
        services.change_person(clerk, user, 1, draft("carla", OPERATOR))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("active", [True, False])
def test_nobody_takes_over_who_has_more_rights(verb: str, active: bool, clerk: Actor, person: MakePerson) -> None:
    """Also of somebody who is disabled: enabled again, they would have them."""
    above = person(OPERATOR, "above")
    User.objects.filter(pk=above.pk).update(is_active=active)
    with pytest.raises(Refused, match="rights that you lack"):
        VERBS[verb](clerk, User.objects.get(pk=above.pk))


def test_rights_beside_roles_count(clerk: Actor, person: MakePerson) -> None:
    anna = person(VIEWER, "anna")
    assert people.cannot_look_after(clerk, anna) == ""
    anna.user_permissions.add(Permission.objects.get(codename="manage_system"))
    assert "rights that you lack" in people.cannot_look_after(clerk, anna)
