"""Administrators made from the command line."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from backupconsole import people
from tasks.models import AuditEvent, PersonSession
from tasks.models import Person as PersonRow
from tasks.passwords import random_password

pytestmark = pytest.mark.django_db


def create(name: str = "admin") -> str:
    out = io.StringIO()
    call_command("createadmin", name, stdout=out, stderr=out)
    return out.getvalue()


def test_the_password_is_random_shown_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    assert not people.has_administrator()
    shown = create().split("(shown this once): ")[1].strip()
    user = authenticate(username="admin", password=shown)
    assert user is not None
    assert user.is_superuser
    assert [group.name for group in user.groups.all()] == ["Administrator"]
    assert people.has_administrator()
    assert random_password() != shown


def test_a_given_password_is_taken_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "wintermute-7-horses")
    assert "wintermute" not in create()
    assert authenticate(username="admin", password="wintermute-7-horses")


def test_a_weak_password_is_taken_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "admin")
    assert "This password is weak" in create()
    assert authenticate(username="admin", password="admin")


def test_a_second_time_sets_a_new_password_and_lets_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    first = create().split("once): ")[1].strip()
    User.objects.update(is_active=False)
    second = create()
    assert "still an administrator" in second
    assert not authenticate(username="admin", password=first)
    assert authenticate(username="admin", password=second.split("once): ")[1].strip())
    verbs = list(AuditEvent.objects.exclude(verb="log in").order_by("id").values_list("verb", flat=True))
    assert verbs == ["create administrator", "set administrator's password"]


def test_a_name_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="cannot be the name of a person"):
        create("two words")


def test_a_new_password_from_the_command_line_ends_sessions_and_has_not_to_be_changed() -> None:
    create()
    user = User.objects.get()
    PersonRow.objects.create(user=user, must_change_password=True)
    PersonSession.objects.create(user=user, token="of somebody else")
    create()
    assert not PersonSession.objects.exists()
    assert not PersonRow.objects.get().must_change_password
