"""A thousand guesses: one user, many users, many addresses, a spoofed header; and nobody is locked out for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks.lockout import standing
from tasks.models import AuditEvent, Lockout, RefusalCount
from tests.conftest import PASSWORD, Person

pytestmark = pytest.mark.django_db
HOME = "10.20.4.18"
Count = Callable[[], int]


@pytest.fixture
def admin(person: Person) -> User:
    return person("Administrator", "admin")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that was hashed, which is what takes time at a login."""
    found: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(self: Any, password: str, salt: str) -> str:
        found.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    return found


def guess(name: str = "admin", password: str = "wrong", address: str = "203.0.113.9", **meta: str) -> User | None:
    """Try to log in without the pages around it."""
    request = RequestFactory().post("/login/", REMOTE_ADDR=address, **meta)  # type: ignore[arg-type]
    found: Any = authenticate(request, username=name, password=password)
    return found


def log_in(client: Client, name: str = "admin", password: str = PASSWORD, address: str = HOME, **meta: str) -> Any:
    return client.post("/login/", {"username": name, "password": password}, REMOTE_ADDR=address, **meta)


def rules() -> list[tuple[str, str]]:
    return list(Lockout.objects.order_by("pk").values_list("rule", "address"))


# --- A thousand guesses -----------------------------------------------------------------------------------------------
def test_one_user_is_guessed_at_from_one_address(admin: User, hashes: list[str], settings: Any) -> None:
    for number in range(1000):
        assert guess(password=f"guess {number}") is None
    assert len(hashes) == settings.LOCKOUT_FAILURES
    assert rules() == [("pair", "203.0.113.9")]
    # The right one is no way in there, and is everywhere else.
    assert guess(password=PASSWORD) is None
    assert guess(password=PASSWORD, address=HOME) == admin


def test_many_users_are_guessed_at_from_one_address(admin: User, hashes: list[str], settings: Any) -> None:
    for number in range(1000):
        guess(name=f"user {number}")
    assert len(hashes) == settings.LOCKOUT_ADDRESS_FAILURES
    assert rules() == [("address", "203.0.113.9")]
    assert guess(password=PASSWORD) is None
    assert guess(password=PASSWORD, address=HOME) == admin


def test_one_user_is_guessed_at_from_many_addresses(admin: User) -> None:
    for number in range(1000):
        guess(address=f"198.51.{number // 250}.{number % 250}")
    # Nobody is locked out by what strangers do elsewhere, and the audit is not flooded.
    assert rules() == []
    assert AuditEvent.objects.count() < 30
    assert sum(RefusalCount.objects.values_list("times", flat=True)) > 950
    assert guess(password=PASSWORD, address=HOME) == admin


def test_a_spoofed_header_changes_nothing(admin: User, hashes: list[str], settings: Any) -> None:
    for number in range(1000):
        guess(HTTP_X_FORWARDED_FOR=f"198.51.{number // 250}.{number % 250}", HTTP_X_REAL_IP="192.0.2.1")
    assert len(hashes) == settings.LOCKOUT_FAILURES
    assert rules() == [("pair", "203.0.113.9")]


def test_behind_a_proxy_the_address_is_the_one_that_it_adds(admin: User, hashes: list[str], settings: Any) -> None:
    settings.TRUSTED_PROXY = True
    for number in range(100):
        # What the stranger writes stands in front of what the proxy adds.
        spoofed = f"{HOME}, 198.51.100.{number}, 203.0.113.9"
        guess(address="127.0.0.1", HTTP_X_FORWARDED_FOR=spoofed)
    assert len(hashes) == settings.LOCKOUT_FAILURES
    assert rules() == [("pair", "203.0.113.9")]
    assert guess(password=PASSWORD, address="127.0.0.1", HTTP_X_FORWARDED_FOR=HOME) == admin


def test_a_network_of_ipv6_is_one_address(admin: User, hashes: list[str], settings: Any) -> None:
    for number in range(100):
        guess(address=f"2001:db8:1:2::{number:x}")
    assert len(hashes) == settings.LOCKOUT_FAILURES
    assert rules() == [("pair", "2001:db8:1:2::")]
    assert guess(password=PASSWORD, address="2001:db8:1:3::1") == admin


def test_nothing_that_was_typed_is_kept(admin: User) -> None:
    secret = "my-password-in-the-wrong-field"
    request = RequestFactory().post(f"/login/?next={secret}", {"username": secret, "password": secret, "other": secret})
    for _ in range(6):
        authenticate(request, username=secret, password=secret)
    rows = [*AccessAttempt.objects.values(), *Lockout.objects.values(), *AuditEvent.objects.values()]
    assert secret not in str([*rows, *RefusalCount.objects.values()])
    assert not AccessLog.objects.exists() and not AccessFailureLog.objects.exists()


# --- For how long -----------------------------------------------------------------------------------------------------
def test_a_lockout_ends_by_itself_and_attempts_do_not_prolong_it(admin: User, settings: Any) -> None:
    with time_machine.travel("2026-11-24 10:00:00+01:00", tick=False) as clock:
        for _ in range(settings.LOCKOUT_FAILURES):
            guess()
        for _ in range(settings.LOCKOUT_MINUTES - 1):
            clock.shift(timedelta(minutes=1))
            assert guess(password=PASSWORD) is None
        clock.shift(timedelta(minutes=1))
        assert guess(password=PASSWORD) == admin


def test_failures_of_longer_ago_do_not_count(admin: User, settings: Any) -> None:
    with time_machine.travel("2026-11-24 10:00:00+01:00", tick=False) as clock:
        for _ in range(4 * settings.LOCKOUT_FAILURES):
            guess()
            if AccessAttempt.objects.get().failures_since_start == settings.LOCKOUT_FAILURES - 1:
                clock.shift(timedelta(minutes=settings.LOCKOUT_MINUTES))
        assert rules() == []


def test_a_success_forgets_the_failures(admin: User, settings: Any) -> None:
    for _ in range(3):
        for _ in range(settings.LOCKOUT_FAILURES - 1):
            guess(address=HOME)
        assert log_in(Client()).status_code == 302
    assert rules() == []


def test_the_tick_records_the_end_and_prunes(admin: User, settings: Any) -> None:
    for _ in range(settings.LOCKOUT_FAILURES):
        guess()
    guess(name="nobody")
    assert standing.look_after(timezone.now()) == 0
    assert AccessAttempt.objects.count() == 2
    over = timezone.now() + timedelta(minutes=settings.LOCKOUT_MINUTES, seconds=1)
    assert standing.look_after(over) == 1
    assert not Lockout.objects.exists() and not AccessAttempt.objects.exists()
    begun, ended = AuditEvent.objects.filter(verb__in=("lock out", "end lockout")).order_by("pk")
    assert (begun.target, begun.target_kind, begun.address, begun.risk) == ("admin", "user", "203.0.113.9", "major")
    assert "5 wrong passwords within 15 min" in begun.note
    assert (ended.target, ended.actor, ended.note) == ("admin", "console", "Its time was over.")


def test_a_clock_that_was_set_back_locks_nobody_out_for_longer(admin: User, settings: Any) -> None:
    for _ in range(settings.LOCKOUT_FAILURES):
        guess()
    assert standing.look_after(timezone.now() - timedelta(days=365)) == 1
    assert not Lockout.objects.exists()


# --- Strangers at the same address ------------------------------------------------------------------------------------
def test_a_browser_that_logged_in_before_is_not_locked_out_by_strangers_at_its_address(admin: User) -> None:
    client = Client()
    assert log_in(client).status_code == 302
    client.post("/logout/")
    cookie = client.cookies["browser"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    for number in range(60):
        guess(address=HOME)
        guess(name=f"user {number}", address=HOME)
    assert [rule for rule, _ in rules()] == ["pair", "address"]
    assert log_in(Client()).status_code == 429
    assert log_in(client).status_code == 302


def test_such_a_browser_has_its_own_attempts_and_no_more(admin: User, settings: Any) -> None:
    client = Client()
    log_in(client)
    client.post("/logout/")
    statuses = [log_in(client, password="wrong").status_code for _ in range(settings.LOCKOUT_FAILURES + 1)]
    assert statuses == [200] * (settings.LOCKOUT_FAILURES - 1) + [429, 429]
    # That of another user it has, too.
    assert log_in(client, name="somebody").status_code == 200


def test_the_mark_of_a_browser_is_for_its_user_and_not_to_be_made(admin: User, person: Person, settings: Any) -> None:
    other, client = person("Viewer", "other"), Client()
    log_in(client, name=other.username)
    client.post("/logout/")
    for _ in range(settings.LOCKOUT_FAILURES):
        guess(address=HOME)
    assert log_in(client).status_code == 429
    client.cookies["browser"] = client.cookies["browser"].value + "x"
    for _ in range(settings.LOCKOUT_FAILURES):
        guess(name="other", address=HOME)
    assert log_in(client, name="other").status_code == 429


# --- The same for names that there are not ----------------------------------------------------------------------------
def test_known_and_unknown_names_take_the_same_work(admin: User, hashes: list[str], settings: Any) -> None:
    def work(name: str) -> list[tuple[int, int]]:
        found = []
        for _ in range(settings.LOCKOUT_FAILURES + 2):
            hashes.clear()
            with CaptureQueriesContext(connection) as queries:
                guess(name=name, address=f"10.1.1.{len(name)}")
            found.append((len(hashes), len(queries)))
        return found

    work("warm up")
    assert work("admin") == work("nobody")


def test_the_answers_are_the_same_but_for_the_name(person: Person, settings: Any) -> None:
    person("Viewer", "zorro")

    def answers(name: str) -> list[tuple[int, str]]:
        found = []
        for _ in range(settings.LOCKOUT_FAILURES + 1):
            response = log_in(Client(), name=name, password="wrong", address=f"10.1.1.{len(name)}")
            text = response.content.decode().replace(name, "NAME")
            found.append((response.status_code, text.split("<h1>")[1]))
        return found

    assert answers("zorro") == answers("zilch")


# --- Without a page ---------------------------------------------------------------------------------------------------
def test_an_attempt_without_a_request_is_not_counted(admin: User) -> None:
    assert authenticate(username="admin", password="wrong") is None
    assert authenticate(username="admin", password=PASSWORD) == admin
    assert not AccessAttempt.objects.exists()


def test_attempts_from_an_unknown_address_lock_out_no_whole_address(admin: User, settings: Any) -> None:
    for number in range(settings.LOCKOUT_ADDRESS_FAILURES + 5):
        guess(name=f"user {number}", address="")
    assert rules() == []
    for _ in range(settings.LOCKOUT_FAILURES):
        guess(address="unix:")
    assert rules() == [("pair", "")]
