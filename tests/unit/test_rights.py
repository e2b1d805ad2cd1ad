"""Who is logged in and may what: what Django's own backend says, by fewer questions."""

from __future__ import annotations

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from pytest_django import DjangoAssertNumQueries

from tasks import permissions
from tasks.models import Person as Decided
from tasks.models import Preference
from tasks.rights import RightsBackend, roles_of
from tests.conftest import Person

OURS, DJANGOS = RightsBackend(), ModelBackend()
DIRECT = "view_logline"


def of(user: User, backend: ModelBackend) -> set[str]:
    """Return the rights by a user object that nobody has asked yet."""
    return set(backend.get_all_permissions(User.objects.get(pk=user.pk)))


@pytest.mark.parametrize("role", ["", permissions.VIEWER, permissions.AUDITOR, permissions.ADMINISTRATOR])
def test_rights_are_those_of_roles_and_those_given_one_by_one(person: Person, role: str) -> None:
    user = person(role, "anna")
    assert of(user, OURS) == of(user, DJANGOS) == set(permissions.ROLES.get(role, ()))
    user.user_permissions.add(Permission.objects.get(codename=DIRECT))
    assert of(user, OURS) == of(user, DJANGOS) == {*permissions.ROLES.get(role, ()), f"tasks.{DIRECT}"}
    user.groups.add(Group.objects.get(name=permissions.OPERATOR))
    assert of(user, OURS) == of(user, DJANGOS) >= {permissions.RUN}
    user.groups.clear()
    assert of(user, OURS) == of(user, DJANGOS) == {f"tasks.{DIRECT}"}


def test_a_superuser_has_all_and_who_is_disabled_none(person: Person) -> None:
    user = person(permissions.ADMINISTRATOR, "anna")
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert of(user, OURS) == of(user, DJANGOS) and len(of(user, OURS)) == Permission.objects.count()
    for superuser in (True, False):
        User.objects.filter(pk=user.pk).update(is_superuser=superuser, is_active=False)
        assert of(user, OURS) == of(user, DJANGOS) == set()
        assert OURS.get_user(user.pk) is None


def test_nobody_and_strangers_have_none(db: None) -> None:
    assert OURS.get_all_permissions(AnonymousUser()) == set()
    assert OURS.get_user(987654) is None


def test_of_one_thing_nobody_has_rights(person: Person) -> None:
    user = person(permissions.ADMINISTRATOR)
    assert OURS.get_all_permissions(user, obj=user) == set()
    assert not User.objects.get(pk=user.pk).has_perm(permissions.VIEW, user)


def test_user_rights_and_roles_are_two_queries(
    person: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    one, other = person(permissions.OPERATOR), person(permissions.VIEWER)
    one.groups.add(Group.objects.get(name=permissions.AUDITOR))
    Decided.objects.create(user=one, must_change_password=True)
    Preference.objects.create(user=other, zone="Asia/Tokyo")
    OURS.get_user(one.pk)
    with django_assert_num_queries(2):
        found = OURS.get_user(one.pk)
        assert found == one and found is not None
        assert found.has_perm(permissions.RUN) and not found.has_perm(permissions.PEOPLE)
        assert roles_of(found) == [permissions.AUDITOR, permissions.OPERATOR]
        assert found.person.must_change_password and not hasattr(found, "preference")
    with django_assert_num_queries(2):
        found = OURS.get_user(other.pk)
        assert found == other and found is not None
        assert roles_of(found) == [permissions.VIEWER] and not found.has_perm(permissions.RUN)
        assert found.preference.zone == "Asia/Tokyo" and not hasattr(found, "person")
