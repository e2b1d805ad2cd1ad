"""The rules for passwords: length by setting, none that comes back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from tasks.models import FormerPassword
from tasks.passwords import NotReusedValidator, random_password, rules_in_words

pytestmark = pytest.mark.django_db
PASSWORDS = [f"a-long-password-{number}" for number in range(7)]


def give(user: User, password: str) -> None:
    user.set_password(password)
    user.save()


@pytest.fixture
def anna() -> User:
    user = User(username="anna")
    give(user, PASSWORDS[0])
    return user


def problems(password: str, user: User | None) -> list[str]:
    try:
        validate_password(password, user)
    except ValidationError as error:
        return list(error.messages)
    return []


def test_the_present_password_is_not_a_new_one(anna: User) -> None:
    assert problems(PASSWORDS[0], anna) == ["You had this password before. Choose a new one."]
    assert problems(PASSWORDS[1], anna) == []


def test_the_last_five_are_refused_and_older_ones_are_forgotten(anna: User) -> None:
    for password in PASSWORDS[1:6]:
        give(anna, password)
    assert [bool(problems(password, anna)) for password in PASSWORDS] == [False, *[True] * 5, False]
    assert FormerPassword.objects.filter(user=anna).count() == 5


def test_a_password_from_before_the_upgrade_is_refused_as_well(anna: User) -> None:
    FormerPassword.objects.all().delete()
    assert problems(PASSWORDS[0], anna)


def test_passwords_of_others_are_nobodys_business(anna: User) -> None:
    other = User(username="bert")
    give(other, PASSWORDS[3])
    assert problems(PASSWORDS[3], anna) == []


def test_what_is_kept_is_a_hash(anna: User) -> None:
    assert PASSWORDS[0] not in str(FormerPassword.objects.values())


@pytest.mark.parametrize("user", [None, User(username="new")])
def test_who_is_not_saved_had_no_password(user: User | None) -> None:
    rule = NotReusedValidator(5)
    rule.validate("whatever-it-is", user)
    rule.password_changed("whatever-it-is", user)
    assert not FormerPassword.objects.exists()
    assert "had before" in rule.get_help_text()


@pytest.mark.parametrize(
    ("password", "words"),
    [("short-1", "at least 10 characters"), ("1234567890123", "entirely numeric"), ("password123", "too common")],
)
def test_weak_passwords(password: str, words: str, anna: User) -> None:
    assert words in " ".join(problems(password, anna))


def test_like_the_mail_address(anna: User) -> None:
    anna.email = "anna.of.the.plant@example.org"
    assert "too similar" in " ".join(problems("anna.of.the.plant", anna))


def test_the_rules_in_words_follow_the_settings(settings: Any) -> None:
    assert "At least 10 characters" in rules_in_words() and "one of your last 5" in rules_in_words()
    settings.PASSWORD_MIN_LENGTH, settings.PASSWORD_HISTORY = 14, 1
    assert "At least 14 characters" in rules_in_words() and "not the present one" in rules_in_words()


def test_one_time_passwords_pass_the_rules_and_differ(anna: User) -> None:
    made = {random_password() for _ in range(50)}
    assert len(made) == 50
    assert not any(problems(password, anna) for password in list(made)[:5])
