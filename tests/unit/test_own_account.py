"""Verbs on oneself and on sessions, and the words for roles and clusters."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied

from tasks import people, services
from tasks.audit import Actor
from tasks.errors import Refused
from tasks.models import AuditEvent, Cluster, Person, PersonSession
from tasks.permissions import ADMINISTRATOR, AUDITOR, MAY, OPERATOR, ROLES, VIEWER
from tests.conftest import Person as MakePerson
from tests.unit.people_kit import actor_for, last_event, make_clerk, role
from tests.web.scope_kit import limit

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(person: MakePerson) -> Actor:
    """An administrator without limits."""
    return actor_for(person(ADMINISTRATOR, "boss"))


@pytest.fixture
def clerk() -> Actor:
    return make_clerk()


@pytest.fixture
def local(person: MakePerson, cluster: Cluster) -> Actor:
    """An administrator of one cluster."""
    return actor_for(limit(person(ADMINISTRATOR, "local"), cluster))


# --- Own account ------------------------------------------------------------------------------------------------------
def test_own_profile(viewer: User) -> None:
    values = {"first_name": "Vera", "last_name": "", "email": "vera@example.org"}
    services.change_own_profile(actor_for(viewer), viewer, values)
    viewer.refresh_from_db()
    assert (viewer.first_name, viewer.email) == ("Vera", "vera@example.org")
    event = last_event()
    assert event.verb == "change own profile"
    assert event.before == {"first_name": "", "email": ""} and event.after["first_name"] == "Vera"


def test_own_password_ends_the_other_sessions(viewer: User) -> None:
    Person.objects.create(user=viewer, must_change_password=True)
    here, _ = (PersonSession.objects.create(user=viewer, token=token) for token in ("here", "there"))
    services.change_own_password(actor_for(viewer), viewer, "another-good-pass-7", here)
    assert list(PersonSession.objects.all()) == [here]
    assert not Person.objects.get(user=viewer).must_change_password
    assert AuditEvent.objects.get(verb="change own password").note == "1 other session ended"


def test_sessions_are_ended_by_oneself_and_by_who_looks_after_the_person(
    viewer: User, boss: Actor, clerk: Actor, person: MakePerson
) -> None:
    def made(user: User) -> PersonSession:
        return PersonSession.objects.create(user=user, token=str(PersonSession.objects.count()), address="10.0.0.1")

    services.end_session(actor_for(viewer), made(viewer))
    assert last_event().note == "Unknown device, 10.0.0.1"
    session = made(viewer)
    services.end_session(boss, session)
    with pytest.raises(Refused, match="ended already"):
        services.end_session(boss, session)
    with pytest.raises(PermissionDenied):
        services.end_session(actor_for(viewer), made(person(OPERATOR)))
    with pytest.raises(Refused, match="rights that you lack"):
        services.end_sessions(clerk, person(OPERATOR))
    assert services.end_sessions(boss, person(OPERATOR)) == 1
    assert last_event().note == "1 session ended"
    kept = made(viewer)
    made(viewer)
    assert services.end_sessions(actor_for(viewer), viewer, kept) == 1
    assert list(PersonSession.objects.filter(user=viewer)) == [kept]


# --- Words ------------------------------------------------------------------------------------------------------------
def test_every_right_of_a_role_is_said_in_words() -> None:
    said = {words for group in people.roles() for words in people.what_role_may(group)}
    assert said == set(MAY.values())
    for name in ROLES:
        assert people.what_role_may(role(name)), name
    assert people.what_role_may(role(AUDITOR)) == [MAY["tasks.view_auditevent"]]


def test_a_role_of_somebodys_own_is_told_by_what_it_was_given(clerk: Actor) -> None:
    own = role("Clerk")
    own.permissions.add(Permission.objects.get(codename="add_group"))
    told = people.what_role_may(own)
    assert told == [MAY["tasks.view_console"], MAY["tasks.manage_people"], "Can add group"]
    assert [one.name for one in people.roles()] == [*ROLES, "Clerk"]


def test_clusters_that_one_does_not_see_are_only_counted(local: Actor, boss: Actor, person: MakePerson) -> None:
    plant, more = Cluster.objects.get(), [Cluster.objects.create(name=name) for name in ("b", "c")]
    anna = limit(person(VIEWER, "anna"), plant, *more)
    assert people.clusters_in_words(anna, boss) == ["b", "c", "plant"]
    assert people.clusters_in_words(anna, local) == ["plant", "2 other clusters"]
    assert people.clusters_in_words(limit(anna), boss) == ["None"]
    assert people.clusters_in_words(person(VIEWER, "bert"), local) == []
